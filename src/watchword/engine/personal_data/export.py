"""What is kept about one person, as they may ask to see it and to take it away."""

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from watchword.engine.personal_data.belonging import Belonging, Reference
from watchword.engine.personal_data.naming import verifications_about
from watchword.engine.personal_data.rows import pages_of, stored_id
from watchword.errors import NoSuchUser
from watchword.http.bodies import format_instant
from watchword.schema import Field, camel_case
from watchword.storage.contract import Record
from watchword.storage.query import F
from watchword.storage.store import Store
from watchword.storage.values import holds_integer_id

__all__ = ["export_user"]


async def export_user(store: Store, user_id: str) -> dict[str, Any]:
    """Return everything that is kept about one person, as JSON can hold it.

    * `user`: their row.
    * `related`: the rows of every model, by model, that point at the person or at a row of
      theirs, and the verification values that name them.
    * `keptButNotShown`: the names of fields that hold something which is not told, by model:
      secrets, such as the hash of a password, and what is never shown to clients.
    * `keptForOthers`: the names of personal fields that are another person's, in rows that
      both have to do with.

    Names are those of the wire, and so are instants; bytes are written in Base64. Nothing is
    added for the person meanwhile, so that what is read fits together.

    Raises:
        NoSuchUser: There is nobody with this id.
    """
    return await store.run_in_transaction(partial(_export, store, stored_id(store, user_id)))


async def _export(store: Store, user_id: Any) -> dict[str, Any]:
    # Held, so that nobody adds rows or erases the person before all is read.
    user = await store.find_one("user", F.id == user_id, lock=True)
    if user is None:
        raise NoSuchUser(user_id)
    search = _Search(store, user)
    await search.run()
    return _Pages(store, search).written()


class _Search:
    """Finds the rows of one person."""

    def __init__(self, store: Store, user: Record) -> None:
        self.user = user
        self.belonging = Belonging(store.schema)
        self.owned: dict[str, dict[Any, Record]] = {"user": {user["id"]: user}}
        """Rows that belong to the person, at whatever hand, by model and id."""
        self.others: dict[str, dict[Any, Record]] = {}
        """Rows that point at those and would stay without them."""
        self._store = store

    async def run(self) -> None:
        """Go from row to row, until nothing new points at what was found."""
        waiting = [("user", [self.user["id"]])]
        while waiting:
            target, ids = waiting.pop()
            for it in self.belonging.to(target):
                found = await self._find(it, ids)
                # What hangs on a row that stays without the person is not theirs.
                if found and it.is_owning:
                    waiting.append((it.model, found))
        about = await verifications_about(self._store, [self.user])
        self.owned["verification"] = {row["id"]: row for row in about}

    async def _find(self, by: Reference, ids: list[Any]) -> list[Any]:
        known = (self.owned if by.is_owning else self.others).setdefault(by.model, {})
        found = []
        async for row in pages_of(self._store, by.model, by.field, ids):
            if row["id"] not in known:
                known[row["id"]] = row
                found.append(row["id"])
        return found

    def is_for_others(self, model: str, row: Record) -> bool:
        """Tell whether what is personal in a row is another person's.

        What a person has in common with others is shown whole if it goes with that person; else
        it is theirs who own it, or whose words it holds.
        """
        if model == "user":
            return bool(row["id"] != self.user["id"])
        if people := self.belonging.people_of(row, model):
            return self.user["id"] not in people
        return any(
            row[it.field] is not None and row[it.field] not in self.owned.get(it.target, {})
            for it in self.belonging.owners(model)
        )


class _Pages:
    """Writes what was found, and notes what is not told."""

    def __init__(self, store: Store, search: _Search) -> None:
        self._models = store.schema.models
        self._search = search
        self._secret: dict[str, set[str]] = defaultdict(set)
        self._of_others: dict[str, set[str]] = defaultdict(set)

    def written(self) -> dict[str, Any]:
        """Return all of it."""
        user = self._row("user", self._search.user)
        related = {
            camel_case(model): rows for model in self._models if (rows := list(self._rows(model)))
        }
        return {
            "user": user,
            "related": related,
            "keptButNotShown": _sorted(self._secret),
            "keptForOthers": _sorted(self._of_others),
        }

    def _rows(self, model: str) -> Iterator[dict[str, Any]]:
        found = {**self._search.others.get(model, {}), **self._search.owned.get(model, {})}
        for row in found.values():
            if row is not self._search.user:
                yield self._row(model, row)

    def _row(self, model: str, row: Record) -> dict[str, Any]:
        is_for_others = self._search.is_for_others(model, row)
        shown = {}
        for name, field in self._models[model].fields.items():
            if _is_kept_back(field):
                self._note(self._secret, model, name, row)
            elif field.pii and is_for_others:
                self._note(self._of_others, model, name, row)
            else:
                shown[camel_case(name)] = _wire_value(field, row[name])
        return shown

    @staticmethod
    def _note(names: dict[str, set[str]], model: str, name: str, row: Record) -> None:
        if row[name] is not None:
            names[camel_case(model)].add(camel_case(name))


def _is_kept_back(field: Field) -> bool:
    return field.sealed or field.digest or not field.returned


def _sorted(names: Mapping[str, set[str]]) -> dict[str, list[str]]:
    return {model: sorted(names[model]) for model in sorted(names)}


def _wire_value(field: Field, value: Any) -> Any:
    match value:
        case datetime():
            return format_instant(value)
        case bytes():
            return b64encode(value).decode()
        case int() if holds_integer_id(field):
            return str(value)
    return value
