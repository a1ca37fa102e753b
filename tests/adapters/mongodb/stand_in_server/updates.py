"""Updates: what their operators make of a document."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bson import Int64

from stand_in_server.refusals import Refusal
from stand_in_server.values import (
    MISSING,
    NUMBERS,
    Document,
    copied,
    found_at,
    order_key,
    type_of,
)

LONG: Final = 2**63


def check_update(update: Any) -> None:
    """Refuse what is no update by operators, and two changes of one key."""
    if not isinstance(update, dict):
        raise Refusal(238, "the stand-in knows no updates by a pipeline")
    touched: list[str] = []
    for name, changes in update.items():
        if name not in _OPERATORS and name != "$setOnInsert":
            raise Refusal(9, f"Unknown modifier: {name}. Expected a valid update modifier")
        if not isinstance(changes, dict):
            raise Refusal(9, f"Modifiers operate on fields but we found type {type_of(changes)}")
        touched += [*changes, *(changes.values() if name == "$rename" else ())]
    for path in touched:
        if any(path == it or path.startswith(f"{it}.") for it in set(touched) - {path}):
            raise Refusal(40, f"Updating the path '{path}' would create a conflict at '{path}'")
    if len(set(touched)) != len(touched):
        twice = next(it for it in touched if touched.count(it) > 1)
        raise Refusal(40, f"Updating the path '{twice}' would create a conflict at '{twice}'")


def updated(document: Document, update: Mapping[str, Any], *, is_new: bool = False) -> Document:
    """Return what an update makes of a document, which stays as it is.

    Args:
        document: Before it.
        update: Operators; without any it is the new document.
        is_new: It is inserted by this.
    """
    if is_replacement(update):
        return copied({"_id": document["_id"], **update} if "_id" in document else dict(update))
    result = copied(document)
    for name, changes in update.items():
        operator = _set if name == "$setOnInsert" else _OPERATORS[name]
        if name != "$setOnInsert" or is_new:
            for path, operand in changes.items():
                operator(result, path, operand)
    result = copied(result)
    if not is_new and order_key(result.get("_id", MISSING)) != order_key(document["_id"]):
        raise Refusal(
            66, "Performing an update on the path '_id' would modify the immutable field"
        )
    return result


def is_replacement(update: Any) -> bool:
    """Tell whether an update is a whole document."""
    return isinstance(update, dict) and not next(iter(update), "").startswith("$")


def _place(document: Document, path: str, *, make: bool) -> tuple[Document | None, str]:
    *way, last = path.split(".")
    at: Any = document
    for name in way:
        if name not in at and not make:
            return None, last
        at = at.setdefault(name, {})
        if not isinstance(at, dict):
            if not make:
                return None, last
            raise Refusal(28, f"Cannot create field '{last}' in element {{{name}: {at!r}}}")
    return at, last


def _set(document: Document, path: str, value: Any) -> None:
    at, last = _place(document, path, make=True)
    if at is not None:
        at[last] = value


def _unset(document: Document, path: str, _: Any) -> None:
    at, last = _place(document, path, make=False)
    if at is not None:
        at.pop(last, None)


def _rename(document: Document, path: str, target: str) -> None:
    at, last = _place(document, path, make=False)
    if at is not None and last in at:
        value = at.pop(last)
        _unset(document, target, None)
        _set(document, target, value)


def _inc(document: Document, path: str, by: Any) -> None:
    if type_of(by) not in NUMBERS:
        raise Refusal(14, f"Cannot increment with non-numeric argument: {{{path}: {by!r}}}")
    before = next(found_at(document, path.split(".")))
    if before is MISSING:
        _set(document, path, by)
        return
    if type_of(before) not in NUMBERS:
        what = f"{{_id: {document.get('_id')!r}}} has the field '{path}' of non-numeric type"
        raise Refusal(14, f"Cannot apply $inc to a value of non-numeric type. {what}")
    after = before + by
    if isinstance(after, int) and not -LONG <= after < LONG:
        raise Refusal(2, "Failed to apply $inc operations to current value")
    is_long = isinstance(before, Int64) or isinstance(by, Int64)
    _set(document, path, Int64(after) if is_long and isinstance(after, int) else after)


_OPERATORS: Final[Mapping[str, Callable[[Document, str, Any], None]]] = {
    "$set": _set,
    "$unset": _unset,
    "$rename": _rename,
    "$inc": _inc,
}
