"""Changes of users and their sessions, of which cached copies must tell at once."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, Final, TypeVar

from watchword.storage.cached_sessions.cache import SessionCache
from watchword.storage.contract import Adapter
from watchword.storage.query import (
    EVERYTHING,
    And,
    Comparison,
    F,
    Operator,
    Where,
    required_values,
)

__all__ = ["Changes"]

T = TypeVar("T")

# Far below what any driver refuses.
_MOST_NAMED: Final = 1000
_USER_OF: Final = {"user": "id", "session": "user_id"}


class Changes:
    """Makes changes, so that nobody goes on to believe a copy of what was changed.

    Args:
        adapter: Keeps the rows.
        cache: Of the copies; None where there are none.
        after_commit: Does something when the open transaction is committed, or at once.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        cache: SessionCache | None,
        after_commit: Callable[[Callable[[], object]], Awaitable[None]],
    ) -> None:
        self._adapter = adapter
        self._cache = cache
        self._after_commit = after_commit

    async def make(
        self, model: str, condition: Where, write: Callable[[Where], Awaitable[T]]
    ) -> T:
        """Change or delete rows that match.

        It is told before the write, for the writer may die with its commit, and after it.

        Args:
            model: Of the rows.
            condition: On them, as it is stored.
            write: Does it to rows that match the condition which it is given.
        """
        cache = self._cache
        if cache is None or model not in _USER_OF or _is_of_ended(model, condition, cache):
            return await write(condition)
        versions = cache.versions
        condition, found = await self._concerned(model, condition)
        if not found:
            await cache.forget(_tokens_in(condition))
        user_ids = [str(it) for it in found]
        await versions.begin_change(user_ids)
        try:
            return await write(condition)
        finally:
            # Who failed does not always know whether it was done.
            await self._after_commit(partial(versions.end_change, user_ids))

    async def _concerned(self, model: str, where: Where) -> tuple[Where, Collection[Any]]:
        """Return a condition on rows of users who are known, and these users.

        Rows of others that come to match meanwhile are left out, as if they came after it; unless
        the users are more than a statement can name.
        """
        field = _USER_OF[model]
        named = required_values(where).get(field)
        if named is not None:
            return where, named
        # As they are committed now, whatever this transaction saw before.
        rows = await self._adapter.find_many(model, where, lock=True)
        found = list(dict.fromkeys(row[field] for row in rows))
        theirs = EVERYTHING if len(found) > _MOST_NAMED else getattr(F, field).in_(found)
        return where & theirs, found


def _tokens_in(where: Where) -> list[str]:
    """Return the tokens that a condition names, as they are stored."""
    named = (it for it in where.comparisons() if it.field == "token" and it.names_values)
    return [value for it in named for value in it.values]


def _is_of_ended(model: str, where: Where, cache: SessionCache) -> bool:
    """Tell whether only sessions that have ended match, which no copy lets in anyway."""
    parts = where.parts if isinstance(where, And) else (where,)
    return model == "session" and any(
        isinstance(it, Comparison)
        and (it.field, it.operator) == ("expires_at", Operator.LE)
        and not cache.lets_in(it.value)
        for it in parts
    )
