"""From drivers' errors to those of the contract."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from watchword.adapters.sqlalchemy.tables import Tables
from watchword.errors import (
    InvalidValue,
    ReferenceViolation,
    StorageError,
    StorageUnavailable,
    UniqueViolation,
)

__all__ = ["is_disconnect", "is_outdated", "translated"]

# https://github.com/postgres/postgres/blob/master/src/backend/utils/cache/plancache.c
_REFUSES_OUTDATED: Final = "RevalidateCachedQuery"


@contextmanager
def translated(tables: Tables, model: str) -> Iterator[None]:
    """Raise the contract's error in the place of the driver's, which becomes its cause."""
    try:
        yield
    except DBAPIError as error:
        _hide_parameters(error)
        raise _translate(error, tables, model) from error
    except PoolTimeout as error:
        raise StorageUnavailable("No connection became free in time.", retryable=True) from error
    except SQLAlchemyError as error:
        _hide_parameters(error)
        raise StorageError(f"{model}: the statement could not be run") from error
    except OSError as error:
        # A driver's own time limit, for one: what was sent may have been done.
        raise StorageUnavailable("The database did not answer.", retryable=False) from error


def _hide_parameters(error: BaseException | None) -> None:
    """Keep addresses and password hashes out of logs, whatever engine the error comes from.

    It will be printed with what it was raised from, or while handling.
    """
    while error is not None:
        if isinstance(error, StatementError):
            error.hide_parameters = True
        error = error.__cause__ or error.__context__


def is_disconnect(error: BaseException | None) -> bool:
    """Tell whether the connection broke, so that only another one can go on."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_outdated(error: BaseException | None) -> bool:
    """Tell whether PostgreSQL refused a prepared statement, since its tables were changed.

    It ran nothing of it. Told by the function that refuses: the code says far more, and the
    words are of the server's language.
    """
    told_by_psycopg = getattr(getattr(error, "diag", None), "source_function", None)
    told_by_asyncpg = getattr(getattr(error, "__cause__", None), "server_source_function", None)
    return _REFUSES_OUTDATED in {told_by_psycopg, told_by_asyncpg}


def _translate(error: DBAPIError, tables: Tables, model: str) -> StorageError:
    if is_outdated(error.orig):
        return StorageUnavailable("The database's tables were changed.", retryable=True)
    if error.connection_invalidated:
        return StorageUnavailable("The connection to the database was lost.", retryable=False)
    driver_error = error.orig
    for code_of, meanings in _CODES:
        code = code_of(driver_error)
        if code is not None:
            meaning = meanings.get(code) or meanings.get(str(code)[:2])
            return meaning(driver_error, tables, model) if meaning else _unknown(model)
    # No answer of a server has a code: there was none.
    return _unavailable(error, tables, model) if _is_operational(error) else _unknown(model)


def _is_operational(error: DBAPIError) -> bool:
    return isinstance(error, OperationalError | InterfaceError)


def _unknown(model: str) -> StorageError:
    return StorageError(f"{model}: the database refused the statement")


# --- what a code means ---------------------------------------------------------------------

Meaning = Callable[[Any, Tables, str], StorageError]


def _unique(error: Any, tables: Tables, model: str) -> StorageError:
    name = _constraint_name(error)
    if name == "PRIMARY":  # what MariaDB and MySQL call every primary key
        return UniqueViolation(model, ["id"])
    if name is not None:
        return UniqueViolation(*tables.unique_keys.get(name, (model, ())))
    return UniqueViolation(model, _sqlite_columns(str(error), tables, model))


def _constraint_name(error: Any) -> str | None:
    """Find the constraint's name where the driver keeps it."""
    for holder in (getattr(error, "diag", None), error.__cause__):
        name = getattr(holder, "constraint_name", None)
        if name:
            return str(name)
    # "Duplicate entry 'a@b.example' for key 'uq_watchword_users_email'", or 'table.key'
    found = re.search(r" for key '(?:[^']*\.)?([^']+)'\Z", str(_argument(error, 1) or ""))
    return found[1] if found else None


def _sqlite_columns(message: str, tables: Tables, model: str) -> list[str]:
    """Read "UNIQUE constraint failed: table.column, table.column"."""
    if model not in tables.schema.models:
        return []  # a statement about no single model, such as one that changes tables
    it = tables.require(model)
    names = {f"{it.table.name}.{column.name}": column.key for column in it.columns}
    _, _, failed = message.partition("constraint failed: ")
    return [names[name] for name in failed.split(", ") if name in names]


