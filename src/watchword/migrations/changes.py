"""What can be done to a table: each change, how it reads, and what undoes it."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

from watchword.schema.snapshot import ColumnState, Key, Reference, TableState

__all__ = [
    "AddColumn",
    "AddIndex",
    "AddReference",
    "AddUnique",
    "Change",
    "ChangeColumn",
    "ChangeRules",
    "CreateTable",
    "DropColumn",
    "DropIndex",
    "DropReference",
    "DropTable",
    "DropUnique",
    "RenameColumn",
    "RenameTable",
    "said",
    "said_default",
]

Sign: TypeAlias = Literal["+", "-", "~"]


@dataclass(frozen=True, slots=True)
class _OfTable:
    """Something about a whole table."""

    sign: ClassVar[Sign]
    state: TableState

    @property
    def table(self) -> str:
        """The table's name."""
        return self.state.name

    def __str__(self) -> str:
        return f"table {self.table}"


@dataclass(frozen=True, slots=True)
class CreateTable(_OfTable):
    """Make a table with its columns, keys and references."""

    sign = "+"

    def undone(self) -> "DropTable":
        """Return what undoes it."""
        return DropTable(self.state)


@dataclass(frozen=True, slots=True)
class DropTable(_OfTable):
    """Remove a table with its rows."""

    sign = "-"

    def undone(self) -> CreateTable:
        """Return what makes the table again, without its rows."""
        return CreateTable(self.state)


@dataclass(frozen=True, slots=True)
class RenameTable:
    """Give a table another name, and its primary key the one that goes with it."""

    sign: ClassVar[Sign] = "~"
    table: str
    name: str
    key: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        return f"table {self.table} becomes {self.name}"

    def undone(self) -> "RenameTable":
        """Return what undoes it."""
        return RenameTable(self.name, self.table, self.key[::-1])


@dataclass(frozen=True, slots=True)
class _OfColumn:
    """Something about a whole column."""

    sign: ClassVar[Sign]
    table: str
    column: ColumnState

    def __str__(self) -> str:
        return f"column {self.table}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class AddColumn(_OfColumn):
    """Add a column; rows that are there get its default."""

    sign = "+"

    def undone(self) -> "DropColumn":
        """Return what undoes it."""
        return DropColumn(self.table, self.column)


@dataclass(frozen=True, slots=True)
class DropColumn(_OfColumn):
    """Remove a column with its values."""

    sign = "-"

    def undone(self) -> AddColumn:
        """Return what makes the column again, without its values: rows may have none then."""
        column = self.column
        may_be_null = column.nullable or column.default is None
        return AddColumn(self.table, replace(column, nullable=may_be_null))


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """Give a column another name."""

    sign: ClassVar[Sign] = "~"
    table: str
    column: ColumnState
    name: str

    def __str__(self) -> str:
        return f"column {self.table}.{self.column.name} becomes {self.name}"

    def undone(self) -> "RenameColumn":
        """Return what undoes it."""
        return RenameColumn(self.table, replace(self.column, name=self.name), self.column.name)


@dataclass(frozen=True, slots=True)
class ChangeColumn:
    """Change a column's type, default, or whether it may be null."""

    sign: ClassVar[Sign] = "~"
    table: str
    before: ColumnState
    column: ColumnState

    @property
    def becomes_required(self) -> bool:
        """Whether rows without a value have to get one first."""
        return self.before.nullable and not self.column.nullable

    @property
    def changes_type(self) -> bool:
        """Whether values are of another type or length."""
        return self.before.kind != self.column.kind

    @property
    def changes_default(self) -> bool:
        """Whether the database writes something else by itself."""
        return repr(self.before.default) != repr(self.column.default)

    def __str__(self) -> str:
        parts = [
            f"{self.before.kind} becomes {self.column.kind}" if self.changes_type else "",
            "becomes required" if self.becomes_required else "",
            "may be null" if self.column.nullable and not self.before.nullable else "",
            f"default {said_default(self.column)}" if self.changes_default else "",
        ]
        return f"column {self.table}.{self.column.name}: {', '.join(filter(None, parts))}"

    def undone(self) -> "ChangeColumn":
        """Return what undoes it."""
        return ChangeColumn(self.table, self.column, self.before)


def said_default(column: ColumnState) -> str:
    """Return what the database writes by itself, in words."""
    match column.default:
        case None:
            return "none"
        case {"moment": str(moment)}:
            return moment
    return repr(column.default)


@dataclass(frozen=True, slots=True)
class _OfKey:
    """Something about a unique constraint or an index."""

    noun: ClassVar[str]
    sign: ClassVar[Sign]
    table: str
    key: Key

    def __str__(self) -> str:
        return f"{self.noun} {self.table}({', '.join(self.key.columns)})"


@dataclass(frozen=True, slots=True)
class AddUnique(_OfKey):
    """Let no two rows share some values."""

    noun = "unique"
    sign = "+"

    def undone(self) -> "DropUnique":
        """Return what undoes it."""
        return DropUnique(self.table, self.key)


@dataclass(frozen=True, slots=True)
class DropUnique(_OfKey):
    """Let rows share some values again."""

    noun = "unique"
    sign = "-"

    def undone(self) -> AddUnique:
        """Return what undoes it."""
        return AddUnique(self.table, self.key)


@dataclass(frozen=True, slots=True)
class AddIndex(_OfKey):
    """Let rows be found by some columns."""

    noun = "index"
    sign = "+"

    def undone(self) -> "DropIndex":
        """Return what undoes it."""
        return DropIndex(self.table, self.key)


@dataclass(frozen=True, slots=True)
class DropIndex(_OfKey):
    """Remove an index."""

    noun = "index"
    sign = "-"

    def undone(self) -> AddIndex:
        """Return what undoes it."""
        return AddIndex(self.table, self.key)


@dataclass(frozen=True, slots=True)
class _OfReference:
    """Something about a foreign key."""

    sign: ClassVar[Sign]
    table: str
    reference: Reference

    def __str__(self) -> str:
        return f"foreign key {self.table}.{self.reference.column} to {self.reference.table}"


@dataclass(frozen=True, slots=True)
class AddReference(_OfReference):
    """Let a column point at rows that exist alone."""

    sign = "+"

    def undone(self) -> "DropReference":
        """Return what undoes it."""
        return DropReference(self.table, self.reference)


@dataclass(frozen=True, slots=True)
class DropReference(_OfReference):
    """Let a column point at anything again."""

    sign = "-"

    def undone(self) -> AddReference:
        """Return what undoes it."""
        return AddReference(self.table, self.reference)


@dataclass(frozen=True, slots=True)
class ChangeRules:
    """Tell a database that looks at each document itself what these have to be like."""

    sign: ClassVar[Sign] = "~"
    table: str

    def __str__(self) -> str:
        return f"validation of {self.table}"

    def undone(self) -> "ChangeRules":
        """Return what undoes it."""
        return self


Change: TypeAlias = (
    CreateTable
    | DropTable
    | RenameTable
    | AddColumn
    | DropColumn
    | RenameColumn
    | ChangeColumn
    | AddUnique
    | DropUnique
    | AddIndex
    | DropIndex
    | AddReference
    | DropReference
    | ChangeRules
)


def said(change: Change | None) -> str:
    """Return what is done, in words."""
    return "remove what was begun" if change is None else f"{change.sign} {change}"
