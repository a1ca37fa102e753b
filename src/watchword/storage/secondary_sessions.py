"""Sessions in a secondary storage alone: no table, no purge."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeAlias

from watchword.clock import Clock, utc_now
from watchword.concurrency import Backoff
from watchword.crypto.tokens import new_token
from watchword.errors import InvalidValue, StorageUnavailable, UniqueViolation
from watchword.storage.entities import Session
from watchword.storage.ids import new_uuid
from watchword.storage.secondary import SecondaryStorage
from watchword.storage.session_documents import KeptSession, Name, hashed, kept, read, written
from watchword.storage.stores.sessions import Lifetimes

__all__ = ["SecondarySessions"]

Change: TypeAlias = Callable[[list[KeptSession]], list[KeptSession] | None]
"""What becomes of a user's sessions; None if nothing does."""

# As an instance without other settings has them.
_LIFETIMES: Final = Lifetimes(
    expires_in=timedelta(days=7),
    forgotten_in=timedelta(days=1),
    update_age=timedelta(days=1),
    refresh=True,
)
_POINTERS: Final = ("token", "id")
# Of so many callers who change one user's sessions at a time each is sure to have its turn;
# the pauses spread those who lost one.
_TRIES: Final = 100
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.01
_SHORTEST_LIFE: Final = timedelta(milliseconds=1)
# A document without sessions is as good as none, and is not deleted: the next session may be
# in it already.
_EMPTY_FOR: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class SecondarySessions:
    """Keeps sessions in a secondary storage; pass it as `sessions=`.

    All sessions of a user are one document, which changes from one text to the next in one step:
    whoever races, a session is either listed and works, or it has ended for exactly one caller.
    Beside it two pointers lead from a session's token and id to its user. A pointer signs nobody
    in: the session has to stand in the document.

    It takes no part in transactions. Losing the storage loses the sessions: everybody signs in
    anew.

    Args:
        storage: Where; the instance closes it.
        clock: Tells the time.
        lifetimes: How long sessions live of whoever calls this store itself; an instance says
            with each session until when.
    """

    storage: SecondaryStorage
    clock: Clock = utc_now
    lifetimes: Lifetimes = _LIFETIMES

    async def create(
        self,
        user_id: str,
        *,
        token: str | None = None,
        expires_at: datetime | None = None,
        ip_address: str | None = None,
        user_agent: str | None = None,
        **values: Any,
    ) -> Session:
        """Make a session and return it with its token.

        Raises:
            UniqueViolation: Another session has this token, or this id.
        """
        now, token = self.clock(), token or new_token()
        made = kept(
            {
                "id": new_uuid(),
                "created_at": now,
                "updated_at": now,
                **values,
                "token": hashed("token", token),
                "expires_at": expires_at or now + self.lifetimes.expires_in,
                "ip_address": ip_address,
                "user_agent": user_agent,
            }
        )
        # Pointers first: a session without them would be listed, and work for nobody.
        await self._claim(user_id, made)
        await self._change(user_id, partial(_with, made))
        return made.as_session(user_id, token)

    async def get(self, token: str) -> Session | None:
        """Return the session of a token, or None if it is unknown or has ended."""
        found = await self._find("token", hashed("token", token))
        return None if found is None else found[1].as_session(found[0], token)

    async def find(self, session_id: str) -> Session | None:
        """Return a session by its id, until it has ended; its token is its handle."""
        found = await self._find("id", session_id)
        return None if found is None else found[1].as_session(found[0])

    async def touch(self, token: str) -> Session | None:
        """Return a session as `get` does, and let it live on, for it is in use."""
        found = await self.get(token)
        now = self.clock()
        if found is None or not self.lifetimes.is_due(found, now):
            return found
        seen = {"user_id": found.user_id, "expires_at": found.expires_at}
        extended = now + self.lifetimes.expires_in
        await self.update(found.id, expected=seen, expires_at=extended)
        # Of several that find it due, one writes; all see what it wrote.
        return await self.get(token)

    async def list_for_user(self, user_id: str) -> list[Session]:
        """Return all sessions of a user that still hold, the oldest first, with handles."""
        sessions = self._live(await self.storage.get(_document(user_id)))
        in_order = sorted(sessions, key=lambda it: (it.created_at, it.id))
        return [it.as_session(user_id) for it in in_order]

    async def update(
        self, session_id: str, *, expected: Mapping[str, Any] | None = None, **changes: Any
    ) -> Session | None:
        """Change a session and return it as `find` does; None if there is none.

        Raises:
            InvalidValue: Its id, token or user is to be another one.
        """
        for field in {"id", "token", "user_id"} & changes.keys():
            raise InvalidValue("session", field, "never changes")
        seen = dict(expected or {})
        # Who knows whose it is finds it, also where its pointer was lost.
        if "user_id" not in seen:
            seen["user_id"] = await self.storage.get(_pointer("id", session_id))
        user_id = seen.pop("user_id")
        if user_id is None:
            return None
        if "token" in seen:
            seen["token"] = hashed("token", seen["token"])
        new = {"updated_at": self.clock(), **changes}
        changed = await self._change(user_id, partial(_changed, session_id, seen, new))
        if changed is None:
            return None
        return next(it.as_session(user_id) for it in changed[1] if it.id == session_id)

    async def revoke(self, token: str, *, user_id: str | None = None) -> bool:
        """End the session of a token or handle; tell whether this call did."""
        name = Name.of(token)
        for owner in await self._owners(name) if user_id is None else [user_id]:
            if await self._end(owner, name.is_of):
                return True
        return False

    async def revoke_all(self, user_id: str, *, but: str | None = None) -> int:
        """End every session of a user, or every one but that of a token or handle."""
        if but is None:
            return await self._end(user_id, lambda _: True)
        excepted = Name.of(but)
        return await self._end(user_id, lambda it: not excepted.is_of(it))

    async def purge(self) -> int:
        """Do nothing, for sessions end by themselves."""
        return 0

    # --- pointers ----------------------------------------------------------------------------

    async def _find(self, field: str, value: str) -> tuple[str, KeptSession] | None:
        """Follow a pointer; return the session to which it leads, and whose it is."""
        user_id = await self.storage.get(_pointer(field, value))
        if user_id is None:
            return None
        for it in self._live(await self.storage.get(_document(user_id))):
            if getattr(it, field) == value:
                return user_id, it
        return None

    async def _owners(self, name: Name) -> list[str]:
        """Return whose session may be called so."""
        values = zip(_POINTERS, (name.hashed, name.text), strict=True)
        found = [await self.storage.get(_pointer(*it)) for it in values]
        return list(dict.fromkeys(it for it in found if it is not None))

    async def _claim(self, user_id: str, session: KeptSession) -> None:
        """Write the pointers of a new session."""
        for field in _POINTERS:
            value, ttl = getattr(session, field), self._left(session)
            if await self.storage.set_if_absent(_pointer(field, value), user_id, ttl=ttl):
                continue
            if await self._find(field, value) is not None:
                raise UniqueViolation("session", [field])
            # What a session left behind that has ended.
            await self.storage.set(_pointer(field, value), user_id, ttl=ttl)

    async def _extend(self, user_id: str, sessions: Iterable[KeptSession]) -> None:
        """Let pointers live as long as their sessions."""
        for it in sessions:
            for field in _POINTERS:
                key = _pointer(field, getattr(it, field))
                await self.storage.set(key, user_id, ttl=self._left(it))

    # --- documents ---------------------------------------------------------------------------

    async def _change(
        self, user_id: str, change: Change
    ) -> tuple[list[KeptSession], list[KeptSession]] | None:
        """Change a user's sessions in one step; return them as they were, and as they are.

        Raises:
            StorageUnavailable: Others changed them all the time.
        """
        key, extended, backoff = _document(user_id), set[str](), _backoff()
        for _ in range(_TRIES):
            text = await self.storage.get(key)
            before = self._live(text)
            after = change(before)
            if after is None:
                # What others wrote meanwhile may end later than what we wrote the pointers for.
                await self._extend(user_id, (it for it in before if it.id in extended))
                return None
            # Before the document, as with a new session.
            longer = _longer(before, after)
            extended |= {it.id for it in longer}
            await self._extend(user_id, longer)
            if await self._swap(key, text, after):
                return before, after
            await backoff.pause()
        raise StorageUnavailable(
            "The sessions of this user are changed by others all the time.", retryable=True
        )

    async def _swap(self, key: str, text: str | None, sessions: list[KeptSession]) -> bool:
        """Put a document in the place of the one that was read; tell whether that was there."""
        now = self.clock()
        live = [it for it in sessions if it.expires_at > now]
        ends_at = max((it.expires_at for it in live), default=now + _EMPTY_FOR)
        ttl = (ends_at - now).total_seconds()
        if text is None:
            return await self.storage.set_if_absent(key, written(live), ttl=ttl)
        return await self.storage.compare_and_set(key, text, written(live), ttl=ttl)

    async def _end(self, user_id: str, ends: Callable[[KeptSession], bool]) -> int:
        """End some sessions of a user and return how many this call ended."""
        changed = await self._change(user_id, partial(_without, ends))
        if changed is None:
            return 0
        gone = [it for it in changed[0] if ends(it)]
        # They have ended. Pointers that stay lead to nothing, and end by themselves.
        with suppress(StorageUnavailable):
            for it in gone:
                for field in _POINTERS:
                    await self.storage.delete(_pointer(field, getattr(it, field)))
        return len(gone)

    def _live(self, text: str | None) -> list[KeptSession]:
        now = self.clock()
        return [it for it in read(text) if it.expires_at > now]

    def _left(self, session: KeptSession) -> float:
        """Return how many seconds a session has left, as lifetime of what points at it."""
        return max(session.expires_at - self.clock(), _SHORTEST_LIFE).total_seconds()


