"""Random operations on the adapter and on the memory reference have the same results."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, ClassVar, Final
from uuid import NAMESPACE_OID, uuid5

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from watchword.adapters.memory import MemoryAdapter
from watchword.schema import Schema
from watchword.storage.contract import Adapter, Record
from watchword.storage.query import And, FieldRef, Increment, Not, Or, OrderBy, Where
from watchword.testing.modes import Mode
from watchword.testing.suite.fixtures import Suite, id_of
from watchword.testing.suite.steps import (
    Pair,
    Refused,
    Step,
    consume_row,
    count_rows,
    create,
    delete,
    delete_many,
    find,
    find_one,
    sift,
    together,
    update,
    update_many,
)

__all__ = ["Stateful"]

_TEXTS: Final = (None, "", "a", "A", "a ", "á", "%", "_", "\\")
_CODES: Final = _TEXTS[1:]
_INTEGERS: Final = (None, -1, 0, 1, 2)
_INSTANTS: Final = (
    None,
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2026, 5, 17, 12, tzinfo=UTC),
    datetime(2026, 5, 17, 12, 0, 1, tzinfo=UTC),
)
_POOLS: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "specimen": {
        "string": _TEXTS,
        "text": _TEXTS,
        "integer": _INTEGERS,
        "boolean": (None, True, False),
        "datetime": _INSTANTS,
    },
    "ticket": {"code": _CODES, "holder": _TEXTS, "uses": _INTEGERS, "total": _INTEGERS},
    "seat": {"room": _CODES, "number": _INTEGERS, "guest": _TEXTS},
}
_TEXT_FIELDS: Final = frozenset({"string", "text", "code", "holder", "room", "guest"})
# Not `number`: it is part of a key, and databases differ in whether a key may be broken
# between two rows of one statement.
_COUNTERS: Final = frozenset({"integer", "uses", "total"})

_OPERATORS: Final = (
    FieldRef.__eq__,
    FieldRef.__ne__,
    FieldRef.__lt__,
    FieldRef.__le__,
    FieldRef.__gt__,
    FieldRef.__ge__,
)
_TEXT_OPERATORS: Final = (
    FieldRef.contains,
    FieldRef.starts_with,
    FieldRef.ends_with,
    FieldRef.ieq,
)


def _ways(field: str, value: Any) -> tuple[Where, ...]:
    """Return every comparison of a field with a value."""
    it = FieldRef(field)
    if value is None:
        return (it.is_null(), it == None, it != None)  # noqa: E711 - builds a condition
    ways = (*_OPERATORS, *_TEXT_OPERATORS) if field in _TEXT_FIELDS else _OPERATORS
    return tuple(way(it, value) for way in ways)


def _values(model: str) -> st.SearchStrategy[tuple[str, Any]]:
    """Choose a field and one of its values."""
    return st.sampled_from([(name, it) for name, pool in _POOLS[model].items() for it in pool])


def _comparisons(model: str) -> st.SearchStrategy[Where]:
    single = _values(model).flatmap(lambda it: st.sampled_from(_ways(*it)))
    several = st.one_of(
        [
            st.lists(st.sampled_from(pool), max_size=3).map(way)
            for field, pool in _POOLS[model].items()
            for way in (FieldRef(field).in_, FieldRef(field).not_in)
        ]
    )
    return single | several


def _wheres(model: str) -> st.SearchStrategy[Where]:
    return st.recursive(
        _comparisons(model),
        lambda parts: st.one_of(
            st.lists(parts, max_size=3).map(lambda it: And(tuple(it))),
            st.lists(parts, max_size=3).map(lambda it: Or(tuple(it))),
            parts.map(Not),
        ),
        max_leaves=5,
    )


def _rows(model: str) -> st.SearchStrategy[Record]:
    return st.fixed_dictionaries(
        {field: st.sampled_from(pool) for field, pool in _POOLS[model].items()}
    )


def _several_rows(model: str) -> st.SearchStrategy[list[Record]]:
    return st.lists(_rows(model), min_size=6, max_size=9)


def _changes(model: str) -> st.SearchStrategy[Record]:
    increments = st.integers(-2, 2).map(Increment)
    return st.fixed_dictionaries(
        {},
        optional={
            field: st.sampled_from(pool) | increments
            if field in _COUNTERS
            else st.sampled_from(pool)
            for field, pool in _POOLS[model].items()
        },
    )


def _orders(model: str) -> st.SearchStrategy[list[OrderBy]]:
    fields = st.sampled_from(sorted(_POOLS[model]))
    return st.lists(st.builds(OrderBy, fields, st.booleans()), max_size=3)


def _steps(name: str) -> st.SearchStrategy[Step]:
    """One call of the contract on a model, with its arguments."""
    model, where, changes = st.just(name), _wheres(name), _changes(name)
    some = st.none() | where
    page = st.fixed_dictionaries(
        {"limit": st.none() | st.integers(0, 5), "offset": st.integers(0, 3)}
    )
    return st.one_of(
        st.tuples(st.just(create), model, _rows(name)),
        st.tuples(st.just(find), model, some, _orders(name), page),
        st.tuples(st.just(find_one), model, where),
        st.tuples(st.just(sift), model, _values(name).map(lambda it: _ways(*it))),
        st.tuples(st.just(count_rows), model, some),
        st.tuples(st.just(update), model, where, changes),
        st.tuples(st.just(update_many), model, some, changes),
        st.tuples(st.just(delete), model, where),
        st.tuples(st.just(delete_many), model, where),
        st.tuples(st.just(consume_row), model, where),
    )


_CALLS: Final = {model: _steps(model) for model in _POOLS}


@st.composite
def _calls(draw: st.DrawFn) -> Step:
    """Choose a model, then what is done with it."""
    return draw(_CALLS[draw(st.sampled_from(sorted(_CALLS)))])


@st.composite
def _units(draw: st.DrawFn, steps: st.SearchStrategy[Step]) -> Step:
    """Choose several steps that commit, or are undone, together."""
    several, commits = draw(st.lists(steps, max_size=5)), draw(st.booleans())
    return (partial(together, commits=commits, models=sorted(_POOLS)), several)


class _Machine(RuleBasedStateMachine):
    """Takes random steps with a pair."""

    def __init__(self, pair: Pair, mode: Mode) -> None:
        super().__init__()
        self._pair = pair
        self._mode = mode
        self._transactional = pair.tested.capabilities.transactions

    @initialize(rows=st.fixed_dictionaries({it: _several_rows(it) for it in _POOLS}))
    def fill(self, rows: dict[str, list[Record]]) -> None:
        """Begin with something to find."""
        for model, those in rows.items():
            for row in those:
                self.operate((create, model, row))

    @rule(step=_calls())
    def operate(self, step: Step) -> None:
        """Call one operation."""
        with suppress(Refused):
            self._mode.run(self._pair.take(step))

    @precondition(lambda self: self._transactional)
    @rule(unit=_units(_calls() | _units(_calls())))
    def transact(self, unit: Step) -> None:
        """Call several in a transaction, with savepoints in it."""
        self._mode.run(self._pair.take(unit))


class Stateful(Suite):
    """The adapter and the reference cannot be told apart."""

    examples: ClassVar[int] = 20
    """How many random histories are tried; more for a soak."""
    steps: ClassVar[int] = 25
    """How long each of them is."""
    phases: ClassVar[tuple[Phase, ...]] = (Phase.reuse, Phase.generate)
    """What hypothesis does; `Phase.shrink` makes a failure shorter, but takes minutes for it."""

    def test_random_histories(self, backend: Adapter, schema: Schema, mode: Mode) -> None:
        """Rows, answers, orders, counts and refusals are the same after each step."""

        def machine() -> _Machine:
            for model in _POOLS:
                mode.run(backend.delete_many(model, None))
            reference = MemoryAdapter()
            reference.bind(schema)
            return _Machine(Pair(backend, reference, self._new_ids()), mode)

        options = settings(
            max_examples=self.examples,
            stateful_step_count=self.steps,
            phases=self.phases,
            deadline=None,  # a database answers when it answers
            suppress_health_check=[HealthCheck.too_slow],
        )
        run_state_machine_as_test(machine, settings=options)  # type: ignore[arg-type]  # it only calls it

    def _new_ids(self) -> Iterator[str | None]:
        """Return ids that rise or fall at random with the row's number, the same each time."""
        for number in count():
            yield id_of(self.ids, uuid5(NAMESPACE_OID, str(number)))
