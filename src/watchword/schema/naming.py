"""From logical names to those of tables, columns and constraints; made nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal

__all__ = ["NAME_CHARACTERS", "Naming", "camel_case"]

NAME_CHARACTERS: Final = 63
"""The longest name that every database takes (PostgreSQL's limit)."""


def camel_case(name: str) -> str:
    """Return the wire name of a logical one: `email_verified` becomes `emailVerified`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Chooses the names in the database.

    Args:
        prefix: Stands before every table's name.
        schema: The database schema of the tables; None is the connection's default.
        plural: Tables are named in the plural.
        case: How words are joined in names.
        tables: Single tables' full names, by model.
        columns: Single columns' names, by `"model.field"`.
        schemas: Database schemas of tables of the application's, by model; they tell it
            themselves. Ours are all in `schema`.
    """

    prefix: str = "watchword_"
    schema: str | None = None
    plural: bool = True
    case: Literal["snake", "camel"] = "snake"
    tables: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def wire(cls) -> "Naming":
        """Return the names of a database made by a wire-compatible server."""
        return cls(prefix="", plural=False, case="camel")

    def table(self, model: str) -> str:
        """Return the name of a model's table, without the database schema."""
        if model in self.tables:
            return self.tables[model]
        return self.prefix + self._cased(_plural(model) if self.plural else model)

    def schema_of(self, model: str) -> str | None:
        """Return the database schema that a model's table is in."""
        return self.schemas.get(model, self.schema)

    def column(self, model: str, name: str) -> str:
        """Return the name of a field's column."""
        return self.columns.get(f"{model}.{name}", self._cased(name))

    def index(self, model: str, fields: Sequence[str]) -> str:
        """Return the name of an index."""
        return self._constraint("ix", model, fields)

    def unique(self, model: str, fields: Sequence[str]) -> str:
        """Return the name of a unique constraint."""
        return self._constraint("uq", model, fields)

    def foreign_key(self, model: str, name: str) -> str:
        """Return the name of a foreign key."""
        return self._constraint("fk", model, [name])

    def primary_key(self, model: str) -> str:
        """Return the name of a primary key."""
        return self._constraint("pk", model, [])

    def _cased(self, name: str) -> str:
        return camel_case(name) if self.case == "camel" else name

    def _constraint(self, kind: str, model: str, fields: Sequence[str]) -> str:
        columns = [self.column(model, name) for name in fields]
        return _shortened("_".join([kind, self.table(model), *columns]))


def _plural(name: str) -> str:
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


def _shortened(name: str) -> str:
    """Cut a constraint's name to the limit; its digest keeps it unlike any other."""
    encoded = name.encode()
    if len(encoded) <= NAME_CHARACTERS:
        return name
    digest = sha256(encoded).hexdigest()[:8]
    # Bytes, not characters, as PostgreSQL counts them; half a character is dropped.
    return f"{encoded[: NAME_CHARACTERS - 9].decode(errors='ignore')}_{digest}"
