"""Join the core's models with those of plugins; every conflict is an error at start-up."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol, TypeAlias

from watchword.errors import ConfigurationError
from watchword.schema.fields import INDEXED_CHARACTERS, Field, Index, Model, Schema, Unique
from watchword.schema.naming import NAME_CHARACTERS, Naming, camel_case
from watchword.schema.own_tables import OwnModel, OwnTable

__all__ = ["APPLICATION", "LOGICAL_NAME", "IdType", "SchemaExtension", "resolve_schema"]

IdType: TypeAlias = Literal["uuid", "string", "bigint"]
"""What ids are: UUIDs or texts made in Python, or integers that the database makes."""

APPLICATION: Final = "the application"
"""Who owns what no plugin and not the core wants."""
LOGICAL_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
"""What models and fields may be called."""
# System columns and prefixes that a database keeps for itself.
_RESERVED_COLUMNS: Final = frozenset(
    {"oid", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "rowid", "_rowid_"}
)
_RESERVED_PREFIXES: Final = ("sqlite_", "pg_")

_ID_FIELDS: Final[Mapping[IdType, Field]] = {
    "uuid": Field("uuid", input=False, key=True),
    "string": Field("string", max_length=64, input=False, key=True),
    "bigint": Field("bigint", input=False, key=True, generated=True),
}


class SchemaExtension(Protocol):
    """What a plugin adds to the schema."""

    @property
    def id(self) -> str:
        """Names the plugin in errors."""

    @property
    def models(self) -> Sequence[Model]:
        """New models."""

    @property
    def extends(self) -> Mapping[str, Mapping[str, Field]]:
        """Fields that it adds to models of others, by model and name."""


def resolve_schema(
    core_models: Iterable[Model],
    plugins: Iterable[SchemaExtension] = (),
    *,
    naming: Naming | None = None,
    ids: IdType = "uuid",
    own: Sequence[OwnTable] = (),
) -> Schema:
    """Return the one schema of an application.

    Args:
        core_models: Those that every instance has.
        plugins: Add to them.
        naming: Names of tables and columns.
        ids: What ids are, but those of tables of the application's.
        own: Tables of the application's that stand for models of ours.

    Raises:
        ConfigurationError: Two parties define one thing differently, a reference points at
            nothing, a name cannot be used, or a table of the application's cannot stand for
            its model; the message names both sides.
    """
    naming = naming or Naming()
    _check_schemas(naming, own)
    draft = _Draft()
    for model in core_models:
        draft.add(model, owner="core")
    plugins = list(plugins)
    for plugin in plugins:
        for model in plugin.models:
            draft.add(model, owner=plugin.id)
    for plugin in plugins:
        for name, fields in plugin.extends.items():
            draft.extend(name, fields, owner=plugin.id)
    keys = dict.fromkeys(draft.models, _ID_FIELDS[ids])
    keys |= {it.model: it.key for it in own if it.key is not None}
    models = {name: _with_ids(model, keys, draft.owners) for name, model in draft.models.items()}
    fitted = {it.model: it.fit(models[it.model], draft.owners) for it in own}
    for name, it in fitted.items():
        models[name] = it.model
        for field_name in it.model.fields:
            draft.owners.setdefault(f"{name}.{field_name}", APPLICATION)
    schema = Schema(models, _named_as_there(naming, fitted), draft.owners)
    for model in models.values():
        _check_fields(model, schema)
        _check_keys(model, schema)
    _check_physical_names(schema)
    _check_constraint_names(schema)
    return schema


def _check_schemas(naming: Naming, own: Sequence[OwnTable]) -> None:
    """Refuse a schema for a single table of ours: all of ours are made and changed in one."""
    ours = sorted(set(naming.schemas) - {it.model for it in own})
    if ours:
        raise ConfigurationError(
            f"Naming gives {', '.join(ours)} a database schema alone, which only a table of the "
            "application's can have.",
            hint="Use Naming(schema=…) for all of ours.",
        )


@dataclass
class _Draft:
    """The models while plugins still add to them."""

    models: dict[str, Model] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def add(self, model: Model, *, owner: str) -> None:
        if model.name in self.models:
            raise ConfigurationError(
                f"Both {self.owners[model.name]} and {owner} define the model {model.name!r}.",
                hint="Rename one of them, or let one extend the other's model.",
            )
        self.models[model.name] = model
        self.owners[model.name] = owner
        self.owners.update({f"{model.name}.{name}": owner for name in model.fields})

    def extend(self, name: str, fields: Mapping[str, Field], *, owner: str) -> None:
        if name not in self.models:
            raise ConfigurationError(
                f"{owner} extends the model {name!r}, which nobody defines.",
                hint="Enable the plugin that defines it, or correct the name.",
            )
        model = self.models[name]
        for key, added in fields.items():
            present = model.fields.get(key)
            if present is not None and present != added:
                first = self.owners[f"{name}.{key}"]
                raise ConfigurationError(
                    f"{first} and {owner} define {name}.{key} differently.",
                    hint="Rename one field, or give both the same definition.",
                )
            self.owners.setdefault(f"{name}.{key}", owner)
        self.models[name] = model.extended(fields)


def _with_ids(model: Model, keys: Mapping[str, Field], owners: Mapping[str, str]) -> Model:
    """Give the model its id, and fields of type `id` the type of the id that they hold."""
    if "id" in model.fields:
        raise ConfigurationError(
            f"{owners[f'{model.name}.id']} defines {model.name}.id, which every model has.",
            hint="Remove the field.",
        )
    key = keys[model.name]
    fields = {
        name: _typed_as(keys.get(it.references or model.name, key), it)
        for name, it in model.fields.items()
    }
    return replace(model, fields={"id": key, **fields})


def _typed_as(key: Field, it: Field) -> Field:
    return replace(it, type=key.type, max_length=key.max_length) if it.type == "id" else it


def _named_as_there(naming: Naming, fitted: Mapping[str, OwnModel]) -> Naming:
    """Return the naming with the names of the application's tables and columns."""
    columns = {
        f"{model}.{name}": column
        for model, it in fitted.items()
        for name, column in it.columns.items()
    }
    return replace(
        naming,
        tables={**naming.tables, **{model: it.table for model, it in fitted.items()}},
        columns={**naming.columns, **columns},
        schemas={**naming.schemas, **{model: it.schema for model, it in fitted.items()}},
    )


