"""The application's own user table in the place of ours: what it can keep, and what it lacks."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final

from sqlalchemy import Column, MetaData

from watchword.adapters.sqlalchemy.own_columns import OwnColumns, is_made_by_the_database
from watchword.adapters.sqlalchemy.own_types import (
    can_keep,
    field_type_of,
    key_type_of,
    length_of,
)
from watchword.errors import ConfigurationError
from watchword.schema import Field, Model, OwnModel, camel_case
from watchword.schema.fields import STRING_CHARACTERS
from watchword.schema.resolve import APPLICATION, LOGICAL_NAME

__all__ = ["OwnUserTable"]

# What a text id of our making needs.
_ID_CHARACTERS: Final = 32
_FILLING_HINT: Final = (
    "What nothing fills needs a default, or UserOptions(additional_fields=...) so that sign-ups "
    "give it, or a DatabaseHook before the create."
)


@dataclass(frozen=True, kw_only=True)
class OwnUserTable:
    """A table that stands for the model `user`.

    Args:
        columns: The table's.
        hooked: A hook may give new users values.
        makes_ids: The application makes ids by a function of its own.
    """

    model: ClassVar[str] = "user"

    columns: OwnColumns
    hooked: bool = False
    makes_ids: bool = False

    @property
    def metadata(self) -> MetaData:
        """The application's, which our tables join."""
        return self.columns.table.metadata

    @property
    def key(self) -> Field | None:
        """What ids are in it; None if no column could hold one."""
        column = self.columns.find("id")
        kind = None if column is None else key_type_of(column.type)
        if column is None or kind is None:
            return None
        length = length_of(column.type) or STRING_CHARACTERS
        return Field(
            kind,
            max_length=min(length, STRING_CHARACTERS) if kind == "string" else None,
            input=False,
            key=True,
            generated=is_made_by_the_database(column),
            # Called by us: an answer that must not tell a new user from a known one needs an
            # id before anything is written.
            default=_made_by_python(column),
        )

    def fit(self, model: Model, owners: Mapping[str, str]) -> OwnModel:
        """Return the model as the table keeps it.

        Raises:
            ConfigurationError: The table cannot stand for the model; all reasons are listed.
        """
        fitting = _Fitting(self, model, owners)
        problems = list(fitting.problems())
        if problems:
            listed = "".join(f"\n  - {it}" for it in problems)
            raise ConfigurationError(
                f"The table {self.columns.table.fullname} cannot keep users:{listed}",
                hint=fitting.hint(),
            )
        table = self.columns.table
        return OwnModel(
            model=fitting.fitted(),
            # As plain texts: SQLAlchemy's remember whether they were quoted.
            table=str(table.name),
            schema=None if table.schema is None else str(table.schema),
            columns={name: str(it.name) for name, it in fitting.found.items()},
        )


def _made_by_python(column: Column[Any]) -> Callable[[], Any] | None:
    default: Any = column.default
    return partial(default.arg, None) if default is not None and default.is_callable else None


