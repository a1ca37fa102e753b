"""How the rows of two models belong together; asked for by `Include`."""

from dataclasses import dataclass

from watchword.errors import ConfigurationError, UnknownField
from watchword.schema import Model, Schema
from watchword.storage.query import Include

__all__ = ["Relation", "require_relation"]


@dataclass(frozen=True, slots=True)
class Relation:
    """A join of a model with a related one.

    Args:
        related: The model whose rows come along.
        field: Of the related rows, what is compared.
        own_field: Of the row itself, what it is compared with.
        many: A list of rows comes along; otherwise one, or None.
    """

    related: Model
    field: str
    own_field: str
    many: bool


def require_relation(schema: Schema, model: Model, include: Include) -> Relation:
    """Return what an include asks for; a model that points at itself is joined to one.

    Raises:
        UnknownModel: The schema has no such model.
        UnknownField: No field, or not the named one, joins the two.
        ConfigurationError: Several fields do and none is named.
    """
    related = schema.require_model(include.model)
    found = _relations(model, related)
    if include.through is not None:
        if include.through not in found:
            raise UnknownField(model.name, include.through)
        return found[include.through]
    if not found:
        raise UnknownField(model.name, include.model)
    if len(found) > 1:
        raise ConfigurationError(
            f"{model.name} and {include.model} are joined by {', '.join(sorted(found))}.",
            hint=f'Name one: Include("{include.model}", through="{min(found)}").',
        )
    return next(iter(found.values()))


def _relations(model: Model, related: Model) -> dict[str, Relation]:
    """Return every join of the two, by the field that makes it."""
    to_many = {
        name: Relation(related, name, "id", many=True)
        for name, target in related.references.items()
        if target == model.name
    }
    to_one = {
        name: Relation(related, "id", name, many=False)
        for name, target in model.references.items()
        if target == related.name
    }
    return to_many | to_one