# --- keys ----------------------------------------------------------------------------------


def _document(user_id: str) -> str:
    return f"sessions:{{{hashed('user_id', user_id)}}}"


def _pointer(field: str, value: str) -> str:
    # Digested, so that a key is short and shows nothing, whatever strangers ask for.
    return f"session-of-{field}:{hashed(field, value)}"


def _backoff() -> Backoff:
    return Backoff(first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)


# --- changes -------------------------------------------------------------------------------


def _with(made: KeptSession, sessions: list[KeptSession]) -> list[KeptSession]:
    for field in _POINTERS:
        if any(getattr(it, field) == getattr(made, field) for it in sessions):
            raise UniqueViolation("session", [field])
    return [*sessions, made]


def _changed(
    session_id: str,
    expected: Mapping[str, Any],
    changes: Mapping[str, Any],
    sessions: list[KeptSession],
) -> list[KeptSession] | None:
    for index, it in enumerate(sessions):
        if it.id == session_id:
            record = it.to_record()
            if any(record.get(name) != value for name, value in expected.items()):
                return None
            return [*sessions[:index], kept({**record, **changes}), *sessions[index + 1 :]]
    return None


def _without(
    ends: Callable[[KeptSession], bool], sessions: list[KeptSession]
) -> list[KeptSession] | None:
    stay = [it for it in sessions if not ends(it)]
    return stay if len(stay) < len(sessions) else None


def _longer(before: list[KeptSession], after: list[KeptSession]) -> list[KeptSession]:
    """Return the sessions that end later than they did."""
    ends_at = {it.id: it.expires_at for it in before}
    return [it for it in after if it.expires_at > ends_at.get(it.id, it.expires_at)]
