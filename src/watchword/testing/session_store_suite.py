"""The meaning of `SessionStore`: a store that passes can keep the sessions of an instance.

    class TestOurs(SessionStoreSuite):
        expires_in, update_age = timedelta(days=7), timedelta(days=1)

        @pytest.fixture
        def store(self, clock):
            return OurSessions(clock=clock)      # no session is in it

Each test runs on an event loop and without one, be the store's methods `def` or `async def`.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from watchword.storage.entities import Session
from watchword.storage.stores import SessionStore
from watchword.testing.revoked_session_store_suite import RevokedSessionSuite
from watchword.testing.store_suite import (
    EXPIRES_IN,
    STRANGE_TEXTS,
    MovingClock,
    NewUserId,
    Race,
    differing,
    moment,
)

__all__ = ["SessionStoreSuite"]

SECOND = timedelta(seconds=1)


class SessionStoreSuite(RevokedSessionSuite):
    """Everything that a store of sessions has to keep; subclass it with the fixture `store`."""

    expires_in: ClassVar[timedelta] = timedelta(days=7)
    """How long the store lets sessions live that say nothing else."""
    additional: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Values of fields that were added to sessions and that the store keeps, by field."""

    # --- making and finding ----------------------------------------------------------------

    async def test_a_session_is_found_by_its_token(
        self, sessions: SessionStore, user_id: str
    ) -> None:
        """One that nobody can guess, unless it is given; it comes back with the session."""
        made = await sessions.create(user_id)
        given = await sessions.create(user_id, token="a token that is known")

        assert isinstance(made, Session)
        assert made.user_id == user_id
        assert len(made.token) >= 22  # 128 bits, as letters and digits
        assert await sessions.get(made.token) == made
        assert given.token == "a token that is known"
        assert await sessions.get("a token that is known") == given
        assert (given.id == made.id, given.token == made.token) == (False, False)

    async def test_values_come_back(
        self, sessions: SessionStore, user_id: str, clock: MovingClock
    ) -> None:
        """All that is given is kept, also what the instance gives: id, times, what was added."""
        then = moment(clock())
        given = {
            "expires_at": then + EXPIRES_IN,
            "ip_address": "2001:db8::7",
            "user_agent": 'Mozilla/5.0 ("Zoë", like 😀)' + "x" * 2000,
            "created_at": then - SECOND,
            "updated_at": then,
            **self.additional,
        }

        made = await sessions.create(user_id, **given)

        assert {name: made.to_record()[name] for name in given} == given
        assert await sessions.get(made.token) == made

    async def test_an_id_that_is_known_is_kept(
        self, sessions: SessionStore, new_user_id: NewUserId
    ) -> None:
        """The instance makes ids, and finds sessions by them later."""
        made_elsewhere = await sessions.create(await new_user_id())
        await sessions.revoke(made_elsewhere.token)

        made = await sessions.create(await new_user_id(), id=made_elsewhere.id)

        assert made.id == made_elsewhere.id
        assert await sessions.find(made.id) is not None

    async def test_a_session_lives_as_long_as_the_settings_say(
        self, sessions: SessionStore, new_user_id: NewUserId, clock: MovingClock
    ) -> None:
        """Unless it says itself until when."""
        made = await sessions.create(await new_user_id())

        assert abs(made.expires_at - clock() - self.expires_in) <= SECOND

    async def test_no_session_has_a_strange_token(
        self, sessions: SessionStore, user_id: str
    ) -> None:
        """Whatever is asked for, the answer is that nothing is there, and never an error."""
        made = await sessions.create(user_id)

        for text in STRANGE_TEXTS:
            assert await sessions.get(text) is None
            assert await sessions.find(text) is None
            assert await sessions.touch(text) is None
            assert await sessions.update(text, ip_address="192.0.2.1") is None
            assert await sessions.revoke(text) is False
            assert await sessions.revoke(text, user_id=user_id) is False
            assert await sessions.revoke(made.token, user_id=text) is False
            assert await sessions.revoke_all(text) == 0
            assert await sessions.list_for_user(text) == []
        assert await sessions.get(made.token) == made

    async def test_tokens_have_nothing_in_common(
        self, sessions: SessionStore, user_id: str
    ) -> None:
        """What differs between them is long enough not to be guessed, and so no number."""
        tokens = [(await sessions.create(user_id)).token for _ in range(20)]

        assert differing(tokens) >= 22, tokens  # 128 bits, as letters and digits

    # --- handles ---------------------------------------------------------------------------

    async def test_a_list_tells_no_token(
        self, sessions: SessionStore, new_user_id: NewUserId, clock: MovingClock
    ) -> None:
        """It has all sessions of one user, the oldest first, with handles."""
        user_id = await new_user_id()
        made = []
        for _ in range(5):
            made.append(await sessions.create(user_id))
            clock.advance(seconds=2)
        await sessions.create(await new_user_id())

        listed = await sessions.list_for_user(user_id)

        assert [it.id for it in listed] == [it.id for it in made]
        for handle, session in zip(listed, made, strict=True):
            assert handle.token != session.token
            assert {**handle.to_record(), "token": session.token} == session.to_record()
            assert await sessions.find(session.id) == handle

    async def test_a_handle_cannot_be_used(
        self, sessions: SessionStore, new_user_id: NewUserId
    ) -> None:
        """Whoever reads a list, or an id, is not signed in by it."""
        made = await sessions.create(await new_user_id())
        found = await sessions.find(made.id)
        assert found is not None

        for it in (found.token, made.id):
            assert await sessions.get(it) is None
            assert await sessions.touch(it) is None

    async def test_a_handle_revokes(self, sessions: SessionStore, user_id: str) -> None:
        """The session in whose place it stands, and no other."""
        made = [await sessions.create(user_id) for _ in range(2)]
        listed = {it.id: it for it in await sessions.list_for_user(user_id)}

        revoked = [await sessions.revoke(listed[made[0].id].token) for _ in range(2)]

        assert revoked == [True, False]
        assert await sessions.get(made[0].token) is None
        assert await sessions.find(made[0].id) is None
        assert await sessions.get(made[1].token) == made[1]

    # --- time ------------------------------------------------------------------------------

    async def test_a_session_ends(
        self, sessions: SessionStore, user_id: str, clock: MovingClock
    ) -> None:
        """From its last instant on it is found by its id alone, be it used or not."""
        made = await sessions.create(user_id, expires_at=moment(clock()) + EXPIRES_IN)
        lives_on = await sessions.create(user_id)
        clock.advance(seconds=(made.expires_at - clock()).total_seconds() - 1)
        assert await sessions.get(made.token) == made

        clock.advance(seconds=1)

        assert await sessions.get(made.token) is None
        assert await sessions.touch(made.token) is None
        assert [it.id for it in await sessions.list_for_user(user_id)] == [lives_on.id]
        found = await sessions.find(made.id)
        assert found is None or found.id == made.id

    async def test_a_purge_deletes_what_has_ended(
        self, sessions: SessionStore, user_id: str, clock: MovingClock
    ) -> None:
        """And nothing else; it counts what went."""
        then = moment(clock())
        for _ in range(3):
            await sessions.create(user_id, expires_at=then + EXPIRES_IN)
        lives_on = await sessions.create(user_id)
        clock.advance(seconds=EXPIRES_IN.total_seconds() + 1)

        purged = [await sessions.purge() for _ in range(2)]

        assert purged[0] in range(4)  # a store may have deleted them by itself
        assert purged[1] == 0
        assert await sessions.get(lives_on.token) == lives_on

    async def test_use_is_written_now_and_then(
        self, sessions: SessionStore, new_user_id: NewUserId, clock: MovingClock
    ) -> None:
        """At most once in the update age; then the session lives for the whole span again."""
        made = await sessions.create(await new_user_id())
        clock.advance(seconds=self.update_age.total_seconds() - 2)
        assert await sessions.touch(made.token) == made
        clock.advance(seconds=4)
        assert await sessions.get(made.token) == made

        touched = await sessions.touch(made.token)

        assert touched is not None
        assert (touched.id, touched.token) == (made.id, made.token)
        assert abs(touched.expires_at - clock() - self.expires_in) <= SECOND
        clock.advance(seconds=self.update_age.total_seconds() - 2)
        assert await sessions.touch(made.token) == await sessions.get(made.token)
        again = await sessions.get(made.token)
        assert again is not None
        assert again.expires_at == touched.expires_at

    # --- changes ---------------------------------------------------------------------------

    async def test_an_update_changes_what_it_names(
        self, sessions: SessionStore, user_id: str, clock: MovingClock
    ) -> None:
        """It returns the session as `find` does; its token still works."""
        made = await sessions.create(user_id, ip_address="192.0.2.1")
        until = moment(clock()) + EXPIRES_IN
        changes = {"user_agent": "curl", "expires_at": until, **self.additional}

        changed = await sessions.update(made.id, **changes)

        assert changed is not None
        assert changed == await sessions.find(made.id)
        kept = await sessions.get(made.token)
        assert kept is not None
        assert {it: kept.to_record()[it] for it in changes} == changes
        assert kept.ip_address == "192.0.2.1"

    async def test_an_update_can_expect_values(
        self, sessions: SessionStore, user_id: str, clock: MovingClock
    ) -> None:
        """It changes only if all of them are as expected, a null too."""
        until = moment(clock()) + EXPIRES_IN
        made = await sessions.create(user_id, expires_at=until)
        right = {"expires_at": until, "user_agent": None}

        for wrong in ({"expires_at": until - SECOND}, {"user_agent": ""}):
            expected = {**right, **wrong}
            assert await sessions.update(made.id, expected=expected, ip_address="::1") is None
        assert await sessions.get(made.token) == made
        changed = await sessions.update(made.id, expected=right, ip_address="::1")

        assert changed is not None
        assert changed.ip_address == "::1"

    # --- races -----------------------------------------------------------------------------

    async def test_one_caller_changes_what_all_have_seen(
        self, sessions: SessionStore, user_id: str, race: Race
    ) -> None:
        """Of all who expect one value and write another one does."""
        made = await sessions.create(user_id, user_agent="0")
        for number in range(self.rounds):
            seen, new = {"user_agent": str(number)}, str(number + 1)

            results = await race(
                self.callers, partial(sessions.update, made.id, expected=seen, user_agent=new)
            )

            assert [it.user_agent for it in results if it is not None] == [new]

    async def test_all_who_touch_see_one_extension(
        self,
        sessions: SessionStore,
        new_user_id: NewUserId,
        clock: MovingClock,
        race: Race,
    ) -> None:
        """Requests at the same time are all signed in, until the same instant."""
        made = await sessions.create(await new_user_id())
        for _ in range(self.rounds):
            clock.advance(seconds=self.update_age.total_seconds() + 2)

            results = await race(self.callers, partial(sessions.touch, made.token))

            assert {it.expires_at for it in results} == {results[0].expires_at}
            assert abs(results[0].expires_at - clock() - self.expires_in) <= SECOND
