"""What an adapter for MongoDB can be made from: a URL, or a client or database of PyMongo."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, TypeAlias

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, MongoClient, ReadPreference, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.synchronous.database import Database
from pymongo.uri_parser import parse_uri

from watchword.adapters import MONGODB_URLS
from watchword.adapters.mongodb.lines import AsyncLine, BlockingLine, EitherLine, Line
from watchword.concurrency import PerLoop
from watchword.errors import ConfigurationError

__all__ = ["MongoDB", "Source", "open_source"]

MongoDB: TypeAlias = (
    "str | MongoClient[Any] | AsyncMongoClient[Any] | Database[Any] | AsyncDatabase[Any]"
)
"""A URL, or a client or database of PyMongo's, blocking or async."""

_DATABASE: Final = "watchword"
# The driver's own bounds are half a minute for a server, and none for an answer and for a free
# connection: nobody waits for that who signs in.
_BOUNDS: Final[Mapping[str, int]] = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "waitQueueTimeoutMS": 10_000,
    "socketTimeoutMS": 10_000,
}

# From the primary, and kept by a majority: what was revoked or used up stays so, whichever
# server takes over. Whoever passes a client in may have set it up for other work.
_TRUSTED: Final[dict[str, Any]] = {
    "codec_options": CodecOptions(
        tz_aware=True, tzinfo=UTC, uuid_representation=UuidRepresentation.UNSPECIFIED
    ),
    "read_preference": ReadPreference.PRIMARY,
    "write_concern": WriteConcern("majority"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A line to a database, and how to close what we opened for it."""

    line: Line
    close: Callable[[], Awaitable[None]]


def open_source(source: MongoDB, name: str | None) -> Source:
    """Return the way to a database; nothing is connected yet.

    Raises:
        ConfigurationError: Nothing here leads to MongoDB.
    """
    match source:
        case str():
            return _from_url(source, name)
        case MongoClient() | AsyncMongoClient():
            return _from_database(source.get_default_database(name or _DATABASE), name)
        case Database() | AsyncDatabase():
            return _from_database(source, name)
    raise ConfigurationError(
        f"A {type(source).__name__} is no MongoDB.",
        hint="Pass a URL such as mongodb://localhost:27017/auth, or a client or database of "
        "PyMongo.",
    )


async def _leave_open() -> None:
    """Close nothing: the client is the application's."""


def _from_database(database: Any, name: str | None) -> Source:
    if name is not None:
        database = database.client[name]
    trusted = database.with_options(**_TRUSTED)
    kind = BlockingLine if isinstance(database, Database) else AsyncLine
    return Source(kind(lambda: trusted), _leave_open)


def _from_url(url: str, name: str | None) -> Source:
    given = _options_of(url)
    options: dict[str, Any] = {name: it for name, it in _BOUNDS.items() if name not in given}
    # Of the threads that come first at the same time each makes a client, of which one is kept:
    # the others must not have begun to watch the server.
    blocking: PerLoop[Any] = PerLoop(lambda: MongoClient(url, connect=False, **options))
    asynchronous: PerLoop[Any] = PerLoop(lambda: AsyncMongoClient(url, **options))

    def database(clients: PerLoop[Any]) -> Any:
        client = clients.current()
        found = client.get_default_database(_DATABASE) if name is None else client[name]
        return found.with_options(**_TRUSTED)

    async def close() -> None:
        for client in blocking.taken():
            client.close()
        for async_client in asynchronous.taken():
            await async_client.close()

    line = EitherLine(
        BlockingLine(lambda: database(blocking)), AsyncLine(lambda: database(asynchronous))
    )
    return Source(line, close)


def _options_of(url: str) -> Mapping[str, Any]:
    """Read a URL, and return its options, which are found in any case.

    No complaint repeats a part of it: any may be a piece of a password.
    """
    scheme, _, rest = url.partition("://")
    if f"{scheme}://" not in MONGODB_URLS:
        raise _unreadable()
    try:
        # The names behind +srv are looked up with the first connection.
        options: Mapping[str, Any] = parse_uri(f"mongodb://{rest}")["options"]
    except (PyMongoError, ValueError, TypeError):
        raise _unreadable() from None
    return options


def _unreadable() -> ConfigurationError:
    return ConfigurationError(
        "The MongoDB URL cannot be read.",
        hint="Write it like mongodb://user:password@localhost:27017/auth?replicaSet=rs0, or "
        "mongodb+srv://; in a password @ : / ? # % are %40 %3A %2F %3F %23 %25.",
    )
