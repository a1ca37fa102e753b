"""Readers and writers of one session, in several processes, and what they may see of it."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final

from tests.storage.cached_sessions.interleaving import Actor, Loop, Schedules
from tests.storage.cached_sessions.shared_ground import (
    DATABASE,
    MARK_ENDS_IN,
    STORAGE,
    Ground,
    SteppedAdapter,
    SteppedStorage,
    copy_of,
)

from watchword import Watchword
from watchword.adapters.memory_storage import MemoryStorage
from watchword.concurrency import run_blocking
from watchword.crypto.tokens import digest
from watchword.storage.cached_sessions import CachedSessions
from watchword.storage.entities import Identity, Session

TOKEN: Final = "ada-s-token"
OTHER_TOKEN: Final = "ada-s-other-token"
SESSION_KEY: Final = f"session:{digest(TOKEN)}"
MAX_STALENESS: Final = timedelta(minutes=1)
# Calls begin and return; who begins after a return is to see what that call did.
CALLS: Final = "/calls"
EVERYWHERE: Final = "/"


class Process:
    """One process: an instance, with a way of its own to the database and to the storage."""

    def __init__(self, name: str, ground: Ground, new_auth: Callable[..., Watchword]) -> None:
        self.name = name
        self.adapter = SteppedAdapter(ground)
        self.storage = SteppedStorage(ground)
        cached = CachedSessions(storage=self.storage, max_staleness=MAX_STALENESS)
        self.auth = new_auth(self.adapter, sessions=cached)
        self.cache = self.auth.instance.store.session_cache

    def restart(self, owners: dict[str, str]) -> None:
        """Forget what a process knows, but for whose sessions are."""
        self.cache._owners._users = dict(owners)
        self.cache.versions._untold.clear()
        self.cache._breaker._failed_at = None
        self.storage.fails_after = None

    async def find(self, token: str = TOKEN) -> tuple[Any, ...] | None:
        """Return what a read sees of a session."""
        return view_of(await self.auth.instance.sessions.find(token))


def view_of(found: Identity | None) -> tuple[Any, ...] | None:
    """Return what can change of a session and its user."""
    if found is None:
        return None
    return found.session.expires_at, found.session.ip_address, found.user.name


class Scene:
    """One user with two sessions, of which one is looked at.

    After each schedule, and for each read that begins after a writer has returned, nothing older
    is seen than what that writer left.

    Args:
        new_auth: Makes instances.
        clock: Stands still.
        state: What the storage has at the beginning, a key of `STATES`.
        patience: How long an old state may be seen at the end, if at all.
        is_known: Every process remembers at the beginning whose session it is.
    """

    def __init__(
        self,
        new_auth: Any,
        clock: Any,
        state: str = "cold",
        *,
        patience: timedelta = timedelta(0),
        is_known: bool = False,
    ) -> None:
        self.clock = clock
        self._patience = patience
        self.stale_reads = 0
        self.outcome: tuple[object, ...] = ()
        self.ground = Ground(clock)
        self.loop = Loop()
        self.processes = [Process(f"process {it}", self.ground, new_auth) for it in range(3)]
        run_blocking(self._sign_in())
        run_blocking(STATES[state](self))
        self._owners = {SESSION_KEY: self.user_id} if is_known else {}
        self._start = dict(self.ground.adapter._tables), copy_of(self.ground.storage), clock.now
        self.views: list[Any] = []
        self.floor = 0
        self._left: dict[str, int] = {}
        self._copy: str | None = None
        self._actors: list[Actor] = []

    async def _sign_in(self) -> None:
        auth = self.processes[0].auth
        user = await auth.users.create(email="ada@example.org", name="Ada")
        self.user_id = user.id
        self.version_key = f"session-version:{digest(user.id)}"
        for token in (TOKEN, OTHER_TOKEN):
            await auth.sessions.create(user.id, token=token, ip_address="203.0.113.7")
        found = await auth.instance.sessions.find(TOKEN)
        self.session: Session = found.session
        self.ground.storage = MemoryStorage(self.clock)
        self.clock.advance(hours=1)

    # --- one schedule ------------------------------------------------------------------------

    def explore(
        self, make_actors: Callable[["Scene"], list[Actor]], *, reduced: bool = True
    ) -> Schedules:
        """Play every schedule of some actors."""
        with self.loop.running():
            return Schedules(reduced=reduced).play_all(partial(self.play, make_actors))

    def play(self, make_actors: Callable[["Scene"], list[Actor]], schedules: Schedules) -> None:
        """Play a schedule, and look at what is there then."""
        self._begin()
        self._actors = actors = make_actors(self)
        try:
            for actor in actors:
                actor.start(self.loop)
            while alive := [it for it in actors if not self._is_over(it)]:
                self._go(self._chosen(alive, schedules))
        finally:
            self._break_off()
        for actor in actors:
            actor.result()
        self.outcome += self._values()
        self.check_reads({it.process for it in actors if it.is_dead})

    def _begin(self) -> None:
        tables, storage, self.clock.now = self._start
        self.ground.restore(tables, storage)
        for process in self.processes:
            process.restart(self._owners)
        self.views, self.floor, self._left = [self._truth()], 0, {}
        self._copy = self._stored_copy()
        self.outcome = ()

    def _is_over(self, actor: Actor) -> bool:
        """Tell whether somebody has nothing to do; so has the death of who has left."""
        victims = [it for it in self._actors if it.name == actor.next_step.kills]
        return actor.has_ended or any(it.has_ended for it in victims)

    def _chosen(self, alive: list[Actor], schedules: Schedules) -> Actor:
        alone = next((it for it in alive if self._is_unseen(it)), None)
        if alone is not None:
            return alone
        able = {it.name: it.next_step for it in alive if self._is_able(it)}
        assert able, "everybody waits for everybody"
        name = schedules.choose(able)
        return next(it for it in alive if it.name == name)

    def _is_unseen(self, actor: Actor) -> bool:
        """Tell whether a step concerns nobody else, so that it does not matter when it is done."""
        inmates = [it for it in self._actors if it.process == actor.process]
        return len(inmates) == 1 and actor.next_step.place == actor.process

    def _is_able(self, actor: Actor) -> bool:
        step = actor.next_step
        needs_turn = step.place == DATABASE and step.changes and step.kills is None
        owner = self.ground.adapter._open and self.ground.adapter._open.owner
        return not needs_turn or owner is None or owner is actor.task

    def _go(self, actor: Actor) -> None:
        actor.go(self.loop)
        truth = self._truth()
        if truth != self.views[-1]:
            self.views.append(truth)
            self._left[actor.name] = len(self.views) - 1
        self._check_copy()

    def _break_off(self) -> None:
        """Leave nobody waiting in a redundant schedule, and no death that came too late."""
        for actor in self._actors:
            if not actor.has_ended:
                actor.die()
        self.loop.drain()

    # --- what has to hold --------------------------------------------------------------------

    def _truth(self) -> Any:
        tables = self.ground.tables
        session = tables["session"].get(self.session.id)
        user = tables["user"].get(self.user_id)
        if session is None or user is None:
            return None
        return session["expires_at"], session["ip_address"], user["name"]

    def _stored_copy(self) -> str | None:
        entry = self.ground.storage._entries.get(SESSION_KEY)
        return None if entry is None else entry.value

    def _values(self) -> tuple[object, ...]:
        """Return what stands in the storage, but for chance: whose state, and of which version."""
        version = self.ground.storage._entries.get(self.version_key)
        version = None if version is None else version.value
        if self._copy is None:
            return None, version == "changing"
        entry = self.processes[0].cache._entries.read(self._copy)
        return self._age(self._copy), entry.version == version, version == "changing"

    def _check_copy(self) -> None:
        """No copy takes the place of a newer one."""
        before, self._copy = self._copy, self._stored_copy()
        if self._copy not in {before, None} and before is not None:
            assert self._age(before) <= self._age(self._copy), "a newer copy was replaced"

    def _age(self, copy: str) -> int:
        row = self.processes[0].cache._entries.read(copy).row
        view = row["expires_at"], row["ip_address"], row["user"]["name"]
        return self.views.index(view) if view in self.views else -1

    def check_reads(self, dead: Iterable[str | None] = ()) -> None:
        """Everybody sees the truth, now and when marks have ended."""
        ended = self.clock.now
        for span in (timedelta(0), MARK_ENDS_IN, self._patience):
            self.clock.now = ended + span
            for process in self.processes[:2]:
                if process.name not in dead:
                    seen = run_blocking(process.find())
                    is_late = self.clock.now - ended >= self._patience
                    self.stale_reads += seen != self.views[-1]
                    assert seen == self.views[-1] or not is_late, f"{process.name} sees {seen}"

    # --- who takes part ----------------------------------------------------------------------

    def reader(self, number: int, name: str = "reader") -> Actor:
        """Look at the session once, in a process."""
        process = self.processes[number]

        async def read() -> None:
            await actor.wait_for_turn(CALLS)
            floor = self.floor
            seen = await process.find()
            self.outcome += (name, self.views.index(seen))
            assert seen in self.views[floor:], f"{name} sees {seen} of {self.views[floor:]}"

        actor = Actor(name, read, process.name)
        return actor

    def writer(self, number: int, kind: str, name: str = "writer") -> Actor:
        """Change something in a process, one of `WRITES`."""
        process = self.processes[number]

        async def write() -> None:
            await actor.wait_for_turn()
            await WRITES[kind](self, process.auth, name)
            await actor.wait_for_turn(CALLS, changes=True)
            self.floor = max(self.floor, self._left.get(name, 0))

        actor = Actor(name, write, process.name)
        return actor

    def event(self, name: str, place: str, happen: Callable[[], object], **about: Any) -> Actor:
        """Let something happen at any point, in no process."""

        async def wait_and_happen() -> None:
            await actor.wait_for_turn(place, changes=True, **about)
            happen()

        actor = Actor(name, wait_and_happen, "no process")
        return actor

    def death(self, victim: Actor) -> Actor:
        """Let somebody's process die; what it has open is undone."""
        return self.event("death", DATABASE, victim.die, kills=victim.name)

    def eviction(self, key: str) -> Actor:
        """Let the storage lose a value."""

        def drop() -> None:
            if (entry := self.ground.storage._entries.get(key)) is not None:
                self.ground.storage._drop(entry)

        return self.event(f"loss of {key.partition(':')[0]}", f"{STORAGE}{key}", drop)

    def flush(self) -> Actor:
        """Let the storage lose everything."""

        def forget() -> None:
            self.ground.storage._entries.clear()
            self.ground.storage._by_end._heap.clear()

        return self.event("flush", STORAGE, forget)

    def passing_of_time(self) -> Actor:
        """Let marks end."""

        def advance() -> None:
            self.clock.now += MARK_ENDS_IN

        return self.event("time", EVERYWHERE, advance)


