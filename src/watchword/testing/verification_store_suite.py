"""The meaning of `VerificationStore`: a store that passes can keep what proves something once.

    class TestOurs(VerificationStoreSuite):
        @pytest.fixture
        def store(self, clock):
            return OurVerifications(clock=clock)      # no value is in it

Each test runs on an event loop and without one, be the store's methods `def` or `async def`.
"""

from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest

from watchword.storage.stores import Found, VerificationStore
from watchword.testing.store_suite import (
    EXPIRES_IN,
    STRANGE_TEXTS,
    Awaited,
    MovingClock,
    OwnStoreSuite,
    Race,
    differing,
    in_turn,
)

__all__ = ["VerificationStoreSuite"]

CODE = "ada@example.org"
"""A token that is known already, as the address to which a code was sent."""


class VerificationStoreSuite(OwnStoreSuite):
    """Everything that such a store has to keep; subclass it with the fixture `store`."""

    protocol = VerificationStore

    @pytest.fixture
    def verifications(self, store: Any) -> VerificationStore:
        """The store, to be awaited."""
        # It has the methods of the protocol, each made a coroutine function.
        return cast("VerificationStore", Awaited(store))

    # --- once ------------------------------------------------------------------------------

    async def test_a_value_is_redeemed_once(self, verifications: VerificationStore) -> None:
        """By a token that nobody can guess; then it is as if it had never been."""
        token = await verifications.issue("sign-in", "ada", expires_in=EXPIRES_IN)

        redeemed = [await verifications.redeem("sign-in", token) for _ in range(2)]

        assert len(token) >= 22  # 128 bits, as letters and digits
        assert redeemed == ["ada", None]
        assert await verifications.find("sign-in", token) is None
        assert await verifications.discard("sign-in", token) is False
        assert await verifications.attempt("sign-in", token, limit=5) is False

    async def test_tokens_differ(self, verifications: VerificationStore) -> None:
        """Those for the same value too, and each stands for its own."""
        tokens = [
            await verifications.issue("sign-in", str(it), expires_in=EXPIRES_IN)
            for it in range(20)
        ]

        redeemed = [await verifications.redeem("sign-in", it) for it in tokens]

        assert len(set(tokens)) == 20
        assert redeemed == [str(it) for it in range(20)]

    async def test_tokens_have_nothing_in_common(self, verifications: VerificationStore) -> None:
        """What differs between them is long enough not to be guessed, and so no number."""
        tokens = [
            await verifications.issue("sign-in", "ada", expires_in=EXPIRES_IN) for _ in range(20)
        ]

        assert differing(tokens) >= 22, tokens  # 128 bits, as letters and digits

    @pytest.mark.parametrize("value", ["", "Zoë 😀", "a,b;c\"d'\r\ne", "x" * 10000])
    async def test_a_value_is_any_text(self, verifications: VerificationStore, value: str) -> None:
        """Short or long, it comes back as it was."""
        token = await verifications.issue("sign-in", value, expires_in=EXPIRES_IN)

        assert await verifications.find("sign-in", token) == Found(value, is_expired=False)
        assert await verifications.redeem("sign-in", token) == value

    async def test_finding_redeems_nothing(self, verifications: VerificationStore) -> None:
        """However often."""
        token = await verifications.issue("sign-in", "ada", expires_in=EXPIRES_IN)

        found = [await verifications.find("sign-in", token) for _ in range(3)]

        assert found == [Found("ada", is_expired=False)] * 3
        assert await verifications.redeem("sign-in", token) == "ada"

    async def test_a_value_is_discarded_once(self, verifications: VerificationStore) -> None:
        """It is never redeemed then."""
        token = await verifications.issue("sign-in", "ada", expires_in=EXPIRES_IN)

        discarded = [await verifications.discard("sign-in", token) for _ in range(2)]

        assert discarded == [True, False]
        assert await verifications.find("sign-in", token) is None
        assert await verifications.redeem("sign-in", token) is None

    # --- for one purpose -------------------------------------------------------------------

    async def test_a_token_of_one_purpose_is_nothing_in_another(
        self, verifications: VerificationStore
    ) -> None:
        """A link to confirm an address resets no password."""
        token = await verifications.issue("verify-email", "ada", expires_in=EXPIRES_IN)

        for purpose in ("reset-password", "verify-emai", "Verify-Email", "", "verify-email:"):
            assert await verifications.find(purpose, token) is None
            assert await verifications.redeem(purpose, token) is None
            assert await verifications.discard(purpose, token) is False
            assert await verifications.attempt(purpose, token, limit=5) is False
        assert await verifications.redeem("verify-email", token) == "ada"

    async def test_one_token_may_have_several_purposes(
        self, verifications: VerificationStore
    ) -> None:
        """An address to which two codes were sent; also where the two texts meet elsewhere."""
        kept = {("sign-in", CODE): "1", ("reset", CODE): "2", ("a", "b:c"): "3", ("a:b", "c"): "4"}
        for (purpose, token), value in kept.items():
            issued = await verifications.issue(purpose, value, expires_in=EXPIRES_IN, token=token)
            assert issued == token

        redeemed = {it: await verifications.redeem(*it) for it in kept}

        assert redeemed == kept

    async def test_a_strange_token_stands_for_nothing(
        self, verifications: VerificationStore
    ) -> None:
        """Whatever is asked for, the answer is that nothing is there, and never an error."""
        token = await verifications.issue("sign-in", "ada", expires_in=EXPIRES_IN)

        for text in STRANGE_TEXTS:
            assert await verifications.find("sign-in", text) is None
            assert await verifications.redeem("sign-in", text) is None
            assert await verifications.discard("sign-in", text) is False
            assert await verifications.attempt("sign-in", text, limit=5) is False
        assert await verifications.redeem("sign-in", token) == "ada"

    # --- for a while -----------------------------------------------------------------------

    async def test_a_value_expires(
        self, verifications: VerificationStore, clock: MovingClock
    ) -> None:
        """From then on it is told at most that it was, and it can be issued anew."""
        token = await verifications.issue("sign-in", "ada", expires_in=EXPIRES_IN, token=CODE)
        clock.advance(seconds=EXPIRES_IN.total_seconds() - 1)
        assert await verifications.find("sign-in", token) == Found("ada", is_expired=False)

        clock.advance(seconds=1)

        assert await verifications.find("sign-in", token) in {None, Found("ada", is_expired=True)}
        assert await verifications.attempt("sign-in", token, limit=5) is False
        assert await verifications.redeem("sign-in", token) is None
        await verifications.issue("sign-in", "again", expires_in=EXPIRES_IN, token=CODE)
        assert await verifications.redeem("sign-in", CODE) == "again"

    async def test_a_purge_deletes_what_has_expired(
        self, verifications: VerificationStore, clock: MovingClock
    ) -> None:
        """And nothing else; it counts what went."""
        for it in range(3):
            await verifications.issue("sign-in", str(it), expires_in=EXPIRES_IN)
        token = await verifications.issue("sign-in", "ada", expires_in=timedelta(hours=3))
        clock.advance(seconds=EXPIRES_IN.total_seconds() + 1)

        purged = [await verifications.purge() for _ in range(2)]

        assert purged[0] in range(4)  # a store may have deleted them by itself
        assert purged[1] == 0
        assert await verifications.redeem("sign-in", token) == "ada"

    # --- for who knows it ------------------------------------------------------------------

    async def test_a_value_is_issued_anew(
        self, verifications: VerificationStore, clock: MovingClock
    ) -> None:
        """The old value is gone, and so is what was left of its time."""
        await verifications.issue("sign-in", "old", expires_in=EXPIRES_IN, token=CODE)
        clock.advance(seconds=EXPIRES_IN.total_seconds() - 1)

        await verifications.issue("sign-in", "new", expires_in=EXPIRES_IN, token=CODE)

        clock.advance(seconds=EXPIRES_IN.total_seconds() - 1)
        assert await verifications.find("sign-in", CODE) == Found("new", is_expired=False)
        assert await verifications.redeem("sign-in", CODE) == "new"
        assert await verifications.redeem("sign-in", CODE) is None

    async def test_attempts_come_to_an_end(self, verifications: VerificationStore) -> None:
        """After so many; they are counted by purpose and token, and redeem nothing."""
        for purpose in ("sign-in", "reset"):
            await verifications.issue(purpose, "123456", expires_in=EXPIRES_IN, token=CODE)

        tried = [await verifications.attempt("sign-in", CODE, limit=3) for _ in range(5)]

        assert tried == [True, True, True, False, False]
        assert await verifications.attempt("sign-in", CODE, limit=4) is True
        assert await verifications.attempt("sign-in", CODE, limit=4) is False
        assert await verifications.attempt("reset", CODE, limit=1) is True
        assert await verifications.find("sign-in", CODE) == Found("123456", is_expired=False)

    async def test_a_new_value_has_all_its_attempts(
        self, verifications: VerificationStore
    ) -> None:
        """Those at the old one are forgotten, also where it was redeemed."""
        for _ in range(3):
            await verifications.issue("sign-in", "123456", expires_in=EXPIRES_IN, token=CODE)

            tried = [await verifications.attempt("sign-in", CODE, limit=2) for _ in range(3)]

            assert tried == [True, True, False]
        await verifications.redeem("sign-in", CODE)
        await verifications.issue("sign-in", "123456", expires_in=EXPIRES_IN, token=CODE)
        assert await verifications.attempt("sign-in", CODE, limit=2) is True

    async def test_no_attempt_where_none_is_allowed(
        self, verifications: VerificationStore
    ) -> None:
        """A limit of nothing lets nobody try."""
        await verifications.issue("sign-in", "123456", expires_in=EXPIRES_IN, token=CODE)

        assert await verifications.attempt("sign-in", CODE, limit=0) is False

    # --- races -----------------------------------------------------------------------------

    async def test_one_caller_redeems(self, verifications: VerificationStore, race: Race) -> None:
        """Of all who have one token one gets the value."""
        for _ in range(self.rounds):
            token = await verifications.issue("sign-in", "ada", expires_in=EXPIRES_IN)

            results = await race(self.callers, partial(verifications.redeem, "sign-in", token))

            assert results.count("ada") == 1, results
            assert results.count(None) == self.callers - 1, results

    async def test_one_caller_discards(self, verifications: VerificationStore, race: Race) -> None:
        """Of all who forget one value one did."""
        for _ in range(self.rounds):
            token = await verifications.issue("sign-in", "ada", expires_in=EXPIRES_IN)

            results = await race(self.callers, partial(verifications.discard, "sign-in", token))

            assert sorted(results) == [False] * (self.callers - 1) + [True]

    async def test_so_many_callers_may_try(
        self, verifications: VerificationStore, race: Race
    ) -> None:
        """However many guess at once, no more than the limit may, and no fewer."""
        limit = min(5, self.callers)
        for _ in range(self.rounds):
            await verifications.issue("sign-in", "123456", expires_in=EXPIRES_IN, token=CODE)

            results = await race(
                self.callers, partial(verifications.attempt, "sign-in", CODE, limit=limit)
            )

            assert results.count(True) == limit, results
            assert results.count(False) == self.callers - limit, results

    async def test_of_all_who_issue_one_stays(
        self, verifications: VerificationStore, race: Race
    ) -> None:
        """Nobody meets an error, and the token stands for one value, once."""
        for _ in range(self.rounds):
            left = iter(range(self.callers))

            async def issue() -> str:
                value = str(next(left))  # noqa: B023 - the race ends in this turn
                return await verifications.issue(
                    "sign-in", value, expires_in=EXPIRES_IN, token=CODE
                )

            assert await race(self.callers, issue) == [CODE] * self.callers

            redeemed = [await verifications.redeem("sign-in", CODE) for _ in range(2)]
            assert redeemed[0] in {str(it) for it in range(self.callers)}
            assert redeemed[1] is None

    async def test_a_value_that_is_issued_meanwhile_stays(
        self, verifications: VerificationStore, race: Race
    ) -> None:
        """Whoever redeems the old value does not delete the new one."""
        for turn in range(self.rounds):
            codes = [f"{turn}-{it}@example.org" for it in range(max(1, self.callers // 2))]
            calls: list[Any] = []
            for code in codes:
                keep = partial(verifications.issue, "sign-in", expires_in=EXPIRES_IN, token=code)
                await keep("old")
                redeem = partial(verifications.redeem, "sign-in", code)
                calls += [redeem, partial(keep, f"new for {code}")]

            results = await race(len(calls), in_turn(calls))

            results += [await verifications.redeem("sign-in", code) for code in codes]
            assert [results.count(f"new for {code}") for code in codes] == [1] * len(codes)
