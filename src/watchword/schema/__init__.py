"""What is stored, described in no database's terms."""

from watchword.schema.core import ACCOUNT, CORE_MODELS, SESSION, USER, VERIFICATION
from watchword.schema.fields import (
    NOW,
    Field,
    FieldType,
    Index,
    Model,
    Moment,
    OnDelete,
    Schema,
    Unique,
)
from watchword.schema.naming import Naming, camel_case
from watchword.schema.own_tables import OwnModel, OwnTable
from watchword.schema.resolve import IdType, SchemaExtension, resolve_schema

__all__ = [
    "ACCOUNT",
    "CORE_MODELS",
    "NOW",
    "SESSION",
    "USER",
    "VERIFICATION",
    "Field",
    "FieldType",
    "IdType",
    "Index",
    "Model",
    "Moment",
    "Naming",
    "OnDelete",
    "OwnModel",
    "OwnTable",
    "Schema",
    "SchemaExtension",
    "Unique",
    "camel_case",
    "resolve_schema",
]
