"""Who sees which documents, and who may write them, as MongoDB decides it.

A transaction sees what was committed when it began, and what it wrote. Whoever writes a document
first has it until the end: another transaction is refused with a write conflict, a write in none
waits.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from stand_in_server.catalog import Collection, Key
from stand_in_server.refusals import Refusal, write_conflict
from stand_in_server.values import Document

Rows = dict[Key, Document | None]
Change = Callable[[Document | None], Document | None]
"""Makes the new document of the present one; None is no document, the same one no change."""

# As `transactionLifetimeLimitSeconds` is set by default.
LIFETIME: Final = 60.0


@dataclass(eq=False)
class Transaction:
    """A transaction of a session.

    Args:
        number: The session's number for it.
        snapshot: What was committed when it began.
        writes: What it wrote since.
        held: Which of these documents has a unique key, by collection and index.
    """

    number: int
    snapshot: dict[Collection, dict[Key, Document]]
    writes: dict[Collection, Rows] = field(default_factory=dict)
    held: dict[tuple[Collection, str], dict[Key, Key]] = field(default_factory=dict)
    state: str = "open"
    ends_at: float = field(default_factory=lambda: monotonic() + LIFETIME)

    def write(self, collection: Collection, key: Key, document: Document | None) -> None:
        """Keep what a document becomes."""
        rows = self.writes.setdefault(collection, {})
        before = rows.get(key)
        rows[key] = document
        for name, index in collection.indexes.items():
            held = self.held.setdefault((collection, name), {})
            for it in index.keys_of(before) if before else ():
                if held.get(it) == key:
                    del held[it]
            held.update(dict.fromkeys(index.keys_of(document) if document else (), key))

    def holder(self, collection: Collection, name: str, held: Key) -> Key | None:
        """Return which of the documents it wrote has a unique key."""
        return self.held.get((collection, name), {}).get(held)


class Store:
    """All collections, and the transactions that are open."""

    def __init__(self) -> None:
        self.turn = threading.Condition()
        self.collections: dict[tuple[str, str], Collection] = {}
        self.open: set[Transaction] = set()

    # --- collections ---------------------------------------------------------------------

    def find(self, database: str, name: str) -> Collection | None:
        """Return a collection, or None."""
        return self.collections.get((database, name))

    def require(self, database: str, name: str) -> Collection:
        """Return a collection, or refuse."""
        found = self.find(database, name)
        if found is None:
            raise Refusal(26, f"ns not found {database}.{name}")
        return found

    def require_quiet(self, database: str, name: str) -> Collection:
        """Return a collection when no transaction has written to it."""
        while True:
            found = self.require(database, name)
            busy = next((it for it in self.open if found in it.writes), None)
            if busy is None:
                return found
            self.wait_for(busy)

    def make(self, database: str, name: str, options: Document | None = None) -> Collection:
        """Make a collection, also for a transaction, which does not take it away again."""
        made = Collection(database, name, options or {})
        self.collections[database, name] = made
        return made

    # --- transactions --------------------------------------------------------------------

    def begin(self, number: int) -> Transaction:
        """Begin a transaction: it sees what is committed now."""
        snapshot = {it: dict(it.rows) for it in self.collections.values()}
        begun = Transaction(number, snapshot)
        self.open.add(begun)
        return begun

    def commit(self, transaction: Transaction) -> None:
        """Let everybody see what was written; nothing can stand against it any more."""
        for collection, rows in transaction.writes.items():
            for key in rows:
                collection.put(key, None) if rows[key] is None else None
            for key, document in rows.items():
                collection.put(key, document)
        self._end(transaction, "committed")

    def abort(self, transaction: Transaction) -> None:
        """Forget what was written."""
        if transaction in self.open:
            self._end(transaction, "aborted")

    def _end(self, transaction: Transaction, state: str) -> None:
        transaction.state = state
        self.open.discard(transaction)
        transaction.writes = {}
        transaction.held = {}
        transaction.snapshot = {}
        self.turn.notify_all()

    def wait_for(self, transaction: Transaction) -> None:
        """Wait until a transaction has ended, while others have their turn."""
        ended = self.turn.wait_for(
            lambda: transaction not in self.open, transaction.ends_at - monotonic()
        )
        if not ended:
            self.abort(transaction)

    def view(self, transaction: Transaction | None = None) -> "View":
        """Return the documents as a transaction sees them, or as they are committed."""
        return View(self, transaction)


class View:
    """The documents as one command sees them.

    Args:
        store: Where they are.
        transaction: The one that the command is a part of, if any.
    """

    def __init__(self, store: Store, transaction: Transaction | None) -> None:
        self.store = store
        self.transaction = transaction

    def rows(self, collection: Collection) -> dict[Key, Document]:
        """Return all documents of a collection."""
        if self.transaction is None:
            return dict(collection.rows)
        seen: Rows = dict(self.transaction.snapshot.get(collection, {}))
        seen.update(self._own(collection))
        return {key: row for key, row in seen.items() if row is not None}

    def row(self, collection: Collection, key: Key) -> Document | None:
        """Return one document."""
        if self.transaction is None:
            return collection.rows.get(key)
        own = self._own(collection)
        return own[key] if key in own else self._seen(collection, key)

    def _own(self, collection: Collection) -> Rows:
        return {} if self.transaction is None else self.transaction.writes.get(collection, {})

    def _seen(self, collection: Collection, key: Key) -> Document | None:
        """Return what a transaction saw when it began."""
        if self.transaction is None:
            return collection.rows.get(key)
        return self.transaction.snapshot.get(collection, {}).get(key)

    def change(
        self, collection: Collection, key: Key, change: Change, *, is_checked: bool = True
    ) -> tuple[Document | None, Document | None]:
        """Change the document of a key; return what it was, and what it is.

        Args:
            collection: Where it is.
            key: Whose document.
            change: Asked again after another one had to be waited for.
            is_checked: The validator is asked.
        """
        while True:
            before = self.row(collection, key)
            after = change(before)
            if after is before:
                return before, after
            if after is not None and is_checked:
                collection.check(after, before)
            blocker = self._blocker(collection, key, after)
            if blocker is None:
                self._write(collection, key, after)
                return before, after
            if self.transaction is not None:
                raise write_conflict()
            self.store.wait_for(blocker)

    def _write(self, collection: Collection, key: Key, document: Document | None) -> None:
        if self.transaction is None:
            collection.put(key, document)
        else:
            self.transaction.write(collection, key, document)

    def _blocker(
        self, collection: Collection, key: Key, after: Document | None
    ) -> Transaction | None:
        """Return who has to end before a write; a transaction does not wait for what it missed."""
        if other := self.writer(collection, key):
            return other
        self._check_seen(collection, key)
        for name, index in collection.indexes.items():
            for held in index.keys_of(after) if after else ():
                if other := self._pending(collection, name, held, key):
                    return other
                if self._is_taken(collection, name, held, key):
                    assert after is not None
                    raise index.duplicate(collection.namespace, after)
        return None

    def _others(self, collection: Collection) -> Iterator[tuple[Transaction, Rows]]:
        for it in self.store.open:
            if it is not self.transaction and collection in it.writes:
                yield it, it.writes[collection]

    def writer(self, collection: Collection, key: Key) -> Transaction | None:
        """Return the other transaction that has written a document, if there is one."""
        return next((it for it, rows in self._others(collection) if key in rows), None)

    def _pending(
        self, collection: Collection, name: str, held: Key, key: Key
    ) -> Transaction | None:
        """Return who is about to take a unique key, or to give it away."""
        index = collection.indexes[name]
        holder = index.held.get(held)
        for other, rows in self._others(collection):
            if holder is not None and holder != key and holder in rows:
                return other
            if other.holder(collection, name, held) is not None:
                return other
        return None

    def _is_taken(self, collection: Collection, name: str, held: Key, key: Key) -> bool:
        index, own = collection.indexes[name], self._own(collection)
        ours = self.transaction.holder(collection, name, held) if self.transaction else None
        if ours not in {None, key}:
            return True
        holder = index.held.get(held)
        if holder is None or holder == key or holder in own:
            return False
        self._check_seen(collection, holder)
        return True

    def _check_seen(self, collection: Collection, key: Key) -> None:
        if key not in self._own(collection) and (
            self._seen(collection, key) is not collection.rows.get(key)
        ):
            raise write_conflict()
