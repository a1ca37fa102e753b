"""The forms of a signed copy in a cookie: compact, JWT and JWE."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

from watchword.crypto.cookie_cache.forms import Form, Opened, milliseconds

__all__ = ["Form", "Opened", "form_of", "milliseconds"]

_FORMS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "compact": ("compact", "Compact"),
        "jwt": ("jose", "SignedJWT"),
        "jwe": ("jose", "SealedJWT"),
    }
)


def form_of(strategy: str, secrets: Sequence[str]) -> Form:
    """Return what writes and reads copies in the form of this name.

    Args:
        strategy: "compact", "jwt" or "jwe".
        secrets: The current one first, then older ones that are still accepted.
    """
    module, name = _FORMS[strategy]
    # Imported when asked for: JOSE takes a tenth of the time in which an application starts.
    form: Form = getattr(import_module(f"{__name__}.{module}"), name)(secrets)
    return form
