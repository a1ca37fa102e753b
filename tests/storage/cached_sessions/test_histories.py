"""Over long histories, with outages and losses, a read returns what the database has.

Or an older state, no longer than copies are believed at most, where the storage was not told of a
change or forgot that it was.
"""

import logging
import os
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.storage.cached_sessions.scene import MAX_STALENESS, Process
from tests.storage.cached_sessions.shared_ground import Ground, copy_of

from watchword.concurrency import run_blocking
from watchword.crypto.tokens import digest

HISTORIES: Final = 5000 if "WATCHWORD_SOAK" in os.environ else 200
STEPS: Final = 40
processes = st.integers(0, 1)
people = st.sampled_from(["ada", "bob"])
numbers = st.integers(0, 3)


class Histories(RuleBasedStateMachine):
    """Two processes and two people; the rows, read past both processes, are the truth."""

    new_auth: Any
    new_browser: Any
    new_clock: Any

    @initialize()
    def begin(self) -> None:
        """Sign both up, with a second session each."""
        self.clock = self.new_clock()
        self.ground = Ground(self.clock)
        # Each instance gets the clock of this history.
        self.processes = [Process(f"process {it}", self.ground, self._new_auth) for it in range(2)]
        self.tokens: dict[str, list[str]] = defaultdict(list)
        self.cookies: dict[str, dict[str, str]] = {}
        self.passwords = dict.fromkeys(("ada", "bob"), "difference-engine")
        self.user_ids: dict[str, str] = {}
        self.seen_before: dict[str, list[Any]] = defaultdict(list)
        self.doubtful_until: dict[str, datetime] = {}
        self.sure: dict[str, set[int]] = defaultdict(set)
        self.snapshot: tuple[Any, datetime] | None = None
        for name in self.passwords:
            self._sign_up(name)

    def _new_auth(self, database: Any, **settings: Any) -> Any:
        return self.new_auth(database, clock=self.clock, **settings)

    def _sign_up(self, name: str) -> None:
        browser = self.new_browser(self.processes[0].auth)
        answer = run_blocking(browser.sign_up(name=name, email=f"{name}@example.org"))
        self.user_ids[name] = answer.json["user"]["id"]
        self._know(name, answer.json["token"], browser)

    def _know(self, name: str, token: str, browser: Any) -> None:
        self.tokens[name].append(token)
        self.cookies[token] = dict(browser.cookies)

    # --- the truth ---------------------------------------------------------------------------

    def _truth(self, token: str) -> Any:
        tables = self.ground.tables
        rows = [it for it in tables["session"].values() if it["token"] == digest(token)]
        if not rows:
            return None
        user = tables["user"][rows[0]["user_id"]]
        return rows[0]["expires_at"], rows[0]["ip_address"], user["name"]

    def _token(self, name: str, number: int) -> str:
        """Choose one of the newest sessions of somebody, be it revoked or not."""
        newest = self.tokens[name][-4:]
        return newest[number % len(newest)]

    def _change(self, number: int, name: str, work: Any) -> Any:
        """Change something of somebody, and note who may not have been told."""
        for token in self.tokens[name]:
            self.seen_before[token].append(self._truth(token))
        before = [self._truth(it) for it in self.tokens[name]]
        storage = self.processes[number].storage
        storage.failures = 0
        result = run_blocking(work)
        if before == [self._truth(it) for it in self.tokens[name]]:
            return result
        if storage.failures:
            self.doubtful_until[name] = self.clock.now + MAX_STALENESS
            self.sure[name] = {number}
        else:
            self.doubtful_until.pop(name, None)
        return result

    def _check(self, number: int, name: str, token: str, seen: Any) -> None:
        if seen != self._truth(token):
            assert self._is_doubtful(name), f"{seen} is no more"
            assert number not in self.sure[name], "who changed it sees what was before"
            assert seen in self.seen_before[token], f"{seen} never was"

    def _is_doubtful(self, name: str) -> bool:
        return name in self.doubtful_until and self.clock.now < self.doubtful_until[name]

    # --- reads -------------------------------------------------------------------------------

    @rule(number=processes, name=people, which=numbers)
    def read(self, number: int, name: str, which: int) -> None:
        """Look at a session."""
        token = self._token(name, which)
        seen = run_blocking(self.processes[number].find(token))
        self._check(number, name, token, seen)

    @rule(number=processes, name=people, which=numbers)
    def read_twice(self, number: int, name: str, which: int) -> None:
        """What the first read kept is what the other process finds."""
        for it in (number, 1 - number):
            self.read(it, name, which)

    # --- changes -----------------------------------------------------------------------------

    @rule(number=processes, name=people, which=numbers)
    def revoke(self, number: int, name: str, which: int) -> None:
        """End one session."""
        token = self._token(name, which)
        self._change(number, name, self.processes[number].auth.sessions.revoke(token))

    @rule(number=processes, name=people, which=numbers)
    def revoke_all_but_one(self, number: int, name: str, which: int) -> None:
        """End the others."""
        sessions, but = self.processes[number].auth.sessions, self._token(name, which)
        self._change(number, name, sessions.revoke_all(self.user_ids[name], but=but))

    @rule(number=processes, name=people, new_name=st.sampled_from(["ada A", "bob B", "C"]))
    def rename(self, number: int, name: str, new_name: str) -> None:
        """Change the user."""
        users = self.processes[number].auth.users
        self._change(number, name, users.update(self.user_ids[name], name=new_name))

    @rule(number=processes, name=people, which=numbers)
    def renew(self, number: int, name: str, which: int) -> None:
        """Use a session that is due, two days later."""
        self.clock.advance(days=2)
        token = self._token(name, which)
        self._change(number, name, self.processes[number].auth.sessions.touch(token))

    @rule(number=processes, name=people)
    def sign_in(self, number: int, name: str) -> None:
        """Begin another session over HTTP."""
        browser = self.new_browser(self.processes[number].auth)
        password = self.passwords[name]
        answer = run_blocking(browser.sign_in(email=f"{name}@example.org", password=password))
        self._know(name, answer.json["token"], browser)

    @rule(number=processes, name=people, which=numbers)
    def change_the_password(self, number: int, name: str, which: int) -> None:
        """End all sessions over HTTP by a new password, and begin one."""
        token, new = self._token(name, which), f"engine-{len(self.tokens[name]):08}"
        browser = self.new_browser(self.processes[number].auth, dict(self.cookies[token]))
        body = {
            "currentPassword": self.passwords[name],
            "newPassword": new,
            "revokeOtherSessions": True,
        }
        truth, is_doubtful = self._truth(token), self._is_doubtful(name)
        is_in = truth is not None and truth[0] > self.clock.now
        answer = self._change(number, name, browser.post("/change-password", body))
        assert is_doubtful or (answer.status == 200) is is_in
        if answer.status == 200:
            self.passwords[name] = new
            self._know(name, answer.json["token"], browser)

    # --- mishaps -----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 3, 11, 30, 61]))
    def wait(self, seconds: int) -> None:
        """Let marks end, the breaker close, and copies become too old."""
        self.clock.advance(seconds=seconds)

    @rule(which=st.integers(0, 20))
    def lose_a_value(self, which: int) -> None:
        """The storage needed the room."""
        entries = sorted(self.ground.storage._entries.values(), key=lambda it: it.key)
        if entries:
            self.ground.storage._drop(entries[which % len(entries)])

    @rule()
    def flush(self) -> None:
        """Nobody is logged out by it: the next reads say so."""
        self.ground.storage = type(self.ground.storage)(self.clock)

    @rule(number=processes, calls=st.integers(0, 3), is_done=st.booleans())
    def begin_outage(self, number: int, calls: int, is_done: bool) -> None:  # noqa: FBT001
        """After some more calls the storage fails, or does what it is told and does not say so."""
        self.processes[number].storage.fails_after = calls
        self.processes[number].storage.loses_answers = is_done

    @rule(number=processes)
    def end_outage(self, number: int) -> None:
        """It answers again."""
        self.processes[number].storage.fails_after = None

    @rule(name=people, which=numbers, other=numbers, forges=st.booleans())
    def write_into_the_storage(self, name: str, which: int, other: int, forges: bool) -> None:  # noqa: FBT001
        """Somebody puts one session's copy in the place of another's, or changes what it says."""
        entries = self.ground.storage._entries
        keys = [f"session:{digest(self._token(name, it))}" for it in (which, other)]
        if keys[0] in entries and (entry := entries.get(keys[not forges])) is not None:
            forged = entries[keys[0]].value
            entry.value = forged.replace(name, "mallory") if forges else forged

    @rule()
    def take_a_snapshot(self) -> None:
        """Keep what the storage has."""
        self.snapshot = copy_of(self.ground.storage), self.clock.now

    @precondition(lambda self: self.snapshot is not None)
    @rule(hours=st.integers(0, 1))
    def restart_from_the_snapshot(self, hours: int) -> None:
        """Whoever told the storage of a change since has told it for nothing.

        Its values may live longer than they were to, as where its clock was put back.
        """
        storage, taken_at = self.snapshot
        self.ground.storage = copy_of(storage)
        for it in list(storage._entries.values()):
            self.ground.storage._put(it.key, it.value, it.ends_at + timedelta(hours=hours))
        for name in self.passwords:
            until = max(self.doubtful_until.get(name, taken_at), taken_at + MAX_STALENESS)
            self.doubtful_until[name] = until
        self.sure.clear()

    @rule(number=processes)
    def restart(self, number: int) -> None:
        """A process begins anew, and does not know what it could not tell."""
        self.processes[number].restart({})
        for sure in self.sure.values():
            sure.discard(number)


@pytest.mark.usefixtures("_quiet")
def test_a_read_returns_what_the_database_has(new_auth, new_browser, clock):
    """Whatever happened before it."""
    machine = type(
        "Histories",
        (Histories,),
        {"new_auth": staticmethod(new_auth), "new_browser": new_browser, "new_clock": type(clock)},
    )

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def _quiet(caplog):
    """Outages are logged, which other tests are about."""
    caplog.set_level(logging.CRITICAL, logger="watchword")