# --- what the storage has at the beginning ---------------------------------------------------


async def _be_cold(_scene: Scene) -> None:
    """Nobody was here."""


async def _be_warm(scene: Scene) -> None:
    await scene.processes[0].find()


async def _lack_the_version(scene: Scene) -> None:
    await _be_warm(scene)
    await scene.ground.storage.delete(scene.version_key)


async def _have_another_version(scene: Scene) -> None:
    await _be_warm(scene)
    await scene.processes[0].auth.users.update(scene.user_id, name="Ada Lovelace")
    scene.clock.now += MARK_ENDS_IN
    await scene.processes[0].find(OTHER_TOKEN)


async def _be_marked(scene: Scene) -> None:
    await _be_warm(scene)
    await scene.processes[0].cache.versions.drop(scene.user_id)


STATES: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    "cold": _be_cold,
    "warm": _be_warm,
    "without version": _lack_the_version,
    "with another version": _have_another_version,
    "marked": _be_marked,
}


# --- what writers do -------------------------------------------------------------------------


class _Undone(Exception):
    """What undoes a transaction."""


async def _revoke(_scene: Scene, auth: Watchword, _name: str) -> None:
    assert await auth.sessions.revoke(TOKEN) in {True, False}


async def _revoke_of_user(scene: Scene, auth: Watchword, _name: str) -> None:
    await auth.sessions.revoke(scene.session.id, user_id=scene.user_id)


