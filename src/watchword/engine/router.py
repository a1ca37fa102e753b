"""From a method and a path to an endpoint."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from watchword.engine.endpoint import Endpoint
from watchword.engine.plugin import Plugin
from watchword.errors import ConfigurationError

__all__ = ["Router"]


class Router:
    """Knows every endpoint of an instance.

    Raises:
        ConfigurationError: Two plugins declare one route.
    """

    def __init__(self, plugins: Iterable[Plugin], *, base_path: str) -> None:
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        owners: dict[tuple[str, str], str] = {}
        for plugin in plugins:
            for endpoint in plugin.endpoints():
                route = endpoint.method, base_path + endpoint.path
                first = owners.setdefault(route, plugin.id)
                if route in self._endpoints:
                    raise ConfigurationError(
                        f"Both {first} and {plugin.id} declare {' '.join(route)}.",
                        hint="Enable one of them, or change a path.",
                    )
                self._endpoints[route] = endpoint

    @property
    def endpoints(self) -> Mapping[tuple[str, str], Endpoint]:
        """Every endpoint by method and full path."""
        return MappingProxyType(self._endpoints)

    def find(self, method: str, path: str) -> Endpoint | None:
        """Return the endpoint; None for any other path, slash or method."""
        return self._endpoints.get((method, path))
