"""Revisions as files: the same each time, readable, and what they hold survives."""

import ast
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from watchword.errors import ConfigurationError
from watchword.migrations import Renames
from watchword.migrations.plan import make_plan
from watchword.migrations.revision import Revisions, write_revision
from watchword.schema import (
    CORE_MODELS,
    NOW,
    Field,
    Index,
    Model,
    Naming,
    Schema,
    Unique,
    resolve_schema,
)
from watchword.schema.snapshot import FORMAT, Snapshot

HOSTILE = (
    "it's",
    '"""',
    "'''",
    '"""\n\nimport os\n"""',
    "back\\slash \\n \\x41 \\",
    "a\nb\r\n\tc\0",
    "{curly} {0} {",
    "100% %(name)s %%",
    ":name \\:name",
    "ü 🔑 \u2028 \u200f",
    "#",
    "x" * 300,
)


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin says about the schema."""

    id: str = "badges"
    models: Sequence[Model] = ()
    extends: Mapping[str, Mapping[str, Field]] = field(default_factory=dict)


def schema_with(*models: Model, naming: Naming | None = None, ids="uuid", **fields) -> Schema:
    """Return the core's schema with more models, and fields of users."""
    plugin = Plugin(models=models, extends={"user": fields})
    return resolve_schema(CORE_MODELS, [plugin], naming=naming, ids=ids)


