"""Models whose rows are kept elsewhere than in the database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from watchword.schema.fields import Field, Model, Schema
from watchword.schema.own_tables import OwnModel

__all__ = ["KeptElsewhere", "without"]

# Whatever a directory calls its people: a name, a number, a distinguished name.
_ANY_ID: Final = Field("string", max_length=255, input=False, key=True)


@dataclass(frozen=True, slots=True)
class KeptElsewhere:
    """Tells the schema of a model whose ids are those of another place.

    Args:
        model: Which.
    """

    model: str

    @property
    def key(self) -> Field:
        """What ids are there: texts of any kind."""
        return _ANY_ID

    def fit(self, model: Model, _owners: Mapping[str, str]) -> OwnModel:
        """Return the model as it is."""
        elsewhere = replace(model, ours=False)
        return OwnModel(model=elsewhere, table=model.name, schema=None, columns={})


def without(schema: Schema, models: Collection[str]) -> Schema:
    """Return the schema of a database that lacks some models: references to them are mere ids."""
    if not models:
        return schema
    kept = {name: it for name, it in schema.models.items() if name not in models}
    return replace(schema, models={name: _unbound(it, models) for name, it in kept.items()})


def _unbound(model: Model, models: Collection[str]) -> Model:
    fields = {
        name: replace(it, references=None) if it.references in models else it
        for name, it in model.fields.items()
    }
    return replace(model, fields=fields)
