"""Which database users are imported into: a name by which a later run knows it, and no secret."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from watchword.cli.extras import require_module
from watchword.migrations import has_documents, has_tables
from watchword.schema import Schema
from watchword.storage.contract import Adapter

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

__all__ = ["digest_of_database"]

_ADDRESS: Final = ("host", "port", "unix_socket", "service")
"""Parameters of a URL that say where a server is; another one may be a password."""


async def digest_of_database(adapter: Adapter[Any], schema: Schema) -> str | None:
    """Return what tells this database from another one; None if nothing does.

    The same users can be in two databases, such as a copy for trials and the one in use: an import
    that was broken off in one must not go on in the other.

    Raises:
        StorageError: The database is away.
    """
    place = None
    if has_tables(adapter):
        place = await _place_of_tables(adapter)
    elif has_documents(adapter):
        place = await _place_of_documents(adapter, schema)
    return None if place is None else hashlib.sha256(msgspec.json.encode(place)).hexdigest()


# --- MongoDB -----------------------------------------------------------------------------


async def _place_of_documents(lent: Any, schema: Schema) -> list[str] | None:
    """Return the number that MongoDB gave our users' collection when it was made.

    A copy of the files has it too, but serves as another replica set.
    """
    translated = require_module("watchword.adapters.mongodb.refusals").translated
    users = {"name": schema.naming.table("user")}
    with translated(None, writes=False):
        told = await lent.line.do(lambda it: it.list_collections(filter=users))
        server = await lent.line.do(lambda it: it.command("hello"))
    numbers = [it["info"]["uuid"].hex() for it in told if "uuid" in it.get("info", {})]
    members = [str(server.get("setName")), *sorted(server.get("hosts", ()))]
    return ["mongodb", *numbers, *members] if numbers else None


# --- SQL ---------------------------------------------------------------------------------


async def _place_of_tables(lent: Any) -> list[str] | None:
    translated = require_module("watchword.adapters.sqlalchemy.violations").translated
    with translated(lent.tables, "user"):
        async with lent.connected() as held:
            place: list[str] | None = await held.call(_place)
    return place


def _place(connection: "Connection") -> list[str] | None:
    backend = connection.dialect.name
    if backend == "sqlite":
        return _place_of_file(connection)
    said = _ASKED.get(backend)
    # The server is asked as well: behind one port of a tunnel or a balancer there are several.
    row = () if said is None else connection.exec_driver_sql(said).one()
    return [backend, *_address(connection.engine.url), *map(str, row)]


_ASKED: Final = {
    "postgresql": "SELECT oid, datname, current_schema() FROM pg_database "
    "WHERE datname = current_database()",
    "mysql": "SELECT database(), @@hostname, @@port, @@server_id, @@datadir",
    "mariadb": "SELECT database(), @@hostname, @@port, @@server_id, @@datadir",
}


def _address(url: "URL") -> list[str]:
    query = [f"{name}={url.query[name]}" for name in _ADDRESS if name in url.query]
    return [url.get_backend_name(), str(url.host), str(url.port), str(url.database), *query]


def _place_of_file(connection: "Connection") -> list[str] | None:
    """Return the path and the inode: who puts another file there has another database."""
    asked = "SELECT file FROM pragma_database_list WHERE name = 'main'"
    file = connection.exec_driver_sql(asked).scalar_one()
    if not file:
        return None
    path = Path(file).resolve()
    known = path.stat()
    return ["sqlite", str(path), str(known.st_dev), str(known.st_ino)]
