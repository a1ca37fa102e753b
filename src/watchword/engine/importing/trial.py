"""What would become of newcomers if they were written: hooks are asked, values looked up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from watchword.engine.importing.newcomer import Newcomer
from watchword.engine.importing.outcome import LineRefused, Reason
from watchword.errors import (
    APIError,
    InvalidValue,
    OperationRefused,
    ReferenceViolation,
    TransactionEnded,
    UniqueViolation,
)
from watchword.schema import Field, camel_case
from watchword.storage.contract import Record
from watchword.storage.ids import id_maker
from watchword.storage.query import F, having
from watchword.storage.store import Store

__all__ = ["REFUSALS", "Trial", "line_refused", "try_out"]

REFUSALS = (
    APIError,
    InvalidValue,
    OperationRefused,
    ReferenceViolation,
    TransactionEnded,
    UniqueViolation,
)
"""What a line is refused with, by the store and by hooks; anything else is no line's fault."""


def line_refused(error: Exception) -> LineRefused:
    """Return the refusal that an error stands for."""
    match error:
        case InvalidValue():
            sentence = f"{camel_case(error.field)}: {error.reason}."
            return LineRefused(Reason.INVALID_VALUE, sentence)
        case UniqueViolation():
            return _taken(error.model, error.fields)
        case ReferenceViolation():
            return LineRefused(Reason.NO_SUCH_REFERENCE, "It points at a row that is not there.")
        case APIError():
            return LineRefused(Reason.REFUSED_BY_HOOK, f"A hook refused it: {error.message}.")
    return LineRefused(Reason.REFUSED_BY_HOOK, "A hook refused it.")


def _taken(model: str, fields: Sequence[str]) -> LineRefused:
    names = ", ".join(camel_case(it) for it in fields) or "a value"
    if (model, *fields) == ("user", "email"):
        return LineRefused(Reason.EMAIL_TAKEN, "The address is that of a user who is there.")
    if model == "account":
        return LineRefused(Reason.ACCOUNT_TAKEN, "An account of it is another user's.")
    return LineRefused(Reason.VALUE_TAKEN, f"Another user has its {names}.")


@dataclass(slots=True)
class Trial:
    """How newcomers fared.

    Args:
        passed: Those who can be written together.
        later: Those who can be written only if some who passed cannot.
        failed: The others, with what is in their way.
    """

    passed: list[Newcomer] = field(default_factory=list)
    later: list[Newcomer] = field(default_factory=list)
    failed: list[tuple[Newcomer, LineRefused]] = field(default_factory=list)


async def try_out(store: Store, newcomers: Sequence[Newcomer]) -> Trial:
    """Ask hooks and unique keys about newcomers, and write nothing."""
    trial = Trial()
    imagined: list[tuple[Newcomer, Record]] = []
    for newcomer in newcomers:
        try:
            imagined.append((newcomer, await _imagine(store, newcomer)))
        except REFUSALS as error:
            trial.failed.append((newcomer, line_refused(error)))
    for key in _keys(store):
        imagined = await _without_taken(store, key, imagined, trial)
    trial.passed = [newcomer for newcomer, _ in imagined]
    return trial


async def _imagine(store: Store, newcomer: Newcomer) -> Record:
    user = await store.imagine("user", newcomer.user)
    key = store.schema.require_model("user").fields["id"]
    user_id = _any_id(key) if user["id"] is None else user["id"]
    for account in newcomer.account_rows(user_id):
        await store.imagine("account", account)
    return user


def _any_id(key: Field) -> Any:
    """Return what stands for an id that the database would make."""
    return id_maker(key.type)() or "0"


def _keys(store: Store) -> list[tuple[str, ...]]:
    """Return the unique keys of users that hooks and plugins may have filled."""
    model = store.schema.require_model("user")
    return [
        key
        for key in model.unique_keys
        # The address and the id were looked up; what is only kept as a digest is not read back.
        if key not in {("id",), ("email",)} and not any(model.fields[it].digest for it in key)
    ]


async def _without_taken(
    store: Store, key: tuple[str, ...], imagined: list[tuple[Newcomer, Record]], trial: Trial
) -> list[tuple[Newcomer, Record]]:
    """Return those whose values of a key nobody has, in the database or before them."""
    mine = {it.line: tuple(row[name] for name in key) for it, row in imagined}
    taken = await _taken_values(store, key, [it for it in mine.values() if None not in it])
    free, seen = [], set()
    for newcomer, row in imagined:
        values = mine[newcomer.line]
        if values in taken:
            trial.failed.append((newcomer, _taken("user", key)))
        elif values in seen:
            trial.later.append(newcomer)
        else:
            free.append((newcomer, row))
            seen |= set() if None in values else {values}
    return free


async def _taken_values(
    store: Store, key: tuple[str, ...], values: Sequence[tuple[Any, ...]]
) -> set[tuple[Any, ...]]:
    if not values:
        return set()
    if len(key) == 1:
        rows = await store.find_many("user", getattr(F, key[0]).in_([it[0] for it in values]))
        return {(row[key[0]],) for row in rows}
    taken = set()
    for them in values:
        if await store.count("user", having(dict(zip(key, them, strict=True)))):
            taken.add(them)
    return taken
