"""Which command belongs to which transaction, and what is answered to one that comes twice."""

from dataclasses import dataclass, field
from typing import Any, Final

from stand_in_server.commands import (
    COMMANDS,
    IN_TRANSACTIONS,
    Answer,
    Request,
    Server,
    check_fields,
)
from stand_in_server.refusals import Refusal
from stand_in_server.transactions import Store, Transaction
from stand_in_server.values import Document

OK: Final = {"ok": 1.0}


@dataclass
class Session:
    """What is known of a session.

    Args:
        transaction: Its last one.
        written: The number of its last retryable write, and the answer.
    """

    transaction: Transaction | None = None
    written: tuple[int, Answer] | None = None


@dataclass
class Sessions:
    """Does the commands of all connections.

    Args:
        server: What is told of the server.
    """

    server: Server
    store: Store = field(default_factory=Store)
    known: dict[bytes, Session] = field(default_factory=dict)

    def answer(self, command: Document) -> Answer:
        """Do a command; no other one is done at the same time, but while this one waits."""
        is_part = "autocommit" in command
        with self.store.turn:
            try:
                done = self._in_transaction(command) if is_part else self._in_none(command)
            except Refusal as refusal:
                return refusal.answer(in_transaction=is_part)
        return {**done, **OK}

    def _done(self, command: Document, transaction: Transaction | None) -> Answer:
        name = next(iter(command))
        if name not in COMMANDS:
            raise Refusal(59, f"no such command: '{name}'")
        if transaction is not None and name not in IN_TRANSACTIONS:
            raise Refusal(263, f"Cannot run '{name}' in a multi-document transaction.")
        check_fields(command)
        view = self.store.view(transaction)
        return COMMANDS[name](Request(self.store, view, command, self.server))

    # --- in no transaction ---------------------------------------------------------------

    def _in_none(self, command: Document) -> Answer:
        name = next(iter(command))
        if name in {"endSessions", "killSessions"}:
            for ended in command[name]:
                self._end(ended["id"])
            return {}
        if "txnNumber" not in command:
            return self._done(command, None)
        self._refuse_alone()
        session = self._session(command)
        number = command["txnNumber"]
        if session.written is not None and session.written[0] == number:
            return session.written[1]
        answer = self._done(command, None)
        session.written = (number, answer)
        return answer

    def _end(self, session_id: bytes) -> None:
        session = self.known.pop(bytes(session_id), Session())
        if session.transaction is not None:
            self.store.abort(session.transaction)

    # --- in one --------------------------------------------------------------------------

    def _in_transaction(self, command: Document) -> Answer:
        self._refuse_alone()
        session = self._session(command)
        transaction = (
            self._begun(session, command)
            if command.get("startTransaction")
            else self._known(session, command)
        )
        name = next(iter(command))
        if name in {"commitTransaction", "abortTransaction"}:
            return self._ended(transaction, name)
        try:
            answer = self._done(command, transaction)
        except BaseException:
            self.store.abort(transaction)
            raise
        if "writeErrors" in answer:
            self.store.abort(transaction)
        return answer

    def _begun(self, session: Session, command: Document) -> Transaction:
        if session.transaction is not None:
            self.store.abort(session.transaction)
        session.transaction = self.store.begin(command["txnNumber"])
        return session.transaction

    def _known(self, session: Session, command: Document) -> Transaction:
        number, transaction = command["txnNumber"], session.transaction
        if transaction is None or transaction.number != number or transaction.state == "aborted":
            what = "does not match any in-progress transactions."
            raise Refusal(251, f"Given transaction number {number} {what}")
        if transaction.state == "committed" and "commitTransaction" not in command:
            raise Refusal(256, f"Transaction {number} has been committed.")
        return transaction

    def _ended(self, transaction: Transaction, name: str) -> Answer:
        if name == "abortTransaction":
            self.store.abort(transaction)
        elif transaction.state == "open":
            self.store.commit(transaction)
        return {}

    def _refuse_alone(self) -> None:
        if self.server.is_alone:
            what = "Transaction numbers are only allowed on a replica set member or mongos"
            raise Refusal(20, what)

    def _session(self, command: Document) -> Session:
        session_id: Any = command["lsid"]["id"]
        return self.known.setdefault(bytes(session_id), Session())
