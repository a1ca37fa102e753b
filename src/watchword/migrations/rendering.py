"""How an application's Alembic writes our types down: as SQLAlchemy's, so it imports nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import DefaultClause, Dialect, TypeDecorator
from sqlalchemy.dialects.mysql import CHAR
from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeEngine

from watchword.adapters.sqlalchemy.tables import Truth, UuidText

__all__ = ["RenderItem", "rendered_plainly"]

RenderItem: TypeAlias = Callable[[str, Any, Any], str | Literal[False]]
"""Alembic's hook for what it writes into a revision; False leaves it to Alembic."""

# By another name, because its own constructor tells no types.
_POSTGRESQL: Final[type[Dialect]] = PGDialect


def rendered_plainly(own: RenderItem | None = None) -> RenderItem:
    """Return the hook `render_item`; what is not ours goes to the application's own."""
    return _Rendering(own)


@dataclass(frozen=True, slots=True)
class _Rendering:
    own: RenderItem | None

    def __call__(self, kind: str, item: Any, context: Any) -> str | Literal[False]:
        """Write a type or a default of ours; `context` is Alembic's of this revision."""
        prefix = context.opts["sqlalchemy_module_prefix"] or ""
        match item:
            case TypeDecorator() if kind == "type" and _is_ours(item):
                return _with_variants(item, context)
            case UuidText() if kind == "type":
                return _spelled(CHAR(32, collation=UuidText.COLLATION), context)
            case JSONB() if kind == "type":
                return _spelled(item, context).replace("=Text()", f"={prefix}Text()")
            case DefaultClause(arg=Truth(value=value)) if kind == "server_default":
                return f"{prefix}{str(value).lower()}()"
        return self.own(kind, item, context) if self.own else False


def _is_ours(item: object) -> bool:
    return type(item).__module__.startswith("watchword.")


def _with_variants(item: TypeDecorator[Any], context: Any) -> str:
    """Spell what a type is on every database, whichever this revision is made on."""
    plain = _spelled(item.load_dialect_impl(DefaultDialect()), context)
    names: dict[str, list[str]] = {}
    for name, dialect in _dialects(context.dialect).items():
        spelling = _spelled(item.load_dialect_impl(dialect), context)
        names.setdefault(spelling, []).append(repr(name))
    names.pop(plain, None)
    variants = [f".with_variant({it}, {', '.join(names[it])})" for it in names]
    return plain + "".join(variants)


def _dialects(present: Dialect) -> dict[str, Dialect]:
    """Return a dialect for each name; only a connection knows MariaDB under MySQL's."""
    is_mariadb = getattr(present, "is_mariadb", False)
    return {
        "postgresql": _POSTGRESQL(),
        "mysql": MariaDBDialect() if is_mariadb else MySQLDialect(),
        "mariadb": MariaDBDialect(),
    }


def _spelled(item: TypeEngine[Any], context: Any) -> str:
    """Write a type with its module, as Alembic does."""
    module = type(item).__module__
    if not module.startswith("sqlalchemy."):
        return f"{module}.{item!r}"
    if not module.startswith("sqlalchemy.dialects."):
        return f"{context.opts['sqlalchemy_module_prefix'] or ''}{item!r}"
    dialect = module.split(".")[2]
    context.imports.add(f"from sqlalchemy.dialects import {dialect}")
    return f"{dialect}.{item!r}"
