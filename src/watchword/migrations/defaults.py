"""Defaults of columns, from how a database writes them down to how a schema does."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, text

from watchword.schema.snapshot import ColumnState, StoredDefault

__all__ = ["TextOfDefaults", "stored_default", "texts_of_defaults"]

TextOfDefaults = Mapping[tuple[str, str], str | None]
"""What a database writes for a default, by table and column."""

_CLOCK: Final = re.compile(r"(current_timestamp|now\(|utc_timestamp)", re.IGNORECASE)
_QUOTED: Final = re.compile(r"'(.*)'", re.DOTALL)
# What MariaDB and MySQL write for a character that they would not write as it is.
_ESCAPED: Final = re.compile(r"\\(.)|''", re.DOTALL)
_CONTROLS: Final = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
_ON_MARIADB: Final = text(
    """
    SELECT table_name, column_name, column_default FROM information_schema.columns
    WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name IN :names
    """
).bindparams(bindparam("names", expanding=True))


def texts_of_defaults(
    connection: Connection, schema: str | None, tables: Sequence[str]
) -> TextOfDefaults:
    """Return defaults as the database itself tells them, where SQLAlchemy does not tell all.

    Of MariaDB it reads what `SHOW CREATE TABLE` says, and finds none where a text has a quote.
    """
    if not tables or not getattr(connection.dialect, "is_mariadb", False):
        return {}
    rows = connection.execute(_ON_MARIADB, {"schema": schema, "names": tables})
    return {(table, column): told for table, column, told in rows}


def stored_default(told: str | None, guide: ColumnState, *, escapes: bool) -> StoredDefault:
    """Return a default as the schema writes it, or as the database does.

    Args:
        told: By the database.
        guide: What is known of the column.
        escapes: A backslash in a text of the database's stands for more than itself.
    """
    if told is None or told.upper() == "NULL":
        return None
    plain = re.sub(r"::[\w ]+(\(\d+\))?$", "", told.strip())
    plain = plain.removeprefix("(").removesuffix(")") if plain.startswith("(") else plain
    if _CLOCK.match(plain):
        return {"moment": "now"}
    quoted = _QUOTED.fullmatch(plain)
    if quoted is None:
        return _constant(plain, guide)
    return _constant(_read(quoted[1]) if escapes else quoted[1].replace("''", "'"), guide)


def _read(escaped: str) -> str:
    return _ESCAPED.sub(
        lambda found: "'" if found[1] is None else _CONTROLS.get(found[1], found[1]), escaped
    )


def _constant(plain: str, guide: ColumnState) -> StoredDefault:
    if guide.type == "boolean" and plain.lower() in {"true", "false", "0", "1"}:
        return plain.lower() in {"true", "1"}
    if guide.type in {"integer", "bigint"} and re.fullmatch(r"-?\d+", plain):
        return int(plain)
    return plain
