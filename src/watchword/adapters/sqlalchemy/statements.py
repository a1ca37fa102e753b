"""From the contract's queries to SQL: plain functions of tables and a dialect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Delete,
    Dialect,
    Insert,
    ScalarSelect,
    Select,
    Table,
    Update,
    and_,
    delete,
    false,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate
from sqlalchemy.sql.expression import FromClause

from watchword.adapters.sqlalchemy.dialects import (
    compare_text,
    is_mysql,
    locks_one_table,
    sorted_by,
)
from watchword.adapters.sqlalchemy.own_types import as_kept, exactly
from watchword.adapters.sqlalchemy.tables import ModelTable
from watchword.storage.query import (
    And,
    Comparison,
    Increment,
    Not,
    Operator,
    Or,
    OrderBy,
    Where,
    matches_at_most_one,
)

__all__ = [
    "Joined",
    "condition",
    "count_rows",
    "delete_one",
    "delete_rows",
    "deletes_one_returning",
    "insert_row",
    "select_rows",
    "update_one",
    "update_rows",
]


# --- conditions --------------------------------------------------------------------------


def condition(
    table: FromClause, where: Where | None, dialect: Dialect, *, negated: bool = False
) -> ColumnElement[bool]:
    """Return the condition in SQL's terms.

    SQL's third truth value never shows: negation goes down to the comparisons, where a null
    can be given its answer.
    """
    match where:
        case None:
            return true()
        case Comparison():
            return _comparison(table, where, dialect, negated=negated)
        case Not(part):
            return condition(table, part, dialect, negated=not negated)
        case And(parts) | Or(parts):
            inner = [condition(table, part, dialect, negated=negated) for part in parts]
            both = isinstance(where, And) != negated
            return and_(true(), *inner) if both else or_(false(), *inner)
    raise TypeError(f"not a condition: {where!r}")


_ORDERINGS: Final = {Operator.LT: lt, Operator.LE: le, Operator.GT: gt, Operator.GE: ge}
_NEGATIONS: Final = {
    Operator.EQ: Operator.NE,
    Operator.NE: Operator.EQ,
    Operator.IN: Operator.NOT_IN,
    Operator.NOT_IN: Operator.IN,
}


def _comparison(
    table: FromClause, it: Comparison, dialect: Dialect, *, negated: bool
) -> ColumnElement[bool]:
    column = table.c[it.field]
    exact = exactly(column)
    holds = _compared(exact, it, dialect, negated=negated)
    if exact is column or negated or it.operator not in {Operator.EQ, Operator.IN}:
        return holds
    # Found by an index on what the column calls equal; of that, what is equal.
    return and_(_compared(column, it, dialect, negated=False), holds)


def _compared(
    column: ColumnElement[Any], it: Comparison, dialect: Dialect, *, negated: bool
) -> ColumnElement[bool]:
    operator = it.operator
    if negated and operator in _NEGATIONS:
        operator, negated = _NEGATIONS[operator], False
    match operator:
        case Operator.IS_NULL:
            return column.is_not(None) if negated else column.is_(None)
        case Operator.EQ:
            return column.is_(None) if it.value is None else column == it.value
        case Operator.NE:
            if it.value is None:
                return column.is_not(None)
            return _or_null(column, column != it.value)
        case Operator.IN | Operator.NOT_IN:
            return _membership(column, it.value, inside=operator is Operator.IN)
        case Operator.LT | Operator.LE | Operator.GT | Operator.GE:
            # As a parameter: SQLAlchemy lets no literal True be less than anything.
            holds = _ORDERINGS[operator](column, literal(it.value, column.type))
        case _:
            holds = compare_text(as_kept(column), operator, it.value, dialect)
    return _or_null(column, not_(holds)) if negated else holds


def _or_null(column: ColumnElement[Any], holds: ColumnElement[bool]) -> ColumnElement[bool]:
    return or_(holds, column.is_(None)) if getattr(column, "nullable", True) else holds


def _membership(
    column: ColumnElement[Any], values: Sequence[Any], *, inside: bool
) -> ColumnElement[bool]:
    known = [value for value in values if value is not None]
    with_null = len(known) < len(values)
    if inside:
        among = column.in_(known) if known else false()
        return or_(among, column.is_(None)) if with_null else among
    apart = column.not_in(known) if known else true()
    return and_(apart, column.is_not(None)) if with_null else _or_null(column, apart)


# --- reading -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Joined:
    """A row that each found row points at, fetched in the same statement."""

    name: str
    through: str
    target: ModelTable
    alias: FromClause

    @property
    def columns(self) -> tuple[ColumnElement[Any], ...]:
        """Every column of the row that is pointed at, in the order of its fields."""
        return tuple(self.alias.c[name] for name in self.target.fields)


def select_rows(
    it: ModelTable,
    where: Where | None,
    dialect: Dialect,
    *,
    order_by: Sequence[OrderBy] = (),
    limit: int | None = None,
    offset: int = 0,
    joined: Sequence[Joined] = (),
    lock: bool = False,
) -> Select[Any]:
    """Select whole rows, each followed by the rows that it points at."""
    source: FromClause = it.table
    for join in joined:
        source = source.outerjoin(join.alias, it.table.c[join.through] == join.alias.c.id)
    columns = [*it.columns, *(column for join in joined for column in join.columns)]
    query = select(*columns).select_from(source).where(condition(it.table, where, dialect))
    single = limit == 1 and not offset and matches_at_most_one(where, it.model.unique_keys)
    if not single:
        query = query.order_by(*_order(it, order_by, dialect))
        query = query.limit(limit) if limit is not None else query
        query = query.offset(offset) if offset else query
    if lock:
        query = query.with_for_update(of=it.table if locks_one_table(dialect) else None)
    return query


def _order(
    it: ModelTable, order_by: Sequence[OrderBy], dialect: Dialect
) -> list[ColumnElement[Any]]:
    """Order by the fields asked for and by the id, so that pages never overlap."""
    ties = () if any(order.field == "id" for order in order_by) else (OrderBy("id"),)
    return [
        sorted_by(
            exactly(it.table.c[order.field]),
            dialect,
            descending=order.descending,
            nullable=not it.model.require_field(order.field).required,
        )
        for order in (*order_by, *ties)
    ]


def count_rows(
    it: ModelTable, where: Where | None, dialect: Dialect, *, lock: bool = False
) -> Select[Any]:
    """Count the rows that match; with `lock` those that are committed now."""
    query = select(func.count()).select_from(it.table).where(condition(it.table, where, dialect))
    # InnoDB shows a transaction what was there at its first read, but to reads that lock.
    return query.with_for_update(read=True) if lock and is_mysql(dialect) else query


# --- writing -----------------------------------------------------------------------------


def insert_row(it: ModelTable, data: Mapping[str, Any]) -> Insert:
    """Insert a row; a field without a value is null, also where the database has a default.

    In a table of the application's the default stands.
    """
    if it.model.ours:
        present = [name for name in it.fields if name != "id" or name in data]
    else:
        present = [name for name, value in data.items() if value is not None]
    return insert(it.table).values({it.table.c[name]: data.get(name) for name in present})


def update_rows(
    it: ModelTable, where: Where | None, changes: Mapping[str, Any], dialect: Dialect
) -> Update:
    """Update all rows that match."""
    return (
        update(it.table)
        .where(condition(it.table, where, dialect))
        .values({it.table.c[name]: _change(it.table, name, to) for name, to in changes.items()})
    )


def update_one(
    it: ModelTable, where: Where, changes: Mapping[str, Any], dialect: Dialect
) -> ReturningUpdate[Any]:
    """Update one row that matches and return it."""
    statement = update_rows(it, where, changes, dialect).returning(*it.columns)
    if not matches_at_most_one(where, it.model.unique_keys):
        statement = statement.where(it.table.c.id == _first_id(it, where, dialect))
    return statement


def delete_rows(it: ModelTable, where: Where | None, dialect: Dialect) -> Delete:
    """Delete all rows that match."""
    return delete(it.table).where(condition(it.table, where, dialect))


def delete_one(it: ModelTable, where: Where, dialect: Dialect) -> ReturningDelete[Any]:
    """Delete one row that matches and return it."""
    statement = delete_rows(it, where, dialect).returning(*it.columns)
    if not matches_at_most_one(where, it.model.unique_keys):
        statement = statement.where(it.table.c.id == _first_id(it, where, dialect))
    return statement


def deletes_one_returning(it: ModelTable, where: Where, dialect: Dialect) -> bool:
    """Tell whether one statement can delete one row and return it.

    MariaDB's DELETE with RETURNING cannot choose by a subquery of the same table.
    """
    if not dialect.delete_returning:
        return False
    return dialect.update_returning or matches_at_most_one(where, it.model.unique_keys)


def _change(table: Table, name: str, to: Any) -> Any:
    return func.coalesce(table.c[name], 0) + to.by if isinstance(to, Increment) else to


def _first_id(it: ModelTable, where: Where, dialect: Dialect) -> ScalarSelect[Any]:
    """Choose one row and lock it, so that the choice still holds when it is written."""
    alias = it.table.alias()
    return (
        select(alias.c.id)
        .where(condition(alias, where, dialect))
        .order_by(exactly(alias.c.id))
        .limit(1)
        .with_for_update()
        .scalar_subquery()
    )
