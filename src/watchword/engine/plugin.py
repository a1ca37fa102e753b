"""The shape of a plugin: what it may add to an instance."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from watchword.engine.endpoint import Endpoint, collect
from watchword.engine.hooks import EndpointHook
from watchword.engine.rate_limit import RateLimit
from watchword.errors import ConfigurationError, ErrorCode
from watchword.schema import Field, Model
from watchword.storage.hooks import DatabaseHook

__all__ = ["Plugin"]


class Plugin:
    """Adds endpoints, models, hooks and rate limits; subclass it as a frozen dataclass.

    Settings are fields, endpoints are methods marked with `get` and `post`, the rest is
    class attributes.
    """

    id: ClassVar[str]
    """Names the plugin in errors and in the schema."""
    errors: ClassVar[type[ErrorCode] | None] = None
    """Its refusals."""
    models: ClassVar[Sequence[Model]] = ()
    """New models."""
    extends: ClassVar[Mapping[str, Mapping[str, Field]]] = {}
    """Fields that it adds to models of others, by model and name."""
    database_hooks: ClassVar[Sequence[DatabaseHook]] = ()
    """What it does around writes."""
    hooks: ClassVar[Sequence[EndpointHook]] = ()
    """What it does around endpoints, after the application's own hooks."""
    rate_limits: ClassVar[Sequence[RateLimit]] = ()
    """How often its endpoints, or others, may be called."""

    def __init_subclass__(cls) -> None:
        if not hasattr(cls, "id"):
            raise ConfigurationError(
                f"The plugin {cls.__name__} has no id.",
                hint='Give its class one: id = "my-plugin".',
            )

    def endpoints(self) -> Iterator[Endpoint]:
        """Return its routes."""
        return collect(self, self.id)
