"""Inserts, updates and deletions, each document as a step of its own."""

from collections.abc import Callable, Mapping
from typing import Any

from bson import ObjectId

from stand_in_server.catalog import Collection, Key
from stand_in_server.filters import candidates, predicate, project
from stand_in_server.refusals import Refusal
from stand_in_server.transactions import View
from stand_in_server.updates import check_update, is_replacement, updated
from stand_in_server.values import Document, copied, in_order, order_key


def find(view: View, collection: Collection, query: Mapping[str, Any]) -> list[Document]:
    """Return the documents that match, in the order in which they were written."""
    matches = predicate(query)
    keys = candidates(query)
    rows = view.rows(collection) if keys is None else {}
    for key in keys or ():
        if (row := view.row(collection, key)) is not None:
            rows[key] = row
    return [row for row in rows.values() if matches(row)]


def insert(
    view: View, collection: Collection, document: Document, *, is_checked: bool = True
) -> None:
    """Write a new document."""
    row = document if "_id" in document else {"_id": ObjectId(), **document}
    key = order_key(row["_id"])

    def change(before: Document | None) -> Document:
        # Who is deleting the other one may still leave it.
        if before is not None and view.writer(collection, key) is None:
            raise collection.indexes["_id_"].duplicate(collection.namespace, row)
        return row

    view.change(collection, key, change, is_checked=is_checked)


def update(
    view: View, collection: Collection, asked: Mapping[str, Any], *, is_checked: bool = True
) -> dict[str, Any]:
    """Do one of the updates of an `update`; return n, nModified and perhaps upserted."""
    query, changes, is_multi = asked["q"], asked["u"], bool(asked.get("multi"))
    _check(changes)
    if is_multi and is_replacement(changes):
        raise Refusal(9, "multi update is not supported for replacement-style update")
    matched = modified = 0
    for row in find(view, collection, query):
        before, after = _update_row(
            view, collection, order_key(row["_id"]), query, changes, is_checked=is_checked
        )
        matched += before is not None
        modified += after is not before
        if matched and not is_multi:
            break
    if matched or not asked.get("upsert"):
        return {"n": matched, "nModified": modified}
    made = upsert(view, collection, query, changes, is_checked=is_checked)
    return {"n": 1, "nModified": 0, "upserted": made["_id"]}


def _check(changes: Any) -> None:
    if not is_replacement(changes):
        check_update(changes)


def _update_row(
    view: View,
    collection: Collection,
    key: Key,
    query: Mapping[str, Any],
    changes: Any,
    *,
    is_checked: bool,
) -> tuple[Document | None, Document | None]:
    """Change a document if it still matches; return it before and after, or nothing twice."""
    matches = predicate(query)
    did_match = False

    def change(before: Document | None) -> Document | None:
        nonlocal did_match
        did_match = before is not None and matches(before)
        if before is None or not did_match:
            return before
        after = updated(before, changes)
        return before if _is_same(before, after) else after

    before, after = view.change(collection, key, change, is_checked=is_checked)
    return (before, after) if did_match else (None, None)


def _is_same(one: Document, other: Document) -> bool:
    """Tell whether nothing was changed, not even a type."""
    return one == other and [*map(type, one.values())] == [*map(type, other.values())]


def upsert(
    view: View,
    collection: Collection,
    query: Mapping[str, Any],
    changes: Any,
    *,
    is_checked: bool,
) -> Document:
    """Insert what an update makes of the values that its filter names."""
    start = {} if is_replacement(changes) else dict(_equalities(query))
    if is_replacement(changes) and "_id" not in changes:
        start = {name: it for name, it in _equalities(query).items() if name == "_id"}
    made = updated(start, changes, is_new=True)
    made = made if "_id" in made else {"_id": ObjectId(), **made}
    insert(view, collection, made, is_checked=is_checked)
    return made


def _equalities(query: Mapping[str, Any]) -> Document:
    found: Document = {}
    for name, condition in query.items():
        if name == "$and":
            for part in condition:
                found.update(_equalities(part))
        elif isinstance(condition, dict) and next(iter(condition), "").startswith("$"):
            if "$eq" in condition:
                found[name] = condition["$eq"]
        elif not name.startswith("$"):
            found[name] = condition
    return copied(found)


def delete(view: View, collection: Collection, asked: Mapping[str, Any]) -> int:
    """Do one of the deletions of a `delete`; return how many documents went."""
    gone = 0
    for row in find(view, collection, asked["q"]):
        gone += _delete_row(view, collection, row, asked["q"]) is not None
        if gone and asked["limit"]:
            break
    return gone


def _delete_row(
    view: View, collection: Collection, row: Document, query: Mapping[str, Any]
) -> Document | None:
    matches = predicate(query)

    def change(before: Document | None) -> Document | None:
        return None if before is not None and matches(before) else before

    before, after = view.change(collection, order_key(row["_id"]), change)
    return before if after is None else None


def find_and_modify(
    view: View, collection: Collection, asked: Mapping[str, Any], *, is_checked: bool
) -> dict[str, Any]:
    """Change or delete the first document that matches, and answer with it."""
    query = asked.get("query", {})
    rows = in_order(find(view, collection, query), asked.get("sort"))
    if asked.get("remove"):
        gone = _first(rows, lambda row: _delete_row(view, collection, row, query))
        value = project(gone, asked.get("fields")) if gone else None
        return {"lastErrorObject": {"n": int(gone is not None)}, "value": value}
    _check(asked["update"])

    def change(row: Document) -> tuple[Document, Document] | None:
        key = order_key(row["_id"])
        before, after = _update_row(
            view, collection, key, query, asked["update"], is_checked=is_checked
        )
        return (before, after) if before is not None and after is not None else None

    changed = _first(rows, change)
    told: dict[str, Any] = {"n": int(changed is not None), "updatedExisting": changed is not None}
    before, after = changed or (None, None)
    if changed is None and asked.get("upsert"):
        after = upsert(view, collection, query, asked["update"], is_checked=is_checked)
        told = {"n": 1, "updatedExisting": False, "upserted": after["_id"]}
    chosen = after if asked.get("new") else before
    value = project(chosen, asked.get("fields")) if chosen is not None else None
    return {"lastErrorObject": told, "value": value}


def _first(rows: list[Document], step: Callable[[Document], Any]) -> Any:
    """Do a step with one row after the other until one answers."""
    return next((done for row in rows if (done := step(row)) is not None), None)