def _check_fields(model: Model, schema: Schema) -> None:
    owner = schema.owners[model.name]
    _check_logical_name(model.name, owner)
    for name, it in model.fields.items():
        owner = _owner(model, name, schema)
        _check_logical_name(name, owner)
        _check_reference(f"{model.name}.{name} of {owner}", it, schema)
    _check_wire_names(model, schema)


def _check_reference(label: str, it: Field, schema: Schema) -> None:
    if it.references is None:
        return
    if it.references not in schema.models:
        raise ConfigurationError(
            f"{label} references {it.references!r}, which nobody defines.",
            hint="Enable the plugin that defines it, or correct the name.",
        )
    key = schema.models[it.references].fields["id"]
    if it.type != key.type:
        raise ConfigurationError(
            f"{label} is of type {it.type} but references {it.references}.id of type {key.type}.",
            hint="Use Field.reference(), which takes the type that ids have.",
        )
    if it.on_delete == "set null" and it.required:
        raise ConfigurationError(
            f"{label} is required but set to null on delete.",
            hint="Use required=False, or another on_delete.",
        )


def _check_wire_names(model: Model, schema: Schema) -> None:
    fields: dict[str, str] = {}
    for name in model.fields:
        wire = camel_case(name)
        first = fields.setdefault(wire, name)
        if first != name:
            sides = [f"{model.name}.{it} of {_owner(model, it, schema)}" for it in (first, name)]
            raise ConfigurationError(
                f"{sides[0]} and {sides[1]} are both {wire!r} on the wire.",
                hint="Rename one of them.",
            )


def _owner(model: Model, name: str, schema: Schema) -> str:
    return schema.owners.get(f"{model.name}.{name}", schema.owners[model.name])


def _check_logical_name(name: str, owner: str) -> None:
    if not LOGICAL_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{owner} uses the name {name!r}, which is not snake_case.",
            hint="Use lower-case letters, digits and single underscores.",
        )