def _reference(_error: Any, _tables: Tables, model: str) -> StorageError:
    return ReferenceViolation(model)


def _constraint(error: Any, tables: Tables, model: str) -> StorageError:
    """Tell SQLite's constraints apart where it gives no finer code."""
    if "FOREIGN KEY" in str(error):
        return _reference(error, tables, model)
    return _unique(error, tables, model) if "UNIQUE" in str(error) else _unknown(model)


def _again(_error: Any, _tables: Tables, _model: str) -> StorageError:
    return StorageUnavailable("The database asks to try again.", retryable=True)


def _unavailable(_error: Any, _tables: Tables, _model: str) -> StorageError:
    return StorageUnavailable("The database is not available.", retryable=False)


def _absent(_error: Any, _tables: Tables, model: str) -> StorageError:
    return StorageError(
        f"{model}: the database lacks a table or a column; `watchword check` tells which"
    )


def _absent_on_sqlite(error: Any, tables: Tables, model: str) -> StorageError:
    """Tell what SQLite has no code for by its words."""
    is_absent = re.match(r"no such (table|column)|table \S+ has no column", str(error))
    return _absent(error, tables, model) if is_absent else _unknown(model)


def _out_of_range(_error: Any, _tables: Tables, model: str) -> StorageError:
    return InvalidValue(model, "a value", "is out of the column's range")


# --- codes ---------------------------------------------------------------------------------


def _argument(error: Any, index: int) -> Any:
    return error.args[index] if len(getattr(error, "args", ())) > index else None


def _sqlstate(error: Any) -> object:
    return getattr(error, "sqlstate", None)


def _sqlite_code(error: Any) -> object:
    return getattr(error, "sqlite_errorcode", None)


def _mysql_code(error: Any) -> object:
    code = _argument(error, 0)
    return code if isinstance(code, int) else None


# PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES: Final[Mapping[object, Meaning]] = {
    "23505": _unique,
    "23503": _reference,
    "23001": _reference,
    "40001": _again,  # serialization_failure
    "40P01": _again,  # deadlock_detected
    "55P03": _again,  # lock_not_available
    "28": _unavailable,  # the server does not let us in
    "3D000": _unavailable,  # no such database
    "53": _unavailable,  # insufficient resources
    "57": _unavailable,  # operator intervention, statement_timeout
    "08": _unavailable,  # connection exceptions
    "42P01": _absent,  # undefined_table
    "42703": _absent,  # undefined_column
    "22003": _out_of_range,
    "22001": _out_of_range,
}
# SQLite: https://www.sqlite.org/rescode.html
_SQLITE_CODES: Final[Mapping[object, Meaning]] = {
    5: _again,  # SQLITE_BUSY
    6: _again,  # SQLITE_LOCKED
    517: _again,  # SQLITE_BUSY_SNAPSHOT
    19: _constraint,
    2067: _unique,
    1555: _unique,
    787: _reference,
    1811: _reference,  # ON DELETE RESTRICT works through an inner trigger
    1: _absent_on_sqlite,  # SQLITE_ERROR
    10: _unavailable,  # SQLITE_IOERR
    13: _unavailable,  # SQLITE_FULL
    14: _unavailable,  # SQLITE_CANTOPEN
}
# MariaDB and MySQL: https://mariadb.com/kb/en/mariadb-error-codes/
_MYSQL_CODES: Final[Mapping[object, Meaning]] = {
    1062: _unique,
    1216: _reference,
    1217: _reference,
    1451: _reference,
    1452: _reference,
    1020: _again,  # the row changed since the transaction's snapshot
    1205: _again,  # lock wait timeout
    1213: _again,  # deadlock
    1040: _unavailable,  # too many connections
    1044: _unavailable,  # the server does not let us in
    1045: _unavailable,
    1049: _unavailable,  # no such database
    2002: _unavailable,  # nobody is there
    2003: _unavailable,
    1054: _absent,  # no such column
    1146: _absent,  # no such table
    1264: _out_of_range,
    1406: _out_of_range,
    1690: _out_of_range,
}

_CODES: Final = (
    (_mysql_code, _MYSQL_CODES),  # first: these drivers tell coarser SQLSTATEs as well
    (_sqlite_code, _SQLITE_CODES),
    (_sqlstate, _SQLSTATES),
)
