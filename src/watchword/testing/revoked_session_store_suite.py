"""What `SessionStoreSuite` asks of sessions that are revoked: they end once, and for good."""

from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, cast

import pytest

from watchword.storage.stores import SessionStore
from watchword.testing.store_suite import (
    STRANGE_TEXTS,
    Awaited,
    MovingClock,
    NewUserId,
    OwnStoreSuite,
    Race,
    in_turn,
)

__all__ = ["RevokedSessionSuite"]

MANY = 121
"""More sessions than a page of what keeps them, such as a search in a directory, may have."""


class RevokedSessionSuite(OwnStoreSuite):
    """The part of `SessionStoreSuite` that says how sessions are revoked."""

    protocol = SessionStore
    update_age: ClassVar[timedelta] = timedelta(days=1)
    """How often the store writes at most that a session is in use."""

    @pytest.fixture
    def sessions(self, store: Any) -> SessionStore:
        """The store, to be awaited."""
        # It has the methods of the protocol, each made a coroutine function.
        return cast("SessionStore", Awaited(store))

    # --- by one caller --------------------------------------------------------------------

    async def test_a_session_is_revoked_once(
        self, sessions: SessionStore, new_user_id: NewUserId
    ) -> None:
        """By its token; nothing of it is left."""
        made = await sessions.create(await new_user_id())

        revoked = [await sessions.revoke(made.token) for _ in range(2)]

        assert revoked == [True, False]
        assert await sessions.get(made.token) is None
        assert await sessions.find(made.id) is None
        assert await sessions.touch(made.token) is None
        assert await sessions.update(made.id, ip_address="::1") is None
        assert await sessions.list_for_user(made.user_id) == []

    async def test_only_their_own_session_is_revoked(
        self, sessions: SessionStore, new_user_id: NewUserId
    ) -> None:
        """Where a user is named, somebody else's session stays, by token and by handle."""
        made = await sessions.create(await new_user_id())
        other = await new_user_id()
        [listed] = await sessions.list_for_user(made.user_id)

        for it in (made.token, listed.token):
            assert await sessions.revoke(it, user_id=other) is False
        assert await sessions.get(made.token) == made
        assert await sessions.revoke(listed.token, user_id=made.user_id) is True

    async def test_all_sessions_of_a_user_are_revoked(
        self, sessions: SessionStore, new_user_id: NewUserId
    ) -> None:
        """And counted; those of others stay."""
        user_id = await new_user_id()
        made = [await sessions.create(user_id) for _ in range(4)]
        other = await sessions.create(await new_user_id())

        ended = [await sessions.revoke_all(user_id) for _ in range(2)]

        assert ended == [4, 0]
        assert [await sessions.get(it.token) for it in made] == [None] * 4
        assert await sessions.get(other.token) == other

    @pytest.mark.parametrize("named_by", ["token", "handle"])
    async def test_all_sessions_but_one_are_revoked(
        self, sessions: SessionStore, user_id: str, named_by: str
    ) -> None:
        """The one that is named, by its token or by its handle."""
        made = [await sessions.create(user_id) for _ in range(4)]
        kept = made[2]
        found = await sessions.find(kept.id)
        assert found is not None

        ended = await sessions.revoke_all(
            user_id, but=kept.token if named_by == "token" else found.token
        )

        assert ended == 3
        assert [it.id for it in await sessions.list_for_user(user_id)] == [kept.id]
        assert await sessions.get(kept.token) == kept

    async def test_a_strange_exception_keeps_nothing(
        self, sessions: SessionStore, new_user_id: NewUserId
    ) -> None:
        """All sessions end if the one that is to stay is nobody's, or somebody else's."""
        user_id = await new_user_id()
        other = await sessions.create(await new_user_id())
        for it in (*STRANGE_TEXTS, other.token):
            made = [await sessions.create(user_id) for _ in range(2)]

            assert await sessions.revoke_all(user_id, but=it) == 2

            assert [await sessions.get(it.token) for it in made] == [None, None]
        assert await sessions.get(other.token) == other

    async def test_all_sessions_are_revoked_however_many(
        self, sessions: SessionStore, user_id: str
    ) -> None:
        """They are listed, and they end, though there are more than a page of them."""
        made = [await sessions.create(user_id) for _ in range(MANY)]

        listed = await sessions.list_for_user(user_id)
        ended = await sessions.revoke_all(user_id)

        assert {it.id for it in listed} == {it.id for it in made}
        assert (len(listed), ended) == (MANY, MANY)
        assert [await sessions.get(it.token) for it in made] == [None] * MANY

    # --- races -----------------------------------------------------------------------------

    async def test_one_caller_revokes_a_session(
        self, sessions: SessionStore, user_id: str, race: Race
    ) -> None:
        """Of all who end one session one did."""
        for _ in range(self.rounds):
            made = await sessions.create(user_id)

            results = await race(self.callers, partial(sessions.revoke, made.token))

            assert sorted(results) == [False] * (self.callers - 1) + [True]

    async def test_each_session_ends_for_one_caller(
        self, sessions: SessionStore, user_id: str, race: Race
    ) -> None:
        """The counts of all who end the sessions of one user add up to the sessions."""
        for _ in range(self.rounds):
            for _ in range(5):
                await sessions.create(user_id)

            results = await race(self.callers, partial(sessions.revoke_all, user_id))

            assert sum(results) == 5

    async def test_what_is_revoked_meanwhile_does_not_come_back(
        self, sessions: SessionStore, user_id: str, clock: MovingClock, race: Race
    ) -> None:
        """Neither by a change nor by use that began before."""
        for _ in range(self.rounds):
            made = await sessions.create(user_id)
            clock.advance(seconds=self.update_age.total_seconds() + 2)
            change = partial(sessions.update, made.id, user_agent="curl")
            uses: list[Any] = [change, partial(sessions.touch, made.token)] * self.callers
            uses.insert(self.callers // 2, partial(sessions.revoke, made.token))

            results = await race(self.callers, in_turn(uses))

            assert results.count(True) == 1, results
            assert await sessions.get(made.token) is None
            assert await sessions.find(made.id) is None
            assert await sessions.list_for_user(user_id) == []
