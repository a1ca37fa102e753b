"""What a table of the application's own tells the schema: its names, its key and its limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from watchword.schema.fields import Field, Model

__all__ = ["OwnModel", "OwnTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """A model as the application's table keeps it.

    Args:
        model: With the limits of the columns, and with columns that nobody asked for.
        table: The table's name.
        schema: The database schema that it is in.
        columns: The columns' names, by field.
    """

    model: Model
    table: str
    schema: str | None
    columns: Mapping[str, str]


class OwnTable(Protocol):
    """A table of the application's that stands for one of the models."""

    @property
    def model(self) -> str:
        """The model that it stands for."""

    @property
    def key(self) -> Field | None:
        """What ids are in it; None if it has none that could be one."""

    def fit(self, model: Model, owners: Mapping[str, str]) -> OwnModel:
        """Return the model as the table keeps it.

        Args:
            model: With every field that is wanted.
            owners: Who wants them, by `"model.field"`.

        Raises:
            ConfigurationError: The table cannot stand for the model; all reasons are listed.
        """