EVERY_TYPE = Model(
    "badge",
    {
        "short": Field("string", default="it's", max_length=20),
        "long": Field("text", default='"long"'),
        "number": Field("integer", default=7),
        "big_number": Field("bigint", default=-(2**40)),
        "is_true": Field("boolean", default=True),
        "is_false": Field("boolean", default=False),
        "at": Field("datetime", default=NOW),
        "some": Field("json"),
        "more": Field("strings", required=False),
        "key": Field("uuid", unique=True),
        "raw": Field("bytes"),
        "user_id": Field.reference("user", on_delete="restrict"),
        "friend_id": Field.reference("user", required=False, on_delete="set null"),
    },
    uniques=(Unique("short", "number"),),
    indexes=(Index("number", "at", "is_true"),),
    comment="Everything",
)
CHANGED = Model(
    "badge",
    {
        **EVERY_TYPE.fields,
        "short": Field("string", default="is it?", max_length=80, index=True),
        "long": Field("text", required=False),
        "big_number": Field("bigint", required=False, default=2**33),
        "more": Field("strings", required=False),
        "friend_id": Field.reference("user"),
        "at": Field("datetime", required=False),
    },
    comment="Everything",
)
NAMINGS = {
    "usual": Naming(),
    "wire": Naming.wire(),
    "schema": Naming(schema="auth", prefix="x_"),
    "quotes": Naming(prefix='a "b" ', columns={"user.name": "it's {x}"}),
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder without revisions."""
    made = tmp_path / "versions"
    made.mkdir()
    return made


def generate(folder: Path, schema: Schema, *renames: str, drop=False, output=None) -> Path:
    """Write the next revision."""
    revisions = Revisions.read(folder)
    recorded = revisions.last_snapshot()
    before = recorded or Snapshot(schema=schema.naming.schema)
    plan = make_plan(
        before,
        Snapshot.of(schema),
        recorded=recorded,
        renames=Renames.read(renames),
        drop=drop,
    )
    return write_revision(plan, before, output=output or folder, parent=revisions.head())


def history(folder: Path, naming: Naming | None = None) -> list[Path]:
    """Write revisions of every kind."""
    ids = "bigint" if naming else "uuid"
    core = resolve_schema(CORE_MODELS, naming=naming, ids=ids)
    renamed = Model("medal", CHANGED.fields)
    return [
        generate(folder, core),
        generate(
            folder, schema_with(EVERY_TYPE, naming=naming, ids=ids, hat=EVERY_TYPE.fields["short"])
        ),
        generate(folder, schema_with(CHANGED, naming=naming, ids=ids, cap=CHANGED.fields["long"])),
        generate(folder, schema_with(renamed, naming=naming, ids=ids), "badge:medal"),
        generate(folder, core, drop=True),
    ]


def loaded(path: Path) -> ModuleType:
    """Run a file as Alembic does."""
    module = ModuleType(path.stem)
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), vars(module))
    return module


# --- the text -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMINGS)
def test_the_same_changes_give_the_same_file(tmp_path, name):
    """Byte for byte, under the same name."""
    texts = []
    for part in ("first", "second"):
        folder = tmp_path / part
        folder.mkdir()
        files = history(folder, NAMINGS[name])
        texts.append([(it.name, it.read_bytes()) for it in files])

    assert texts[0] == texts[1]
    assert len({name for name, _ in texts[0]}) == 5


@pytest.mark.parametrize("name", NAMINGS)
def test_files_are_as_a_formatter_leaves_them(folder, name):
    """And a linter finds nothing that is unused or undefined."""
    history(folder, NAMINGS[name])
    ruff = (sys.executable, "-m", "ruff")
    options = ("--isolated", "--line-length=99", str(folder))

    formatted = subprocess.run(
        [*ruff, "format", "--diff", *options], check=False, capture_output=True, text=True
    )
    checked = subprocess.run(
        [*ruff, "check", "--select=E,F,I,D1", *options],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (formatted.stdout, formatted.returncode) == ("", 0)
    assert (checked.stdout, checked.returncode) == ("All checks passed!\n", 0)


@pytest.mark.parametrize("name", NAMINGS)
def test_files_import_sqlalchemy_and_alembic_alone(folder, name):
    """They run where Watchword is not installed, and years later."""
    for path in history(folder, NAMINGS[name]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = [it for it in ast.walk(tree) if isinstance(it, ast.Import | ast.ImportFrom)]
        names = {getattr(it, "module", None) or it.names[0].name for it in imported}

        assert {it.partition(".")[0] for it in names} == {"sqlalchemy", "alembic"}
        assert loaded(path).revision == path.name.partition("_")[0]


def test_a_file_says_what_it_does(folder):
    """In its name and in its first line."""
    names = [it.name.partition("_")[2] for it in history(folder)]
    titles = [ast.get_docstring(ast.parse(it.read_text())) for it in sorted(folder.iterdir())]

    assert names == [
        "add_user_verification_session_account.py",
        "add_badge_watchword_users_hat.py",
        "change_11_things.py",
        "change_watchword_badges_watchword_medals.py",
        "remove_3_things.py",
    ]
    assert all("Made by `watchword generate`" in title for title in titles)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_survive(folder, hostile):
    """In defaults and in comments, and none of them is run."""
    short = Field("string", default=hostile[:200], comment=hostile)
    long = Field("text", default=hostile, comment=hostile)
    wanted = schema_with(Model("badge", {"short": short, "long": long}, comment=hostile), hat=long)
    changed = schema_with(Model("badge", {"short": long, "long": long}, comment=hostile))

    generate(folder, resolve_schema(CORE_MODELS))
    path = generate(folder, wanted)

    assert Revisions.read(folder).last_snapshot() == Snapshot.of(wanted)
    assert json.loads(json.dumps(Snapshot.of(wanted).to_json())) == loaded(path).WATCHWORD_SNAPSHOT
    assert "os" not in vars(loaded(path))
    assert repr(hostile) in ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
    loaded(generate(folder, changed))


@pytest.mark.parametrize("hostile", ['"; import os; "', "\\", '"""', "{x}", "a'b"])
def test_hostile_names_survive(folder, hostile):
    """Of tables, columns and schemas."""
    naming = Naming(prefix=hostile, schema=hostile, columns={"user.name": hostile})

    paths = history(folder, naming)

    for path in paths:
        assert "os" not in vars(loaded(path))
    assert hostile in Revisions.read(folder).last_snapshot().tables[f"{hostile}users"].columns


# --- the folder ---------------------------------------------------------------------------------


def write(folder: Path, name: str, parents: object, more: str = "") -> None:
    """Write a revision of the application's own."""
    text = f'revision = "{name}"\ndown_revision = {parents!r}\n{more}'
    (folder / f"{name}.py").write_text(text, encoding="utf-8")


def test_the_next_revision_follows_the_last_one(folder):
    """Also one of the application's; its own stay where they are."""
    write(folder, "theirs1", None)
    first = generate(folder, resolve_schema(CORE_MODELS))
    write(folder, "theirs2", loaded(first).revision)
    second = generate(folder, schema_with(EVERY_TYPE))

    assert loaded(first).down_revision == "theirs1"
    assert loaded(second).down_revision == "theirs2"
    assert "create_table" in second.read_text()
    assert '"watchword_users"' in first.read_text()


def test_a_folder_may_be_empty(folder):
    """The first revision follows none."""
    (folder / "__pycache__").mkdir()
    (folder / "README").write_text("Revisions live here.")
    (folder / "__init__.py").write_text("")

    path = generate(folder, resolve_schema(CORE_MODELS))

    assert loaded(path).down_revision is None


def test_several_last_revisions_are_refused(folder):
    """Alembic could not go on behind two."""
    write(folder, "root", None)
    write(folder, "one", "root")
    write(folder, "two", "root")

    with pytest.raises(ConfigurationError, match="one, two") as refusal:
        generate(folder, resolve_schema(CORE_MODELS))

    assert "alembic merge heads" in refusal.value.hint


@pytest.mark.parametrize("order", [1, -1])
def test_the_state_is_found_across_a_merge(folder, order):
    """On whichever side it is, and the newest of it."""
    core, more = resolve_schema(CORE_MODELS), schema_with(EVERY_TYPE)
    first = generate(folder, core)
    second = generate(folder, more)
    write(folder, "theirs", loaded(first).revision)
    write(folder, "further", "theirs")
    parents = (loaded(second).revision, "further")[::order]

    write(folder, "merged", parents)
    found = Revisions.read(folder)

    assert found.head() == "merged"
    assert found.last_snapshot() == Snapshot.of(more)


def branched(folder: Path, *, changes: int = 1) -> tuple[str, str]:
    """Write a revision that adds a hat, and beside it, by somebody else, more; return both."""
    generate(folder, resolve_schema(CORE_MODELS))
    hat = generate(folder, schema_with(hat=Field("string", default="x")))
    aside = hat.rename(folder.parent / hat.name)
    for number in range(changes):
        coats = {f"coat_{it}": Field("string", default="x") for it in range(number + 1)}
        coat = generate(folder, schema_with(**coats))
    aside.rename(hat)
    return loaded(hat).revision, loaded(coat).revision


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("changes", [1, 2])
def test_the_states_of_merged_branches_are_not_chosen_from(folder, order, changes):
    """Either lacks what the other added, which would be added a second time."""
    parents = branched(folder, changes=changes)[::order]
    write(folder, "merged", parents)
    write(folder, "further", "merged")
    found = Revisions.read(folder)

    with pytest.raises(ConfigurationError, match=", ".join(sorted(parents))) as refusal:
        found.last_snapshot()

    assert "watchword generate --database-url" in refusal.value.hint
    assert found.agreed_snapshot() is None


@pytest.mark.parametrize("order", [1, -1])
def test_a_state_after_a_merge_counts_again(folder, order):
    """Of the branches before it nothing is asked any more, also where one went on with it."""
    hat, coat = branched(folder)
    write(folder, "merged", (hat, coat)[::order])
    both = schema_with(hat=Field("string", default="x"), coat_0=Field("string", default="x"))
    plan = make_plan(Snapshot(schema=None), Snapshot.of(both))
    joined = write_revision(plan, Snapshot(schema=None), output=folder, parent="merged")
    write(folder, "theirs", hat)
    write(folder, "again", (loaded(joined).revision, "theirs")[::order])

    found = Revisions.read(folder)

    assert found.last_snapshot() == found.agreed_snapshot() == Snapshot.of(both)


def test_revisions_in_folders_within_are_seen(folder):
    """Alembic can be told to look there; what Python has compiled is none."""
    within = folder / "2026" / "05"
    compiled = within / "__pycache__"
    compiled.mkdir(parents=True)
    first = generate(folder, resolve_schema(CORE_MODELS), output=within / "auth.py")
    (compiled / "odd.py").write_text("def (")

    second = generate(folder, schema_with(EVERY_TYPE))

    assert first.parent == within
    assert loaded(second).down_revision == loaded(first).revision


def test_a_file_that_is_there_is_not_overwritten(folder):
    """Whatever is in it."""
    there = folder / "auth.py"
    there.write_text("# mine", encoding="utf-8")

    with pytest.raises(ConfigurationError, match="is there already"):
        generate(folder, resolve_schema(CORE_MODELS), output=there)

    assert there.read_text() == "# mine"


def test_the_file_may_be_named(folder):
    """It is written there and found again."""
    path = generate(folder, resolve_schema(CORE_MODELS), output=folder / "auth.py")

    assert path == folder / "auth.py"
    assert Revisions.read(folder).head() == loaded(path).revision


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    """It is not made: most likely its name is wrong."""
    with pytest.raises(ConfigurationError, match="There is no folder") as refusal:
        generate(tmp_path / "versoins", resolve_schema(CORE_MODELS))

    assert "alembic init" in refusal.value.hint
    assert not (tmp_path / "versoins").exists()


@pytest.mark.parametrize(
    "text",
    [
        "def (",
        'revision = "a"\ndown_revision = compute()',
        'revision = "a"\ndown_revision = None\nWATCHWORD_SNAPSHOT = open("x")',
        'revision = "a"\ndown_revision = None\nWATCHWORD_SNAPSHOT = {}',
        'revision = "a"\ndown_revision = None\nWATCHWORD_SNAPSHOT = 7',
        f'revision = "a"\ndown_revision = None\nWATCHWORD_SNAPSHOT = {{"format": {FORMAT + 1}}}',
        'revision = "a\0"',
    ],
)
def test_a_file_that_cannot_be_read_is_named(folder, text):
    """Nothing of it is run, and there is no guess about what it might have been."""
    (folder / "odd.py").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"odd\.py cannot be read"):
        generate(folder, resolve_schema(CORE_MODELS))


def test_a_file_that_is_no_text_is_named(folder):
    """Nor is one in another encoding."""
    (folder / "odd.py").write_bytes(b'revision = "\xff"')

    with pytest.raises(ConfigurationError, match=r"odd\.py cannot be read"):
        Revisions.read(folder)