class _Fitting:
    """A model laid over a table."""

    def __init__(self, own: OwnUserTable, model: Model, owners: Mapping[str, str]) -> None:
        self._own = own
        self._columns = own.columns
        self._model = model
        self._owners = owners
        matches = {name: own.columns.find(name) for name in model.fields}
        key = matches["id"]
        self._key_names = [
            name for name, it in matches.items() if name != "id" and it is key and it is not None
        ]
        wanted = {name: it for name, it in matches.items() if name not in self._key_names}
        self.found = {name: it for name, it in wanted.items() if it is not None}
        self._extra = dict(self._unasked())
        self.found |= {name: column for name, (column, _) in self._extra.items()}

    # --- what comes out ------------------------------------------------------------------

    def fitted(self) -> Model:
        """Return the model with the table's key, limits and further columns."""
        wanted = {
            name: self._narrowed(it, self.found[name])
            for name, it in self._model.fields.items()
            if name in self.found
        }
        if self._key_names:
            wanted["id"] = replace(wanted["id"], input=True)
        extra = {name: it for name, (_, it) in self._extra.items()}
        return replace(
            self._model,
            fields=wanted | extra,
            ours=False,
            key_name=self._key_names[0] if self._key_names else None,
        )

    def _narrowed(self, field: Field, column: Column[Any]) -> Field:
        length = length_of(column.type)
        if length is None or field.type not in {"string", "text", "bytes"}:
            return field
        return replace(field, max_length=min(field.limit, length))

    def _unasked(self) -> Iterator[tuple[str, tuple[Column[Any], Field]]]:
        """Go through the columns that nobody wants, and that we can read and write."""
        asked = set(self.found.values())
        wires = {camel_case(name) for name in self._model.fields}
        for column in self._columns.table.columns:
            name, kind = self._columns.name_of(column), field_type_of(column.type)
            wire = camel_case(name)
            if column in asked or kind is None or wire in wires:
                continue
            if LOGICAL_NAME.fullmatch(name):
                wires.add(wire)
                yield name, (column, self._extra_field(column, kind))

    def _extra_field(self, column: Column[Any], kind: Any) -> Field:
        return Field(
            kind,
            required=False,
            unique=self._columns.keeps_unique(column),
            max_length=length_of(column.type),
            input=False,
            returned=False,
        )

    # --- what is amiss -------------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        """Go through the reasons why the table cannot stand for the model."""
        yield from self._wrong_names()
        yield from self._key_problems()
        for name, field in self._model.fields.items():
            if name != "id" and name not in self._key_names:
                for problem in self._field_problems(field, self.found.get(name)):
                    yield f"{name} (for {self._owner(name)}): {problem}"
        for unique in self._model.uniques:
            columns = [self.found[it] for it in unique.fields if it in self.found]
            if not self._columns.keeps_unique(*columns):
                yield f"nothing keeps {', '.join(unique.fields)} together unique"
        for column in self._columns.table.columns:
            yield from self._filling_problems(column)

    def hint(self) -> str:
        """Return what to do about the problems."""
        lacking = [
            name
            for name in self._model.fields
            if name not in self.found and name not in self._key_names
        ]
        if not lacking:
            return f"Change the columns, or the fields. {_FILLING_HINT}"
        example = ", ".join(f'"{name}": "…"' for name in lacking)
        named = f"say which they are: fields={{{example}}}"
        return f"Add the columns, or {named}. {_FILLING_HINT}"

    def _owner(self, name: str) -> str:
        return self._owners.get(f"{self._model.name}.{name}", "core")

    def _wrong_names(self) -> Iterator[str]:
        for name, theirs in self._columns.fields.items():
            if name not in self._model.fields:
                yield f"fields names {name!r}, which no user has"
            elif theirs not in self._columns.named:
                yield f"fields names {theirs!r}, which is no column"
        by_column: dict[Column[Any], str] = {}
        for name, column in self.found.items():
            if by_column.setdefault(column, name) != name:
                yield f"{by_column[column]} and {name} are both the column {column.name}"
        for name in self._key_names:
            if self._owner(name) != APPLICATION:
                yield (
                    f"{name} (for {self._owner(name)}): the column {self.found['id'].name} is "
                    "the id, and an id never changes"
                )

    def _key_problems(self) -> Iterator[str]:
        column = self.found.get("id")
        if column is None:
            if "id" not in self._columns.fields:
                yield f"id (for core): there is no such column{self._suggested_key()}"
            return
        label = f"id (for core): the column {column.name}"
        if self._own.key is None:
            yield f"{label} is {column.type!r}, which no id is"
            return
        if column.nullable or not self._columns.keeps_unique(column):
            yield f"{label} may be null, or is not unique"
        if not self._gives_ids(column, self._own.key):
            yield f"{label} is given its value by nothing"

    def _suggested_key(self) -> str:
        names = [it.name for it in self._columns.table.primary_key.columns]
        return f'; is it fields={{"id": "{names[0]}"}}?' if len(names) == 1 else ""

    def _gives_ids(self, column: Column[Any], key: Field) -> bool:
        """Tell whether something makes ids; a column that is called otherwise we never fill.

        It may be the name that its user goes by.
        """
        if key.generated or key.default is not None or self._key_names:
            return True
        if self._own.hooked or self._own.makes_ids or key.type == "uuid":
            return True
        is_plain_id = key.type == "string" and "id" not in self._columns.fields
        return is_plain_id and (length_of(column.type) or _ID_CHARACTERS) >= _ID_CHARACTERS

    def _field_problems(self, field: Field, column: Column[Any] | None) -> Iterator[str]:
        if column is None:
            yield "there is no such column"
            return
        label = f"the column {column.name}"
        if not can_keep(field, column.type):
            yield f"{label} is {column.type!r}, which keeps no {field.type}"
        if column.computed is not None:
            yield f"{label} is computed and cannot be written"
        if field.unique and not self._columns.keeps_unique(column):
            yield f"nothing keeps {label} unique"
        if not column.nullable and _may_be_null(field):
            yield f"{label} is NOT NULL, but users may have none"
        if field.returned and field.default is None and _has_hidden_default(field, column):
            # Whoever signs up with a known address is shown a user that was never written.
            yield f"{label} has a default that an answer cannot know; give the field the same one"

    def _filling_problems(self, column: Column[Any]) -> Iterator[str]:
        if self._columns.fills_itself(column):
            return
        extra = next((name for name, (it, _) in self._extra.items() if it is column), None)
        if column in self.found.values() and extra is None:
            return
        if extra is None or not self._own.hooked:
            yield f"the column {column.name} is NOT NULL, and nothing gives it a value"


def _may_be_null(field: Field) -> bool:
    return not field.required and (field.input or field.default is None)


def _has_hidden_default(field: Field, column: Column[Any]) -> bool:
    always_given = field.required and field.input
    return not always_given and (column.default is not None or is_made_by_the_database(column))
