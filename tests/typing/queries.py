"""What a type checker says about queries: checked by mypy, never run."""

from collections.abc import Awaitable, Callable
from typing import assert_type

from watchword.concurrency import call, finish, offload, run_blocking
from watchword.storage.query import F, FieldRef, Where

assert_type(F.email, FieldRef)
assert_type(F.email == "ada@example.org", Where)
assert_type((F.email == "ada@example.org") & ~F.name.is_null() | (F.age >= 18), Where)

F.email.contains(1)  # type: ignore[arg-type]  # text is looked for in text
F.email & F.name  # type: ignore[operator]  # a field alone is no condition


async def _length(text: str) -> int:
    return len(text)


def _blocking_length(text: str) -> int:
    return len(text)


async def _results_keep_their_types(callback: Callable[[str], Awaitable[int] | int]) -> None:
    assert_type(await offload(_blocking_length, "Ada"), int)
    assert_type(await finish(_length("Ada")), int)
    assert_type(await call(callback, "Ada"), int)
    assert_type(run_blocking(_length("Ada")), int)
    await offload(_blocking_length, 1)  # type: ignore[arg-type]  # arguments are checked
    await offload(_blocking_length)  # type: ignore[call-arg]  # none may be missing