def _check_keys(model: Model, schema: Schema) -> None:
    """Check that what is indexed exists and fits into an index of every database."""
    if not model.ours:
        return  # what is indexed there, and how, is the application's
    single = [Index(name) for name, it in model.fields.items() if it.unique or it.index]
    keys: list[Unique | Index] = [*single, *model.uniques, *model.indexes]
    for key in keys:
        fields = [model.fields.get(name) for name in key.fields]
        owner = schema.owners[model.name]
        if not fields or None in fields:
            raise ConfigurationError(
                f"{owner} indexes {model.name} by {', '.join(key.fields) or 'nothing'}; "
                "not all of these are fields.",
                hint="Correct the names in the model's uniques and indexes.",
            )
        known = [it for it in fields if it is not None]
        if any(it.type in {"text", "json", "strings", "bytes"} for it in known):
            raise ConfigurationError(
                f"{owner} indexes {model.name} by {', '.join(key.fields)}; "
                "a text, json, strings or bytes field cannot be indexed everywhere.",
                hint="Use a string field with a max_length.",
            )
        if sum(it.limit for it in known if it.type == "string") > INDEXED_CHARACTERS:
            raise ConfigurationError(
                f"{owner} indexes {model.name} by {', '.join(key.fields)}, "
                f"together longer than {INDEXED_CHARACTERS} characters.",
                hint="Give the fields a smaller max_length.",
            )


def _check_physical_names(schema: Schema) -> None:
    tables: dict[str, str] = {}
    for model in schema.models.values():
        table = schema.naming.table(model.name)
        if schema.naming.schema_of(model.name) == schema.naming.schema:
            _check_untaken(tables, table, f"model {model.name}")
        if not model.ours:
            continue  # its names are the application's
        _check_physical_name(table, f"model {model.name}", schema.owners[model.name])
        columns: dict[str, str] = {}
        for name in model.fields:
            label = f"{model.name}.{name}"
            column = schema.naming.column(model.name, name)
            _check_physical_name(column, label, _owner(model, name, schema))
            _check_untaken(columns, column, label)


def _check_constraint_names(schema: Schema) -> None:
    """Refuse two constraints with one name: some databases keep them in one space."""
    taken: dict[str, str] = {}
    naming = schema.naming
    for model in filter(lambda it: it.ours, schema.models.values()):
        uniques = [(name,) for name, it in model.fields.items() if it.unique]
        indexes = [(name,) for name, it in model.fields.items() if it.index]
        for fields in [*uniques, *(it.fields for it in model.uniques)]:
            label = f"the unique key {', '.join(fields)} of {model.name}"
            _check_untaken(taken, naming.unique(model.name, fields), label)
        for fields in [*indexes, *(it.fields for it in model.indexes)]:
            label = f"the index {', '.join(fields)} of {model.name}"
            _check_untaken(taken, naming.index(model.name, fields), label)
        for name in model.references:
            label = f"the reference {name} of {model.name}"
            _check_untaken(taken, naming.foreign_key(model.name, name), label)


def _check_untaken(taken: dict[str, str], physical: str, label: str) -> None:
    """Refuse two things with one name; databases differ in whether case tells them apart."""
    if physical.lower() in taken:
        raise ConfigurationError(
            f"{taken[physical.lower()]} and {label} are both named {physical!r} in the database.",
            hint="Rename one, or change the Naming or its tables and columns.",
        )
    taken[physical.lower()] = label


def _check_physical_name(physical: str, label: str, owner: str) -> None:
    if not physical or len(physical.encode()) > NAME_CHARACTERS:
        raise ConfigurationError(
            f"{label} of {owner} would be named {physical!r}: "
            f"not between 1 and {NAME_CHARACTERS} bytes.",
            hint="Choose a shorter prefix or name in Naming.",
        )
    lowered = physical.lower()
    if lowered in _RESERVED_COLUMNS or lowered.startswith(_RESERVED_PREFIXES):
        raise ConfigurationError(
            f"{label} of {owner} would be named {physical!r}, which a database reserves.",
            hint="Choose another name in Naming.",
        )
