"""Our tables in a metadata of the application's: once, however many instances join it."""

from typing import Final

from sqlalchemy import MetaData, Table

from watchword.errors import ConfigurationError
from watchword.schema import Schema

__all__ = ["SCHEMA_KEY", "tables_present"]

SCHEMA_KEY: Final = "watchword.schema"
"""Under which each table of ours keeps, in its `info`, the schema that it is of."""


def tables_present(metadata: MetaData, schema: Schema) -> dict[str, Table]:
    """Return our tables, by model, if all are there as this schema has them.

    Tables of ours that are as another schema had them go: instances that were made with them
    keep them, and whoever reads the metadata finds one state.

    Raises:
        ConfigurationError: A table of the application's has a name that one of ours needs.
    """
    found = {
        model.name: metadata.tables[key]
        for model in schema.models.values()
        if model.ours and (key := _key(schema, model.name)) in metadata.tables
    }
    for model, table in found.items():
        if SCHEMA_KEY not in table.info:
            raise ConfigurationError(
                f"The application's metadata has a table {table.fullname!r} already, "
                f"which the model {model!r} is to be named.",
                hint="Choose another prefix or name in Naming.",
            )
    wanted = [model.name for model in schema.models.values() if model.ours]
    if len(found) == len(wanted) and all(it.info[SCHEMA_KEY] == schema for it in found.values()):
        return found
    for table in found.values():
        metadata.remove(table)
    return {}


def _key(schema: Schema, model: str) -> str:
    name, within = schema.naming.table(model), schema.naming.schema_of(model)
    return f"{within}.{name}" if within else name