async def _revoke_all(scene: Scene, auth: Watchword, _name: str) -> None:
    await auth.sessions.revoke_all(scene.user_id)


async def _sign_out(_scene: Scene, auth: Watchword, _name: str) -> None:
    await auth.instance.sessions.delete(TOKEN)


async def _update_user(scene: Scene, auth: Watchword, name: str) -> None:
    await auth.users.update(scene.user_id, name=name)


async def _delete_user(scene: Scene, auth: Watchword, _name: str) -> None:
    await auth.users.delete(scene.user_id)


async def _renew(scene: Scene, auth: Watchword, _name: str) -> None:
    await auth.instance.sessions.renew(scene.session)


async def _update_session(scene: Scene, auth: Watchword, name: str) -> None:
    await auth.sessions.update(scene.session.id, ip_address=name)


async def _update_and_revoke(scene: Scene, auth: Watchword, name: str) -> None:
    async with auth.transaction():
        await _update_user(scene, auth, name)
        await _revoke(scene, auth, name)


async def _undo_a_part(scene: Scene, auth: Watchword, name: str) -> None:
    async with auth.transaction():
        await _undo_all(scene, auth, name)
        await _update_session(scene, auth, name)


async def _undo_all(scene: Scene, auth: Watchword, name: str) -> None:
    with suppress(_Undone):
        async with auth.transaction():
            await _revoke_all(scene, auth, name)
            raise _Undone


async def _look_and_undo(scene: Scene, auth: Watchword, name: str) -> None:
    with suppress(_Undone):
        async with auth.transaction():
            await _update_user(scene, auth, name)
            found = await auth.instance.sessions.find(TOKEN)
            assert found is None or found.user.name == name
            raise _Undone


WRITES: Final[dict[str, Callable[[Scene, Watchword, str], Awaitable[None]]]] = {
    "revoke": _revoke,
    "revoke by user": _revoke_of_user,
    "revoke all": _revoke_all,
    "sign out": _sign_out,
    "update user": _update_user,
    "delete user": _delete_user,
    "renew": _renew,
    "update session": _update_session,
    "update and revoke in a transaction": _update_and_revoke,
    "undo a part of a transaction": _undo_a_part,
    "undo a transaction": _undo_all,
    "look at it in a transaction": _look_and_undo,
}
