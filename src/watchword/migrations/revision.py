"""Alembic revisions: the next one of a folder, with the state that it leads to inside."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from watchword.errors import ConfigurationError
from watchword.migrations.calls import steps_of
from watchword.migrations.changes import Change, ChangeColumn, CreateTable, RenameColumn
from watchword.migrations.code import HELPERS, body_of
from watchword.migrations.plan import Plan
from watchword.migrations.source import assigned, literal
from watchword.schema.snapshot import Snapshot, TableState

__all__ = ["Revision", "Revisions", "write_revision"]

_SNAPSHOT: Final = "WATCHWORD_SNAPSHOT"
_LONGEST_TITLE: Final = 60


@dataclass(frozen=True, slots=True)
class Revision:
    """A file of the folder, by what matters of it."""

    path: Path
    id: str
    parents: tuple[str, ...]
    snapshot: Snapshot | None


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions of a folder, ours and the application's."""

    by_id: dict[str, Revision]

    @classmethod
    def read(cls, folder: Path) -> "Revisions":
        """Return what is in a folder and in those within it; nothing of it is run.

        Raises:
            ConfigurationError: A file cannot be read.
        """
        paths = sorted(it for it in folder.rglob("*.py") if "__pycache__" not in it.parts)
        found = (_read(path) for path in paths)
        return cls({it.id: it for it in found if it is not None})

    def head(self) -> str | None:
        """Return the last revision; None if there is none.

        Raises:
            ConfigurationError: There are several.
        """
        parents = {parent for it in self.by_id.values() for parent in it.parents}
        heads = sorted(set(self.by_id) - parents)
        if len(heads) > 1:
            raise ConfigurationError(
                f"The folder has several last revisions: {', '.join(heads)}.",
                hint="Join them with `alembic merge heads`, and run this again.",
            )
        return heads[0] if heads else None

    def last_snapshot(self) -> Snapshot | None:
        """Return the state that the newest revision of ours leads to; None if there is none.

        Raises:
            ConfigurationError: Branches with revisions of ours were merged, and none of them
                knows the state that they lead to together.
        """
        newest = self._newest()
        if len(newest) > 1:
            raise ConfigurationError(
                f"The revisions {', '.join(it.id for it in newest)} were merged, and each of them "
                "holds the state of its own branch alone.",
                hint="Bring a database up to date with `alembic upgrade head`, and run "
                "`watchword generate --database-url …`, which starts from what is there.",
            )
        return newest[0].snapshot if newest else None

    def agreed_snapshot(self) -> Snapshot | None:
        """Return the state as `last_snapshot` does, but None where merged branches differ."""
        newest = self._newest()
        return newest[0].snapshot if len(newest) == 1 else None

    def _newest(self) -> list[Revision]:
        """Return the revisions of ours that no other one of ours follows, before the head."""
        head = self.head()
        ours = [it for it in self._lineage([head] if head else []) if it.snapshot is not None]
        followed = {it.id for one in ours for it in self._lineage(one.parents)}
        return sorted((it for it in ours if it.id not in followed), key=lambda it: it.id)

    def _lineage(self, ids: Sequence[str]) -> list[Revision]:
        """Return revisions with all that are before them."""
        waiting, found = list(ids), dict[str, Revision]()
        while waiting:
            revision = self.by_id.get(waiting.pop())
            if revision is not None and revision.id not in found:
                found[revision.id] = revision
                waiting += revision.parents
        return list(found.values())


def _read(path: Path) -> Revision | None:
    """Return a file's revision; None if it is none."""
    try:
        assigned = dict(_assigned(ast.parse(path.read_text(encoding="utf-8"))))
        snapshot = assigned.get(_SNAPSHOT)
        read = None if snapshot is None else Snapshot.from_json(snapshot)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}.",
            hint="Mend it, or install the release of Watchword that wrote it.",
        ) from error
    if not isinstance(assigned.get("revision"), str):
        return None
    parents = assigned.get("down_revision") or ()
    parents = (parents,) if isinstance(parents, str) else tuple(parents)
    return Revision(path, assigned["revision"], parents, read)


def _assigned(module: ast.Module) -> Iterator[tuple[str, Any]]:
    """Return what a module gives to the names that matter, without running it."""
    for statement in module.body:
        match statement:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, value):
                if name in {"revision", "down_revision", _SNAPSHOT} and value is not None:
                    yield name, ast.literal_eval(value)


