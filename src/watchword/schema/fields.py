"""What is stored, in no database's terms: fields, models and the resolved schema."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

from watchword.errors import ConfigurationError, UnknownField, UnknownModel
from watchword.schema.naming import Naming

__all__ = [
    "INDEXED_CHARACTERS",
    "NOW",
    "STRING_CHARACTERS",
    "TEXT_CHARACTERS",
    "Field",
    "FieldType",
    "Index",
    "Model",
    "Moment",
    "OnDelete",
    "Schema",
    "Unique",
]

FieldType: TypeAlias = Literal[
    "id",
    "string",
    "text",
    "integer",
    "bigint",
    "boolean",
    "datetime",
    "json",
    "uuid",
    "bytes",
    "strings",
]
"""`id` stands for whatever ids are in the resolved schema: `uuid`, `string` or `bigint`."""

OnDelete: TypeAlias = Literal["cascade", "set null", "restrict"]

STRING_CHARACTERS: Final = 255
"""How many characters a `string` keeps unless it says otherwise."""
TEXT_CHARACTERS: Final = 2_097_152
"""How many characters a `text` keeps, and bytes a `bytes` or a written-out `json`."""
INDEXED_CHARACTERS: Final = 768
"""How many characters one index can hold: InnoDB's 3,072 bytes of four-byte characters."""

_WITH_STORED_DEFAULT: Final = frozenset(
    {"string", "text", "integer", "bigint", "boolean", "datetime"}
)


class Moment(Enum):
    """A value that the clock gives when the row is written."""

    NOW = "now"


NOW: Final = Moment.NOW


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a row.

    Args:
        type: What it holds.
        required: Never null.
        unique: No two rows share it; nulls do not count.
        index: Looked up or purged by.
        references: The model whose id it holds.
        on_delete: What becomes of this row when the referenced one goes.
        default: Written when a new row names no value; `NOW` and callables are asked then.
        on_update: Written with every change; only `NOW`.
        max_length: Characters of a `string` or `text`, bytes of `bytes`.
        generated: The database makes the value.
        key: It is the id of its row; a number is written as text on the wire.
        returned: Shown over HTTP.
        input: A client may set it.
        sealed: Encrypted at rest, readable to us alone.
        digest: Only the SHA-256 of what the client holds is stored.
        pii: Personal: exported and erased with its person.
        expiry: When this instant is past, the row may go, whoever deletes it.
        comment: Tells who reads the database what the column holds.
    """

    type: FieldType
    required: bool = True
    unique: bool = False
    index: bool = False
    references: str | None = None
    on_delete: OnDelete = "cascade"
    default: Any | Callable[[], Any] | Moment = None
    on_update: Moment | None = None
    max_length: int | None = None
    generated: bool = False
    key: bool = False
    returned: bool = True
    input: bool = True
    sealed: bool = False
    digest: bool = False
    pii: bool = False
    expiry: bool = False
    comment: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no database could keep."""
        if (self.sealed or self.digest) and self.type not in {"string", "text"}:
            raise ConfigurationError(
                f"A {self.type} field cannot be sealed or digested.",
                hint="Only string and text fields can.",
            )
        if self.sealed and (self.unique or self.index or self.digest):
            raise ConfigurationError(
                "A sealed field cannot be looked up.",
                hint="Each sealing differs; use digest=True for what is compared.",
            )
        if self.expiry and (self.type != "datetime" or not self.index):
            raise ConfigurationError(
                "Rows expire by an instant that has an index.",
                hint='Write Field("datetime", index=True, expiry=True).',
            )

    @property
    def limit(self) -> int:
        """The most characters, or bytes, that the field keeps."""
        if self.max_length is not None:
            return self.max_length
        return STRING_CHARACTERS if self.type == "string" else TEXT_CHARACTERS

    @property
    def stored_default(self) -> str | int | bool | Moment | None:
        """What the database itself writes for who does not know the column, as older code.

        A constant or `NOW`; None if there is no default, or one that Python alone can make.
        """
        if self.type not in _WITH_STORED_DEFAULT or self.digest or self.sealed:
            return None
        return self.default if isinstance(self.default, str | int | Moment) else None

    @classmethod
    def reference(
        cls,
        model: str,
        *,
        required: bool = True,
        on_delete: OnDelete = "cascade",
        comment: str | None = None,
    ) -> "Field":
        """Return a field that holds another row's id; it is indexed, as every one should be."""
        return cls(
            "id",
            required=required,
            index=True,
            references=model,
            on_delete=on_delete,
            comment=comment,
        )


@dataclass(frozen=True, slots=True, init=False)
class Unique:
    """Several fields that no two rows share together; a null among them never conflicts."""

    fields: tuple[str, ...]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True, slots=True, init=False)
class Index:
    """Several fields that rows are looked up by together, in this order."""

    fields: tuple[str, ...]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True)
class Model:
    """A kind of row. Its `id` is added when the schema is resolved.

    Args:
        name: Its logical name.
        fields: What a row holds.
        uniques: What several fields share with no other row.
        indexes: What rows are looked up by together.
        comment: Tells who reads the database what the table is for.
        ours: We make and change the table; False for one of the application's own.
        key_name: What clients call the id, where they give it to a new row.
    """

    name: str
    fields: Mapping[str, Field]
    uniques: tuple[Unique, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: str | None = None
    ours: bool = True
    key_name: str | None = None

    def require_field(self, name: str) -> Field:
        """Return a field.

        Raises:
            UnknownField: The model has none of this name.
        """
        try:
            return self.fields[name]
        except KeyError:
            raise UnknownField(self.name, name) from None

    @property
    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """Every set of fields that names at most one row, the id first."""
        single = tuple((name,) for name, it in self.fields.items() if it.unique)
        return (("id",), *single, *(unique.fields for unique in self.uniques))

    @property
    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """Every set of fields that has an index; a unique one has its own already."""
        single = ((name,) for name, it in self.fields.items() if it.index and not it.unique)
        return (*single, *(index.fields for index in self.indexes))

    @property
    def references(self) -> Mapping[str, str]:
        """The fields that hold another model's id, with that model."""
        return {name: it.references for name, it in self.fields.items() if it.references}

    def extended(self, fields: Mapping[str, Field]) -> "Model":
        """Return the model with more fields."""
        return replace(self, fields={**self.fields, **fields})


@dataclass(frozen=True)
class Schema:
    """Every model of an application, with the names that they have in the database.

    `owners` tells who defined what: `"user"` or `"user.username"` to `"core"` or a plugin's id.
    """

    models: Mapping[str, Model]
    naming: Naming = field(default_factory=Naming)
    owners: Mapping[str, str] = field(default_factory=dict)

    def require_model(self, name: str) -> Model:
        """Return a model.

        Raises:
            UnknownModel: The schema has none of this name.
        """
        try:
            return self.models[name]
        except KeyError:
            raise UnknownModel(name) from None
