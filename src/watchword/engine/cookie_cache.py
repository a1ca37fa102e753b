"""The cookie cache: a signed copy of session and user, which spares reads of the store."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, get_args

import msgspec

from watchword.clock import Clock
from watchword.concurrency import call
from watchword.crypto.cookie_cache import Form, form_of, milliseconds
from watchword.crypto.tokens import equal
from watchword.engine.output import Output
from watchword.errors import ConfigurationError
from watchword.http.bodies import dump
from watchword.schema import Field, Schema, camel_case
from watchword.storage.entities import Identity, Session, User
from watchword.storage.json_types import JSON_TYPES, Instant

__all__ = ["CookieCache", "SessionCopies", "Strategy", "Version"]

Entity = TypeVar("Entity", bound=User | Session)

Strategy: TypeAlias = Literal["compact", "jwt", "jwe"]
Version: TypeAlias = str | Callable[[Session, User], Awaitable[str] | str]

_SHORTEST: Final = timedelta(seconds=1)
# Whoever asked not to be remembered leaves no copy that works for longer.
_FORGOTTEN_IN: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class CookieCache:
    """A copy of session and user in a cookie, from which reads are answered.

    Args:
        max_age: How long a copy is believed, and so how long a session that was revoked, or a
            user who was changed elsewhere, still looks as before to what only reads.
        strategy: "compact" and "jwt" are signed, and readable to whoever has the cookie; "jwe"
            is encrypted.
        version: Copies of another version are not believed: change it, and none is any more.
            Or a function of session and user, `def` or `async def`, that is asked at each use
            of a copy. It is given what stands in the copy, so what it returns has to depend on
            something else to end one.

    Raises:
        ConfigurationError: Nothing could be kept like this.
    """

    max_age: timedelta = timedelta(minutes=5)
    strategy: Strategy = "compact"
    version: Version = "1"

    def __post_init__(self) -> None:
        if not isinstance(self.max_age, timedelta) or self.max_age < _SHORTEST:
            raise ConfigurationError(
                "max_age is no span of a second or more.",
                hint="Write it like timedelta(minutes=5); cookie_cache=None keeps no copies.",
            )
        if self.strategy not in get_args(Strategy):
            raise ConfigurationError(
                f"Sessions cannot be copied by {self.strategy!r}.",
                hint='Use "compact", "jwt" or "jwe".',
            )
        if not callable(self.version) and not (isinstance(self.version, str) and self.version):
            raise ConfigurationError(
                f"{self.version!r} is no version of copies.",
                hint='Use a text like "2", or a function of session and user.',
            )

    def check_within(self, expires_in: timedelta) -> None:
        """Refuse copies that would be believed for longer than sessions last.

        Raises:
            ConfigurationError: They would be.
        """
        if self.max_age > expires_in:
            raise ConfigurationError(
                "The cookie cache's max_age is longer than expires_in.",
                hint="A few minutes spare nearly all reads.",
            )


class SessionCopies:
    """Makes the copies of one instance, and tells which of them still hold.

    Args:
        cache: The settings.
        secrets: The current one first, then older ones that are still accepted.
        schema: What sessions and users are.
        clock: Tells the time.
    """

    def __init__(
        self, cache: CookieCache, *, secrets: Sequence[str], schema: Schema, clock: Clock
    ) -> None:
        self._cache = cache
        self._form: Form = form_of(cache.strategy, secrets)
        self._output = Output(schema)
        self._session = _Copied(schema, "session", Session)
        self._user = _Copied(schema, "user", User)
        self._decoder = msgspec.json.Decoder(_payload_of(self._session, self._user))
        self._clock = clock

    @property
    def are_complete(self) -> bool:
        """Whether a copy has all that the store has, to the millisecond."""
        return self._session.is_complete and self._user.is_complete

    def lifetime(self, *, lasting: bool) -> timedelta:
        """Return how long a copy holds that is made for a client."""
        return self._cache.max_age if lasting else min(self._cache.max_age, _FORGOTTEN_IN)

    async def write(self, identity: Identity, *, read_at: datetime, lasting: bool) -> str:
        """Return a copy of what was read from the store, with returned fields alone.

        Args:
            identity: What was read.
            read_at: When, or before that; a copy ages from then on.
            lasting: The client asked to be remembered.
        """
        payload = {
            "session": _json(self._output.session(identity.session)),
            "user": _json(self._output.user(identity.user)),
            "updatedAt": milliseconds(read_at),
            "version": await self._version_of(identity),
        }
        return self._form.write(payload, made_at=read_at, lives=self.lifetime(lasting=lasting))

    async def read(self, copy: str, *, token: str) -> Identity | None:
        """Return who asks, or None for whatever is no copy of their session that still holds.

        Args:
            copy: As the browser sent it.
            token: Of the session cookie beside it. A copy alone signs nobody in, so one that is
                left over after a sign-out is worth nothing.
        """
        opened = self._form.read(copy)
        if opened is None:
            return None
        try:
            found: Any = self._decoder.decode(opened.payload)
        except msgspec.DecodeError:
            return None  # of another release, with other fields
        now = self._clock()
        oldest = milliseconds(now - self._cache.max_age)
        if opened.expires_at <= milliseconds(now) or found.updatedAt <= oldest:
            return None
        identity = Identity(self._session.entity(found.session), self._user.entity(found.user))
        session = identity.session
        if not equal(session.token, token) or session.expires_at <= now:
            return None
        return identity if await self._version_of(identity) == found.version else None

    async def _version_of(self, identity: Identity) -> str:
        version = self._cache.version
        if isinstance(version, str):
            return version
        return str(await call(version, identity.session, identity.user))


# --- from a copy to what it is of -------------------------------------------------------------


class _Copied(Generic[Entity]):
    """The returned fields of one model, as they stand in a copy by their wire names."""

    def __init__(self, schema: Schema, model: str, entity: type[Entity]) -> None:
        fields = schema.require_model(model).fields
        own = {it.name: it.type for it in msgspec.structs.fields(entity)}
        returned = {name: it for name, it in fields.items() if it.returned}
        self._entity = entity
        self._own = tuple((name, camel_case(name)) for name in returned if name in own)
        self._extra = tuple((name, camel_case(name)) for name in returned if name not in own)
        self.is_complete = len(returned) == len(fields)
        self.type = msgspec.defstruct(
            f"Copied{entity.__name__}",
            [(camel_case(name), _type_of(it, own.get(name))) for name, it in returned.items()],
            frozen=True,
        )

    def entity(self, copied: msgspec.Struct) -> Entity:
        own = {name: getattr(copied, wire) for name, wire in self._own}
        extra = {name: getattr(copied, wire) for name, wire in self._extra}
        return self._entity(**own, extra=extra)


def _type_of(given: Field, declared: Any) -> Any:
    """Return what a value has to be; ids are texts in entities, whatever they are stored as."""
    if declared is None or given.type == "datetime":
        return JSON_TYPES[given.type] | None if declared is None else Instant
    return declared


def _payload_of(session: _Copied[Session], user: _Copied[User]) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any]] = [
        ("session", session.type),
        ("user", user.type),
        ("updatedAt", int),
        ("version", str),
    ]
    return msgspec.defstruct("Payload", fields, frozen=True)


def _json(values: Mapping[str, Any]) -> Any:
    """Return what clients are told as what JSON knows: instants and bytes as texts."""
    return msgspec.json.decode(dump(values))
