"""Erasing one person: their rows go, and what stays of others' names them no more."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from watchword.engine.personal_data.belonging import Belonging, Reference, children_first
from watchword.engine.personal_data.blanks import blanks_of, needs_distinct_blanks
from watchword.engine.personal_data.naming import verifications_about
from watchword.engine.personal_data.rows import (
    held_rows,
    matching,
    pages_of,
    pieces,
    pointing_at,
    stored_id,
)
from watchword.errors import NoSuchUser, ReferenceViolation, UniqueViolation
from watchword.schema import Model
from watchword.storage.contract import Record
from watchword.storage.query import F, Where
from watchword.storage.store import Store

__all__ = ["Erased", "StillReferenced", "count_erasable", "erase_in_transaction", "erase_user"]

# How often a blank is drawn that another row has already, as one of few values may be.
_DRAWS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many rows of each model went, or would go, and how many stay without a name.

    Args:
        deleted: Rows that are gone, by model.
        blanked: Rows that stay, in which nothing personal is left, by model.
    """

    deleted: Mapping[str, int]
    blanked: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.deleted.values()) + sum(self.blanked.values())


class StillReferenced(ReferenceViolation):
    """Rows that must not lose the person stand in the way; nothing was erased.

    `rows` counts them by model; it is empty where they are in tables of the application's that
    the schema does not know.
    """

    def __init__(self, rows: Mapping[str, int]) -> None:
        super().__init__("user")
        self.rows = dict(rows)
        counts = ", ".join(f"{number:,} of {model}" for model, number in rows.items())
        where = (
            f"rows that have to go first ({counts})"
            if counts
            else ("rows of the application's own tables")
        )
        self.args = (f"the user cannot be erased: {where} still point at them",)


async def erase_user(store: Store, user_id: str) -> Erased:
    """Delete a person with all that is theirs, in one transaction; nothing personal remains.

    * Rows that go with the person, at whatever hand, are deleted model by model, so that hooks
      see each of them; the person goes last.
    * Rows that stay without the person, by a reference that is set to null, have their personal
      fields blanked, unless they belong to somebody else.
    * Verification values that name the person, by id or address, are deleted; after the commit
      once more, for requests that were under way. One that is slower still can leave a value
      until it expires, with which nobody can do anything.

    Of several callers one erases. Whoever signs in meanwhile is refused, or signed out by it.

    Raises:
        NoSuchUser: There is nobody with this id, or not any more.
        StillReferenced: Rows that must not lose the person stand in the way.
        OperationRefused: A hook refused.
    """
    return await store.run_in_transaction(partial(erase_in_transaction, store, user_id))


async def erase_in_transaction(
    store: Store, user_id: str, *, with_verifications: bool = True
) -> Erased:
    """Do as `erase_user()` in the transaction that is open.

    Args:
        store: The rows.
        user_id: Whose.
        with_verifications: Delete verification values too, for which their table is read. Else
            they stay until they expire and are purged, and whoever opens such a link is told
            that the user is gone.

    Raises:
        NoSuchUser: There is nobody with this id, or not any more.
        StillReferenced: Rows that must not lose the person stand in the way.
        OperationRefused: A hook refused.
    """
    erasure = _Erasure(store, stored_id(store, user_id))
    try:
        return await erasure.run(with_verifications=with_verifications)
    except StillReferenced:
        raise
    except ReferenceViolation as error:
        raise StillReferenced({}) from error


async def count_erasable(store: Store, user_id: str) -> Erased:
    """Return what `erase_user()` would do now; changes nothing.

    Raises:
        NoSuchUser: There is nobody with this id.
        StillReferenced: Rows that must not lose the person stand in the way.
    """
    return await _Erasure(store, stored_id(store, user_id)).foresee()


