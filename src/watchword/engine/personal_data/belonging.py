"""Whose rows are whose: what the schema alone tells of how rows hang on one another."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from watchword.schema import Schema
from watchword.schema.fields import OnDelete
from watchword.storage.contract import Record

__all__ = ["Belonging", "Reference", "children_first"]

_PERSON: Final = "user"


@dataclass(frozen=True, slots=True)
class Reference:
    """A field by which the rows of a model point at those of another."""

    model: str
    field: str
    target: str
    on_delete: OnDelete

    @property
    def is_cascading(self) -> bool:
        """The row goes with what it points at."""
        return self.on_delete == "cascade"

    @property
    def is_owning(self) -> bool:
        """The row belongs to what it points at: it goes with it, or keeps it from going."""
        return self.on_delete != "set null"


class Belonging:
    """How the rows of a schema hang on people, at first or at second hand."""

    def __init__(self, schema: Schema) -> None:
        self.references = tuple(
            Reference(model.name, name, field.references, field.on_delete)
            for model in schema.models.values()
            for name, field in model.fields.items()
            if field.references is not None
        )
        self._to: Mapping[str, Sequence[Reference]] = _grouped(self.references)
        self._owned = self._reached(_PERSON)
        self.leaves_first = tuple(self._leaves_first(_PERSON, set()))

    def to(self, target: str) -> Sequence[Reference]:
        """Return what points at a model."""
        return self._to.get(target, ())

    @property
    def is_flat(self) -> bool:
        """Whether all that hangs on people goes with them and has nothing that hangs on it."""
        return all(it.is_cascading and not self.to(it.model) for it in self.to(_PERSON))

    def owners(self, model: str) -> list[Reference]:
        """Return the fields of a model that tell whose a row is, or whose its owner is."""
        return [
            it
            for it in self.references
            if it.model == model and it.is_owning and it.target in self._owned
        ]

    def people_of(self, row: Record, model: str) -> list[Any]:
        """Return the ids of those whom a row belongs to at first hand.

        Those with whom it goes, or whom it keeps from going. Without any, it is its author's: of
        the people it would stay without, the first in the order of the model's fields.
        """
        naming = [
            it
            for it in self.references
            if (it.model, it.target) == (model, _PERSON) and row[it.field] is not None
        ]
        return [row[it.field] for it in naming if it.is_owning] or [
            row[it.field] for it in naming[:1]
        ]

    def _reached(self, target: str) -> set[str]:
        """Return a model with all whose rows belong to its rows."""
        reached, waiting = {target}, [target]
        while waiting:
            found = {it.model for it in self.to(waiting.pop()) if it.is_owning} - reached
            reached |= found
            waiting += found
        return reached

    def _leaves_first(self, model: str, seen: set[str]) -> Iterator[str]:
        """Go through what goes with a model: each before what it points at, itself at last."""
        seen.add(model)
        for it in self.to(model):
            if it.is_cascading and it.model not in seen:
                yield from self._leaves_first(it.model, seen)
        yield model


def children_first(rows: Mapping[Any, Record], fields: Collection[str]) -> Iterator[list[Any]]:
    """Go through ids of one model, each before what it points at, as far as there is an order."""
    left = {key: {row.get(it) for it in fields} & rows.keys() for key, row in rows.items()}
    children = Counter(chain.from_iterable(left.values()))
    leaves = [it for it in left if not children[it]]
    while leaves:
        yield leaves
        freed = []
        for parent in chain.from_iterable([left.pop(it) for it in leaves]):
            children[parent] -= 1
            if not children[parent]:
                freed.append(parent)
        leaves = freed
    if left:  # rings, and what they hang on
        yield list(left)


def _grouped(references: Sequence[Reference]) -> Mapping[str, Sequence[Reference]]:
    grouped: dict[str, list[Reference]] = defaultdict(list)
    for it in references:
        grouped[it.target].append(it)
    return grouped
