"""The shape of a plugin: what it may add to an instance."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from watchword.engine.endpoint import Endpoint, collect
from watchword.engine.hooks import collect_database_hooks
from watchword.engine.rate_limit import RateLimit
from watchword.errors import ConfigurationError, ErrorCode
from watchword.schema import Field, Model
from watchword.storage.hooks import DatabaseHook

__all__ = ["Plugin"]


class Plugin:
    """Adds endpoints, models, hooks and rate limits; subclass it as a frozen dataclass.

    Settings are fields. Endpoints are methods marked with `get` and `post`; hooks are methods
    marked with `before` and `after`, which run after the application's own, and with
    `before_write` and `after_write`. The rest is class attributes.
    """

    id: ClassVar[str]
    """Names the plugin in errors and in the schema."""
    errors: ClassVar[type[ErrorCode] | None] = None
    """Its refusals."""
    taken: ClassVar[Mapping[tuple[str, ...], ErrorCode]] = {}
    """What is answered where another row has a value that must be unique: its refusal by the
    model and the names of the fields, sorted."""
    models: ClassVar[Sequence[Model]] = ()
    """New models."""
    rate_limits: ClassVar[Sequence[RateLimit]] = ()
    """How often its endpoints, or others, may be called."""

    def __init_subclass__(cls) -> None:
        if not hasattr(cls, "id"):
            raise ConfigurationError(
                f"The plugin {cls.__name__} has no id.",
                hint='Give its class one: id = "my-plugin".',
            )

    @property
    def extends(self) -> Mapping[str, Mapping[str, Field]]:
        """Fields that it adds to models of others, by model and name.

        A class attribute too, where no setting decides on them.
        """
        return {}

    @property
    def user_forms(self) -> Mapping[str, Callable[[str], str]]:
        """What brings a value of a user's field into the one form that is stored and looked up."""
        return {}

    def endpoints(self) -> Iterator[Endpoint]:
        """Return its routes."""
        return collect(self, self.id)

    def database_hooks(self) -> Iterator[DatabaseHook]:
        """Return what it does around writes."""
        return collect_database_hooks(self)
