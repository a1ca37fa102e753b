"""Rows of one person as they are found: in pages, or held until the transaction's end."""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from watchword.errors import InvalidValue, NoSuchUser
from watchword.storage.contract import Record
from watchword.storage.query import F, OrderBy, Where
from watchword.storage.store import Store
from watchword.storage.values import accepted

__all__ = ["held_rows", "matching", "pages_of", "pieces", "pointing_at", "stored_id"]

_PAGE: Final = 1000
_BY_ID: Final = (OrderBy("id"),)


def stored_id(store: Store, user_id: object) -> Any:
    """Return a user's id as rows hold it: the wire writes integers and UUIDs as text.

    Raises:
        NoSuchUser: Nobody can have this id.
    """
    field = store.schema.require_model("user").fields["id"]
    try:
        found = accepted("user", "id", field, user_id)
    except InvalidValue:
        found = None
    if found is None:
        raise NoSuchUser(user_id)
    return found


def pointing_at(field: str, ids: Sequence[Any]) -> Where:
    """Return the condition that a field holds one of some ids."""
    reference = getattr(F, field)
    condition: Where = reference == ids[0] if len(ids) == 1 else reference.in_(ids)
    return condition


def pieces(ids: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Go through ids, so many at a time as a statement can name."""
    rest = iter(ids)
    while piece := list(islice(rest, _PAGE)):
        yield piece


async def pages_of(
    store: Store, model: str, field: str, ids: Collection[Any]
) -> AsyncIterator[Record]:
    """Go through the rows whose field holds one of some ids, a page at a time."""
    for piece in pieces(ids):
        condition = pointing_at(field, piece)
        async for row in matching(store, model, condition):
            yield row


async def matching(store: Store, model: str, condition: Where) -> AsyncIterator[Record]:
    """Go through the rows that match, a page at a time."""
    page: list[Record] | None = None
    while page is None or len(page) == _PAGE:
        rest = condition if page is None else condition & (F.id > page[-1]["id"])
        page = await store.find_many(model, rest, order_by=_BY_ID, limit=_PAGE)
        for row in page:
            yield row


async def held_rows(
    store: Store, model: str, field: str, ids: Collection[Any]
) -> AsyncIterator[Record]:
    """Go through such rows as they are committed now, and keep others from changing them.

    While a row is held, nobody writes another that points at it.
    """
    for piece in pieces(ids):
        condition = rest = pointing_at(field, piece)
        while (row := await store.find_one(model, rest, lock=True)) is not None:
            yield row
            rest = condition & (F.id > row["id"])
