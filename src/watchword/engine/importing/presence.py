"""Who is there already: users whom an earlier run imported, and others in a line's way."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from watchword.engine.accounts import CREDENTIAL
from watchword.engine.importing.newcomer import Newcomer
from watchword.engine.importing.outcome import LineRefused, Reason, Trace
from watchword.storage.contract import Record
from watchword.storage.query import F, having
from watchword.storage.store import Store

__all__ = ["Present", "are_traces_there", "find_present", "is_same_instant"]

# Drivers take 32,766 parameters in a statement at least.
_MOST_VALUES: Final = 10_000
_INSTANT: Final = timedelta(microseconds=1)


async def are_traces_there(store: Store, traces: Iterable[Trace]) -> bool:
    """Tell whether all users whom batches left behind are in this database."""
    for trace in traces:
        if not await store.count("user", (F.email == trace.email) & (F.id == trace.id)):
            return False
    return True


def is_same_instant(one: datetime, other: datetime, resolution: timedelta) -> bool:
    """Tell whether a database whose instants have this step keeps both as the same one."""
    return abs(one - other) < max(resolution, _INSTANT)


async def find_present(store: Store, newcomers: Sequence[Newcomer]) -> "Present":
    """Look up, in a few statements, whoever might be in the way of these."""
    rows = await _find(store, "user", "email", [it.email for it in newcomers])
    ids = [it.id for it in newcomers if it.id is not None]
    rows += await _find(store, "user", "id", ids)
    users = {str(it["id"]): it for it in rows}
    theirs = await _find(store, "account", "user_id", [it["id"] for it in users.values()])
    accounts = defaultdict(list)
    for account in theirs:
        accounts[str(account["user_id"])].append(account)
    return Present(
        by_id=users,
        by_email={it["email"]: it for it in rows},
        accounts=accounts,
        resolution=store.adapter.capabilities.instant_resolution,
        linked=await _find_linked(store, newcomers),
    )


async def _find_linked(store: Store, newcomers: Iterable[Newcomer]) -> set[tuple[str, str]]:
    """Return which accounts of providers are somebody's."""
    wanted = defaultdict(list)
    for provider_id, account_id in (pair for it in newcomers for pair in it.linked):
        wanted[provider_id].append(account_id)
    found: set[tuple[str, str]] = set()
    for provider_id, ids in wanted.items():
        rows = await _find(store, "account", "account_id", ids, provider_id=provider_id)
        found |= {(it["provider_id"], it["account_id"]) for it in rows}
    return found


async def _find(
    store: Store, model: str, field: str, values: Sequence[Any], **equal: str
) -> list[Record]:
    """Return the rows that have one of these values; in pieces that every driver takes."""
    rows: list[Record] = []
    for start in range(0, len(values), _MOST_VALUES):
        wanted = getattr(F, field).in_(values[start : start + _MOST_VALUES])
        rows += await store.find_many(model, wanted & having(equal))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Users and accounts that are in the database."""

    by_id: Mapping[str, Record]
    by_email: Mapping[str, Record]
    accounts: Mapping[str, Sequence[Record]]
    linked: set[tuple[str, str]]
    resolution: timedelta

    def has(self, newcomer: Newcomer) -> bool:
        """Tell whether an earlier run has imported this very line.

        Raises:
            LineRefused: Somebody else is in its way.
        """
        user = self._user_of(newcomer)
        if user is None:
            if not self.linked.isdisjoint(newcomer.linked):
                raise LineRefused(Reason.ACCOUNT_TAKEN, "An account of it is another user's.")
            return False
        if not self._is_same(newcomer, user):
            raise LineRefused(Reason.EMAIL_TAKEN, "The address is that of a user who is there.")
        return True

    def trace_of(self, newcomer: Newcomer) -> Trace:
        """Return the trace of a user who is there."""
        return Trace(id=str(self.by_email[newcomer.email]["id"]), email=newcomer.email)

    def _user_of(self, newcomer: Newcomer) -> Record | None:
        """Return the user who would be this one."""
        user = None if newcomer.id is None else self.by_id.get(newcomer.id)
        if user is not None and user["email"] != newcomer.email:
            # Two people, or one who moved: to skip the line could lose somebody.
            raise LineRefused(Reason.ID_TAKEN, "The id is that of a user with another address.")
        return user or self.by_email.get(newcomer.email)

    def _is_same(self, newcomer: Newcomer, user: Record) -> bool:
        """Tell whether a user with this address was made of this line, and not by a sign-up.

        All accounts of the line have to be there: a user without the password that it brings
        could not sign in with it, and nobody would hear of that.
        """
        accounts = self.accounts.get(str(user["id"]), ())
        theirs = {(it["provider_id"], it["account_id"]) for it in accounts}
        hashes = {it["password"] for it in accounts if it["provider_id"] == CREDENTIAL}
        wanted = newcomer.password_hash
        if not theirs.issuperset(newcomer.linked) or (wanted is not None and not hashes):
            return False
        if newcomer.id is not None:
            return newcomer.id == str(user["id"])
        if newcomer.linked or (wanted is not None and wanted in hashes):
            return True
        if newcomer.created_at is not None:  # the hash is another one after the first sign-in
            return is_same_instant(newcomer.created_at, user["created_at"], self.resolution)
        # A name proves nothing: whoever signed up first, with a password of their own, can have
        # taken the very name and the address of the person whom the line means.
        return False
