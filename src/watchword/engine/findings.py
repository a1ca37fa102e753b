"""What `watchword check` finds: each with a code, a sentence, and what mends it."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

__all__ = ["Code", "Finding", "Level"]

Level: TypeAlias = Literal["error", "warning"]
"""An error stops something from working, or lets somebody in; a warning may be as you want it."""


class Code(Enum):
    """Every kind of finding, with its title; W0 is about the database, W1 about settings."""

    W001 = "A table is missing"
    W002 = "A column is missing"
    W003 = "A table or a column has another name"
    W004 = "A name has changed, and the database has the old one"
    W005 = "A column is of another type"
    W006 = "A column keeps less than it should"
    W007 = "A column keeps more than it should"
    W008 = "Text does not compare byte for byte"
    W009 = "A column must not be null, but should be allowed to"
    W010 = "A column may be null, but should not"
    W011 = "A column's default differs"
    W012 = "A column has to be given a value, and nobody gives it one"
    W013 = "An index is missing"
    W014 = "Nothing keeps values unique"
    W015 = "A foreign key is missing"
    W016 = "A foreign key does something else when a row is deleted"
    W017 = "Something is still there that is not wanted any more"
    W018 = "An index or a constraint was begun and not finished"
    W019 = "Two names for one thing are both there"
    W020 = "A migration was begun and not finished"
    W021 = "The database is behind the code"
    W022 = "The database is ahead of the code"
    W023 = "The application's own table lacks something"
    W024 = "The database does not look at what is written"
    W025 = "The server has no transactions"

    W101 = "The secret looks like an example"
    W102 = "An older secret can be guessed"
    W103 = "Browsers reach the application without TLS"
    W104 = "A trusted origin can be faked"
    W105 = "A trusted origin is anybody's"
    W106 = "Cookies go over connections without TLS"
    W107 = "Browsers will not keep the cookies"
    W108 = "Nobody can set a forgotten password anew"
    W109 = "Nothing sends a link to verify addresses"
    W110 = "Nobody can change an address"
    W111 = "Nothing limits how often a client calls"
    W112 = "Very many addresses are trusted as proxies"
    W113 = "A secondary storage does not keep what it is given"

    @property
    def title(self) -> str:
        """What is found, whatever it is found in."""
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Args:
        code: Which kind of thing.
        level: How bad it is.
        message: What is wrong, in one line.
        mend: The command or the sentence that mends it.
    """

    code: Code
    level: Level
    message: str
    mend: str