class _Erasure:
    """What belongs to one person, and how it goes.

    Only rows that others point at are read one by one; what nothing points at is deleted by the
    id that it holds.
    """

    def __init__(self, store: Store, user_id: Any) -> None:
        self._store = store
        self._user_id = user_id
        self._belonging = Belonging(store.schema)
        self._going: dict[str, dict[Any, Record]] = {"user": {user_id: {"id": user_id}}}

    async def run(self, *, with_verifications: bool) -> Erased:
        """Erase, in the transaction that is open."""
        # Where all that hangs on people goes with them, the foreign keys hold who comes between,
        # if the database lets anybody wait; otherwise each sign-in meanwhile would undo this.
        waits = self._store.adapter.capabilities.waits
        if with_verifications or not (self._belonging.is_flat and waits):
            await self._hold()
        await self._look()
        staying = {model: ids async for model, ids in self._staying()}
        if not self._store.adapter.capabilities.transactions:
            # If the process dies then, a user who cannot sign in any more holds no address.
            await self._blank("user", [self._user_id])
        await self._let_go()
        blanked = {model: await self._blank(model, ids) for model, ids in staying.items()}
        deleted = {it: await self._delete(it) for it in self._belonging.leaves_first}
        if with_verifications:
            deleted["verification"] = await self._delete_verifications()
            await self._store.after_commit(self._delete_verifications)
        return Erased(deleted=_counted(deleted), blanked=_counted(blanked))

    async def foresee(self) -> Erased:
        """Count what would go."""
        user = await self._store.find_one("user", F.id == self._user_id)
        if user is None:
            raise NoSuchUser(self._user_id)
        self._going["user"] = {self._user_id: user}
        await self._look()
        blanked = {model: len(ids) async for model, ids in self._staying()}
        deleted = {it: await self._count(it) for it in self._belonging.leaves_first}
        deleted["verification"] = len(await self._verifications())
        return Erased(deleted=_counted(deleted), blanked=_counted(blanked))

    # --- finding -------------------------------------------------------------------------

    async def _hold(self) -> None:
        """Keep everybody from giving the person more rows, and read their own.

        Who signs in holds the account and then writes a session of the user: in any other order
        each would wait for the other. All else is read without locks, a page at a time: a person
        may have a hundred thousand rows.
        """
        async for _ in held_rows(self._store, "account", "user_id", [self._user_id]):
            pass
        user = await self._store.find_one("user", F.id == self._user_id, lock=True)
        if user is None:
            raise NoSuchUser(self._user_id)
        self._going["user"] = {self._user_id: user}

    async def _look(self) -> None:
        """Find the rows that go and that others point at, and what stands in the way.

        Raises:
            StillReferenced: Something does.
        """
        waiting = [("user", [self._user_id])]
        while waiting:
            target, ids = waiting.pop()
            for it in self._belonging.to(target):
                if it.is_cascading and self._belonging.to(it.model):
                    found = await self._find(it, ids)
                    waiting += [(it.model, found)] if found else []
        obstacles = {it: len(ids) async for it, ids in self._pointing("restrict")}
        if obstacles:
            raise StillReferenced(obstacles)

    async def _find(self, by: Reference, ids: Collection[Any]) -> list[Any]:
        known = self._going.setdefault(by.model, {})
        found = []
        async for row in pages_of(self._store, by.model, by.field, ids):
            if row["id"] not in known:
                known[row["id"]] = row
                found.append(row["id"])
        return found

    async def _pointing(self, on_delete: str) -> AsyncIterator[tuple[str, list[Record]]]:
        """Go through the models with rows that point at what goes, and do not go themselves."""
        for model in self._store.schema.models:
            found: dict[Any, Record] = {}
            for it in self._belonging.references:
                if (it.model, it.on_delete) == (model, on_delete):
                    async for row in pages_of(
                        self._store, model, it.field, self._going.get(it.target, {})
                    ):
                        if not self._goes(row, model):
                            found[row["id"]] = row
            if found:
                yield model, list(found.values())

    def _goes(self, row: Record, model: str) -> bool:
        return row["id"] in self._going.get(model, {}) or any(
            row[it.field] in self._going.get(it.target, {})
            for it in self._belonging.references
            if it.model == model and it.is_cascading
        )

    async def _staying(self) -> AsyncIterator[tuple[str, list[Any]]]:
        """Go through the rows to be blanked: they stay, and belong to nobody else."""
        async for model, rows in self._pointing("set null"):
            if model == "user" or not blanks_of(self._store.schema.models[model]):
                continue
            ids = [row["id"] for row in rows if self._is_nobody_elses(row, model)]
            if ids:
                yield model, ids

    def _is_nobody_elses(self, row: Record, model: str) -> bool:
        if people := self._belonging.people_of(row, model):
            return self._user_id in people
        return all(row[it.field] is None for it in self._belonging.owners(model))

    # --- writing -------------------------------------------------------------------------

    async def _let_go(self) -> None:
        """Let rows that stay point at nobody; where people are kept elsewhere, nothing else does.

        Before they are blanked: then no unique key of theirs holds the person.
        """
        for it in self._belonging.references:
            if it.on_delete == "set null":
                for piece in pieces(self._going.get(it.target, {})):
                    pointing = pointing_at(it.field, piece)
                    await self._store.update_many(it.model, pointing, {it.field: None})

    async def _blank(self, name: str, ids: list[Any]) -> int:
        model = self._store.schema.models[name]
        if needs_distinct_blanks(model):
            return sum([await self._blank_apart(model, it) for it in ids])
        changed = [
            await self._store.update_many(name, pointing_at("id", it), blanks_of(model))
            for it in pieces(ids)
        ]
        return sum(changed)

    async def _blank_apart(self, model: Model, row_id: Any) -> int:
        """Blank a row with what no other one has."""
        for _ in range(_DRAWS):
            with suppress(UniqueViolation):
                async with self._store.transaction():
                    return await self._store.update_many(
                        model.name, F.id == row_id, blanks_of(model)
                    )
        return await self._store.update_many(model.name, F.id == row_id, blanks_of(model))

    async def _delete(self, model: str) -> int:
        known = self._going.get(model)
        if known is None:
            return sum([await self._store.delete_many(*it) for it in self._leaves(model)])
        own = [it.field for it in self._belonging.to(model) if it.model == model]
        gone = 0
        for ids in children_first(known, own):
            for piece in pieces(ids):
                gone += await self._store.delete_many(model, pointing_at("id", piece))
        if model == "user" and not gone:
            raise NoSuchUser(self._user_id)
        return len(known)

    async def _count(self, model: str) -> int:
        known = self._going.get(model)
        if known is not None:
            return len(known)
        # By their ids: a row can hold two that go.
        rows = [row for it in self._leaves(model) async for row in matching(self._store, *it)]
        return len({row["id"] for row in rows})

    def _leaves(self, model: str) -> Iterator[tuple[str, Where]]:
        """Go through the conditions on rows that go and that nothing points at."""
        for it in self._belonging.references:
            if it.model == model and it.is_cascading:
                for piece in pieces(self._going.get(it.target, {})):
                    yield model, pointing_at(it.field, piece)

    async def _delete_verifications(self) -> int:
        ids = [row["id"] for row in await self._verifications()]
        gone = [
            await self._store.delete_many("verification", pointing_at("id", it))
            for it in pieces(ids)
        ]
        return sum(gone)

    async def _verifications(self) -> list[Record]:
        return await verifications_about(self._store, list(self._going["user"].values()))


def _counted(counts: Mapping[str, int]) -> Mapping[str, int]:
    return {model: number for model, number in counts.items() if number}
