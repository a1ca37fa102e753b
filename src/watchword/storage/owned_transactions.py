"""Transactions that belong to a task or a thread: its calls find them, and nobody else's do."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Self

from watchword.concurrency import current_owner
from watchword.storage.after_commit import is_in_generator, let_generators_close

__all__ = ["OwnedTransaction"]


class OwnedTransaction:
    """What every transaction of an adapter knows of its owner.

    Args:
        gate: Through which calls come that may join it.
    """

    def __init__(self, gate: object) -> None:
        self.gate = gate
        self.owner = current_owner()
        self.is_open = True
        self.may_be_left = is_in_generator()

    @contextmanager
    def ambient(self) -> Iterator[None]:
        """Let the calls of the owner find this transaction, until the body is left.

        It may be left in another context than it began in: a generator that was left early is
        closed by another task. So nothing is reset, and what has ended is passed over.
        """
        _transactions.set((*_open_transactions(), self))
        try:
            yield
        finally:
            self.is_open = False
            _transactions.set(_open_transactions())

    @classmethod
    def find(cls, gate: object) -> Self | None:
        """Return the transaction that this task or thread has open at a gate.

        A child task inherits the context, but not the transaction: it is not its owner.
        """
        for it in reversed(_open_transactions()):
            if isinstance(it, cls) and it.gate is gate and it.owner == current_owner():
                return it
        return None

    @classmethod
    async def joined(cls, gate: object) -> Self | None:
        """Return the same, but for one whose generator was left a moment ago."""
        transaction = cls.find(gate)
        if transaction is not None and transaction.may_be_left:
            await let_generators_close()
            transaction = cls.find(gate)
        return transaction


_transactions: Final[ContextVar[tuple[OwnedTransaction, ...]]] = ContextVar(
    "watchword_transactions", default=()
)


def _open_transactions() -> tuple[OwnedTransaction, ...]:
    """Return those of this context that have not ended, whose-ever they are."""
    return tuple(it for it in _transactions.get() if it.is_open)
