"""From a method and a path to an endpoint."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from watchword.engine.endpoint import PARAMETER, Endpoint
from watchword.engine.plugin import Plugin
from watchword.errors import ConfigurationError

__all__ = ["Match", "Router"]


@dataclass(frozen=True, slots=True)
class Match:
    """An endpoint, and what its path's parameters are."""

    endpoint: Endpoint
    parameters: Mapping[str, str] = field(default_factory=dict)


class Router:
    """Knows every endpoint of an instance.

    Raises:
        ConfigurationError: Two plugins declare one route.
    """

    def __init__(self, plugins: Iterable[Plugin], *, base_path: str) -> None:
        self._base_path = base_path
        self._all: dict[tuple[str, str], Endpoint] = {}
        for plugin in plugins:
            for endpoint in plugin.endpoints():
                self._add(endpoint)
        routed = [it for it in self._all.values() if it.declaration.routed]
        self._fixed: dict[tuple[str, str], Match] = {
            (it.method, it.path): Match(it) for it in routed if not it.parameters
        }
        self._patterns = [(_pattern(it.path), it) for it in routed if it.parameters]

    def _add(self, endpoint: Endpoint) -> None:
        route = endpoint.method, endpoint.path
        first = self._all.setdefault(route, endpoint)
        if first is not endpoint:
            raise ConfigurationError(
                f"Both {first.owner} and {endpoint.owner} declare {' '.join(route)}.",
                hint="Enable one of them, or change a path.",
            )

    def __iter__(self) -> Iterator[Endpoint]:
        """Go through every endpoint, those that only Python code calls too."""
        return iter(self._all.values())

    @property
    def endpoints(self) -> Mapping[tuple[str, str], Endpoint]:
        """Every routed endpoint by method and full path."""
        return MappingProxyType(
            {
                (it.method, self._base_path + it.path): it
                for it in self._all.values()
                if it.declaration.routed
            }
        )

    def below_base(self, path: str) -> str | None:
        """Return a path without the base path; None if it is not below it."""
        base = f"{self._base_path}/"
        return path[len(base) - 1 :] if path.startswith(base) else None

    def find(self, method: str, path: str | None) -> Match | None:
        """Return the endpoint of a path below the base path; None for any other or method."""
        if path is None:
            return None
        fixed = self._fixed.get((method, path))
        return fixed or self._find_by_pattern(method, path)

    def _find_by_pattern(self, method: str, path: str) -> Match | None:
        for pattern, endpoint in self._patterns:
            if endpoint.method == method and (found := pattern.fullmatch(path)):
                return Match(endpoint, found.groupdict())
        return None


def _pattern(path: str) -> re.Pattern[str]:
    parts = PARAMETER.split(path)  # every second one is a name
    return re.compile(
        "".join(
            f"(?P<{part}>[^/]+)" if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        )
    )
