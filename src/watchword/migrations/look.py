"""What is found in a database, whichever kind it is of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from watchword.engine.findings import Code, Finding
from watchword.errors import ConfigurationError
from watchword.migrations.aims import Aim
from watchword.migrations.plan import Plan
from watchword.migrations.renames import Renames
from watchword.migrations.state import State
from watchword.schema.core import CORE_VERSION
from watchword.schema.snapshot import Snapshot

__all__ = [
    "KEEP",
    "MIGRATE",
    "Look",
    "name_findings",
    "of_newer_release",
    "plan_of",
    "version_findings",
]

MIGRATE: Final = "`watchword migrate`"
KEEP: Final = "Start the newer code, or `watchword migrate --keep`"


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in a database.

    Args:
        findings: What is not as it should be.
        may_create: What is missing may be made by whoever starts: none of our tables is there,
            or they are such that more can be made beside them and nobody migrates here.
        is_being_changed: A migration is under way, or was broken off.
        vital: The findings with which nothing may start: promises would be broken silently.
    """

    findings: tuple[Finding, ...] = ()
    may_create: bool = False
    is_being_changed: bool = False
    vital: tuple[Finding, ...] = ()


def version_findings(state: State) -> Iterator[Finding]:
    """Tell whether the database is behind the code, or ahead of it."""
    last, code = state.version, state.newer_than
    if state.recorded is not None and state.recorded.core > CORE_VERSION:
        release = state.versions[-1].release
        message = f"the database was made by a newer Watchword, {release}"
        yield Finding(Code.W022, "error", message, f"Install Watchword {release} or newer")
    elif code is not None:
        message = f"the database is at version {last}, and this code is version {code.number}"
        yield Finding(Code.W022, "warning", message, KEEP)
    elif state.pending is not None:
        message = f"version {state.pending.number} was begun and not finished"
        mend = f"Wait for whoever makes it; if nobody does, {MIGRATE} goes on from there"
        yield Finding(Code.W020, "warning", message, mend)
    elif state.versions and not state.is_recorded:
        message = f"the database is at version {last}, which is of an earlier schema"
        yield Finding(Code.W021, "warning", message, MIGRATE)


def of_newer_release(error: ConfigurationError) -> Finding:
    """Tell that what was written down cannot be read."""
    return Finding(Code.W022, "error", error.message.rstrip("."), error.hint)


def name_findings(known: Snapshot, wanted: Snapshot, present: Snapshot) -> Iterator[Finding]:
    """Tell of what is there by its old name and by its new one."""
    for conflict in Renames().between(known, wanted, present).conflicts:
        about, _, advice = conflict.partition(": ")
        yield Finding(Code.W019, "error", about, f"{advice[:1].upper()}{advice[1:-1]}")


def plan_of(state: State) -> Plan:
    """Return what a migration would do that keeps what it does not know."""
    try:
        return state.plan(Aim(keep=True))
    except ConfigurationError:
        # Renames of a migration that was broken off, which the schema knows no more.
        return replace(state, pending=None).plan(Aim(keep=True))