# --- writing -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    """A revision that is to be written."""

    id: str
    title: str
    text: str


def write_revision(plan: Plan, before: Snapshot, *, output: Path, parent: str | None) -> Path:
    """Write a revision and return its file.

    The same changes to the same folder give the same file.

    Args:
        plan: What it does.
        before: The state that it starts from.
        output: A file, or the folder of the revisions.
        parent: The revision before it.

    Raises:
        ConfigurationError: The file is there already, or its folder is not.
    """
    written = _text(plan, before, parent)
    path = output / f"{written.id}_{_slug(written.title)}.py" if _is_folder(output) else output
    if path.exists():
        raise ConfigurationError(
            f"{path} is there already.", hint="Name another file, or the folder alone."
        )
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"There is no folder {path.parent}.",
            hint="Make it with `alembic init alembic`, or name the one of your revisions.",
        )
    path.write_text(written.text, encoding="utf-8")
    return path


def _is_folder(output: Path) -> bool:
    return output.suffix != ".py"


def _text(plan: Plan, before: Snapshot, parent: str | None) -> _Text:
    tables = {**plan.after.tables, **before.tables}
    upgrade = _body(plan.changes, plan.after, tables)
    downgrade = _body(plan.downgrade, plan.after, tables)
    snapshot = assigned(_SNAPSHOT, literal(plan.after.to_json()))
    helpers = _helpers(upgrade + downgrade)
    title = _title(plan.changes)
    digest = sha256("\n".join([str(parent), upgrade, downgrade, snapshot]).encode())
    revision = digest.hexdigest()[:12]
    text = _PAGE.format(
        title=title,
        revision=revision,
        down_revision=literal(parent),
        parent=f" {_plain(parent)}" if parent else "",
        dialects=_dialects("".join(helpers) + upgrade + downgrade),
        helpers="".join(f"\n{it}" for it in helpers),
        upgrade=upgrade,
        downgrade=downgrade,
        snapshot=snapshot,
    )
    return _Text(revision, title, text)


_PAGE: Final = '''"""{title}

Made by `watchword generate`. Read it, and change it if you have to; the state at its end is
what the next one starts from.

Revision ID: {revision}
Revises:{parent}
"""

import sqlalchemy as sa
from alembic import op
{dialects}
revision = "{revision}"
down_revision = {down_revision}
branch_labels = None
depends_on = None
{helpers}

def upgrade() -> None:
    """Change the tables."""
{upgrade}


def downgrade() -> None:
    """Change them back; what was added goes with its values."""
{downgrade}


{snapshot}
'''


def _body(changes: Sequence[Change], after: Snapshot, tables: dict[str, TableState]) -> str:
    body = body_of(steps_of(changes, schema=after.schema, tables=tables), after.schema)
    return f"    keep_rows()\n{body}" if "batch_alter_table" in body else body


def _helpers(body: str) -> list[str]:
    return [source for name, source in HELPERS.items() if re.search(rf"(?<!\.)\b{name}\(", body)]


def _dialects(source: str) -> str:
    used = [it for it in ("mysql", "postgresql") if f"{it}." in source]
    return f"from sqlalchemy.dialects import {', '.join(used)}\n" if used else ""


def _title(changes: Sequence[Change]) -> str:
    """Return what it does, in a few words."""
    signs = {it.sign for it in changes}
    verb = {frozenset("+"): "Add", frozenset("-"): "Remove"}.get(frozenset(signs), "Change")
    names = list(dict.fromkeys(map(_about, changes)))
    title = _plain(f"{verb} {', '.join(names)}") if names else "Start from what is there"
    return title if len(title) <= _LONGEST_TITLE else f"{verb} {len(changes)} things"


def _plain(words: str) -> str:
    """Return words that may stand in a docstring: names may have any characters."""
    return " ".join(re.sub(r"[^\w.,-]", " ", words).split())


def _about(change: Change) -> str:
    match change:
        case CreateTable(state):
            return state.model or state.name
        case ChangeColumn() | RenameColumn():
            return f"{change.table}.{change.column.name}"
    column = getattr(change, "column", None)
    return str(change.table) if column is None else f"{change.table}.{column.name}"


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
