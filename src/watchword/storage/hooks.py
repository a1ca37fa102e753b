"""What applications and plugins do before and after rows are written."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from watchword.concurrency import call
from watchword.errors import OperationRefused
from watchword.storage.contract import Record

__all__ = ["After", "Before", "DatabaseHook", "DatabaseHooks", "Operation"]

Operation: TypeAlias = Literal["create", "update", "delete"]
Verdict: TypeAlias = Mapping[str, Any] | Literal[False] | None
Before: TypeAlias = Callable[[Record], Verdict | Awaitable[Verdict]]
"""Gets what is to be written; returns False to refuse, values to merge in, or None."""
After: TypeAlias = Callable[[Record], Awaitable[None] | None]
"""Gets the whole row, when it is committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseHook:
    """Something to do around one kind of write; `def` or `async def`.

    Args:
        model: Whose rows.
        operation: Which write.
        before: Runs inside the transaction, again if the database asks to repeat it; may
            refuse or change a create or update.
        after: Runs after the commit, and not after a rollback; its failure is logged.
    """

    model: str
    operation: Operation
    before: Before | None = None
    after: After | None = None


class DatabaseHooks:
    """All hooks, by what they are about, in the order in which they were given."""

    def __init__(self, hooks: Iterable[DatabaseHook] = ()) -> None:
        self._before: dict[tuple[str, Operation], list[Before]] = defaultdict(list)
        self._after: dict[tuple[str, Operation], list[After]] = defaultdict(list)
        for hook in hooks:
            if hook.before is not None:
                self._before[hook.model, hook.operation].append(hook.before)
            if hook.after is not None:
                self._after[hook.model, hook.operation].append(hook.after)

    def concern(self, model: str, operation: Operation) -> bool:
        """Tell whether any hook wants to know."""
        return (model, operation) in self._before or (model, operation) in self._after

    async def before(self, model: str, operation: Operation, data: Mapping[str, Any]) -> Record:
        """Return what is to be written after all hooks had their say.

        Raises:
            OperationRefused: A hook returned False.
        """
        merged = dict(data)
        for hook in self._before.get((model, operation), ()):
            verdict = await call(hook, dict(merged))
            if verdict is False:
                raise OperationRefused(model, operation)
            # True is no answer that the type allows, and the one that people give by mistake.
            merged.update(verdict if isinstance(verdict, Mapping) else {})
        return merged

    def after(self, model: str, operation: Operation) -> Iterable[After]:
        """Return what has to run once the write is committed."""
        return self._after.get((model, operation), ())
