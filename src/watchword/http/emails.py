"""E-mail addresses: which are accepted, and their one canonical form."""

import re
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

__all__ = ["Email", "canonical_email", "is_email"]

# The limits are RFC 5321's (4.5.3.1): 64 for the local part, 254 for the whole. \Z, because
# $ would accept a line break at the end, and with it a second spelling of one address.
_SYNTAX: Final = (
    r"\A(?=[^@]{1,64}@)(?=.{1,254}\Z)(?!\.)(?!.*\.\.)[A-Za-z0-9_'+.-]*[A-Za-z0-9_+-]"
    r"@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}\Z"
)
_MATCHER: Final = re.compile(_SYNTAX)

Email: TypeAlias = Annotated[
    str, Meta(pattern=_SYNTAX, extra={"refusal": "Invalid email address"})
]
"""An address in a body."""


def is_email(text: str) -> bool:
    """Tell whether a text is accepted as an address; no blanks are cut off first."""
    return _MATCHER.search(text) is not None


def canonical_email(address: str) -> str:
    """Return the one form in which an accepted address is stored and looked up.

    Only ASCII is accepted, so lower case is unambiguous in every language and database.
    """
    return address.lower()
