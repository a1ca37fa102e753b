"""What the process's environment says of an instance, where its code does not."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from watchword.concurrency import call
from watchword.crypto.keys import check_secret
from watchword.engine.settings import Settings
from watchword.errors import ConfigurationError
from watchword.http.messages import Request

__all__ = ["base_url", "completed", "secrets"]

_SECRET: Final = "WATCHWORD_SECRET"  # noqa: S105 - its name, not its value
_BASE_URL: Final = "WATCHWORD_BASE_URL"
_TRUSTED_ORIGINS: Final = "WATCHWORD_TRUSTED_ORIGINS"


def base_url() -> str:
    """Return where browsers reach the application.

    Raises:
        ConfigurationError: The environment does not say.
    """
    return _required(_BASE_URL, "base_url")


def secrets(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the secrets that are given, or else the environment's.

    Raises:
        ConfigurationError: There is none, or the first one is weak.
    """
    if given is None:
        given = _required(_SECRET, "secret")
    found = (given,) if isinstance(given, str) else tuple(given)
    if not found:
        raise ConfigurationError("There is no secret.", hint="`watchword secret` makes one.")
    check_secret(found[0])  # a weak one may stand behind it, to be rotated away
    return found


def _required(variable: str, argument: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ConfigurationError(
            f"There is no {argument}.", hint=f"Pass {argument}=…, or set {variable}."
        )
    return value


def completed(settings: Settings) -> Settings:
    """Add the trusted origins of the environment to those that are given."""
    listed = (it.strip() for it in os.environ.get(_TRUSTED_ORIGINS, "").split(","))
    added = tuple(filter(None, listed))
    given = settings.get("trusted_origins", ())
    if not added or isinstance(given, str):
        return settings
    if callable(given):
        return {**settings, "trusted_origins": partial(_with_added, given, added)}
    return {**settings, "trusted_origins": (*given, *added)}


async def _with_added(
    ask: Callable[[Request], Any], added: tuple[str, ...], request: Request
) -> tuple[str, ...]:
    return (*added, *await call(ask, request))
