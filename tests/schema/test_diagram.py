"""The schema as people look at it: nothing is missing, nothing covers anything else."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.schema import (
    CORE_MODELS,
    Field,
    Index,
    Model,
    Naming,
    Schema,
    Unique,
    resolve_schema,
)
from watchword.schema.diagram import Mark, mermaid, outline, owners_of, svg
from watchword.schema.diagram.placing import Box, place

SVG: Final = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin says about the schema."""

    id: str = "badges"
    models: Sequence[Model] = ()
    extends: Mapping[str, Mapping[str, Field]] = field(default_factory=dict)


APPLICATION: Final = Plugin(
    id="the application", extends={"user": {"plan": Field("string", default="free")}}
)
USERNAME: Final = Plugin(
    id="username",
    extends={"user": {"username": Field("string", required=False, unique=True)}},
)
BADGES: Final = Plugin(
    models=[
        Model(
            "badge",
            {
                "user_id": Field.reference("user"),
                "parent_id": Field.reference("badge", required=False, on_delete="set null"),
                "rank": Field("integer", default=3),
                "made_by": Field("json", default=list),
            },
            uniques=(Unique("user_id", "rank"),),
            indexes=(Index("rank", "parent_id"),),
            comment="What people have won",
        ),
        Model("medal", {"badge_id": Field.reference("badge", on_delete="restrict")}),
        # Two steps away from the user, and a step: its line leads over a whole column.
        Model(
            "ceremony",
            {"medal_id": Field.reference("medal"), "user_id": Field.reference("user")},
        ),
    ]
)
EVERYTHING: Final = resolve_schema(CORE_MODELS, [APPLICATION, USERNAME, BADGES])

# What would end a text, a tag, a comment or a line, if it were not escaped.
HOSTILE: Final = "<b>\"'&]]>--%%{x}%%\n#35;\\\x00\ud800 名\N{PARTY POPPER}"
HOSTILE_NAMES: Final = resolve_schema(
    CORE_MODELS,
    [
        Plugin(
            id=HOSTILE,
            models=[
                Model("thing", {"owner_id": Field.reference("user")}, comment=f"of {HOSTILE}")
            ],
            extends={"user": {"odd": Field("string", default=HOSTILE, comment=HOSTILE)}},
        )
    ],
    naming=Naming(
        tables={"thing": HOSTILE.replace("\ud800", "")},
        columns={"user.odd": HOSTILE.replace("\ud800", "")},
    ),
)


def column_of(schema: Schema, model: str, name: str):
    """Find a column of the outline."""
    [table] = [it for it in outline(schema) if it.model == model]
    [column] = [it for it in table.columns if it.field == name]
    return column


class TestTheOutline:
    """Each column is told by what the database has of it."""

    @pytest.mark.parametrize(
        ("model", "name", "expected"),
        [
            ("user", "id", ("uuid", True, "", (Mark.PRIMARY,), "core")),
            ("user", "email", ("string(254)", True, "", (Mark.UNIQUE,), "core")),
            ("user", "email_verified", ("boolean", True, "false", (), "core")),
            ("user", "created_at", ("datetime", True, "now", (), "core")),
            ("user", "plan", ("string(255)", True, '"free"', (), "the application")),
            ("user", "username", ("string(255)", False, "", (Mark.UNIQUE,), "username")),
            ("session", "user_id", ("uuid", True, "", (Mark.FOREIGN, Mark.INDEX), "core")),
            ("badge", "id", ("uuid", True, "", (Mark.PRIMARY,), "badges")),
            ("badge", "rank", ("integer", True, "3", (), "badges")),
            ("badge", "made_by", ("json", True, "by Python", (), "badges")),
        ],
    )
    def test_a_column(self, model, name, expected):
        """Type, null, default, marks and owner."""
        it = column_of(EVERYTHING, model, name)

        assert (it.type, it.required, it.default, it.marks, it.owner) == expected

    def test_ids_that_the_database_counts(self):
        """Nobody looks for a default of theirs."""
        schema = resolve_schema(CORE_MODELS, ids="bigint")

        assert column_of(schema, "user", "id").default == "counted"

    def test_a_table_of_the_application(self):
        """What new rows get from the database there is not ours to tell."""
        models = {**EVERYTHING.models, "user": replace(EVERYTHING.models["user"], ours=False)}
        schema = replace(EVERYTHING, models=models)

        [table] = [it for it in outline(schema) if it.model == "user"]

        assert table.owner == "the application"
        told = {it.field: (it.default, it.owner) for it in table.columns}
        assert told["email_verified"] == told["created_at"] == ("by Python", "core")
        assert told["plan"] == ("by Python", "the application")
        assert told["username"] == ("", "username")
        assert column_of(schema, "session", "created_at").default == "now"

    @pytest.mark.parametrize(
        ("kind", "default"), [("bigint", "counted"), ("uuid", "by the database")]
    )
    def test_ids_that_a_table_of_the_application_makes(self, kind, default):
        """Numbers are counted; anything else the database makes in its own way."""
        schema = resolve_schema(CORE_MODELS, ids="bigint")
        user = schema.models["user"]
        fields = {**user.fields, "id": Field(kind, input=False, key=True, generated=True)}
        models = {**schema.models, "user": replace(user, fields=fields, ours=False)}

        assert column_of(replace(schema, models=models), "user", "id").default == default

    def test_a_reference(self):
        """It leads to a table and a column by their names in the database."""
        naming = Naming(schema="auth", case="camel", columns={"user.id": "key"})
        schema = resolve_schema(CORE_MODELS, naming=naming)

        it = column_of(schema, "session", "user_id")

        assert it.name == "userId"
        assert it.reference is not None
        found = (it.reference.table, it.reference.column, it.reference.on_delete)
        assert found == ("auth.watchword_users", "key", "cascade")

    def test_keys_of_several_columns(self):
        """They are told in words, by the names of the columns."""
        [table] = [it for it in outline(EVERYTHING) if it.model == "badge"]

        assert table.joint_keys == ("unique (user_id, rank)", "index (rank, parent_id)")

    def test_owners_are_in_order(self):
        """The core first and the application last, whatever was defined first."""
        owners = owners_of(outline(EVERYTHING))

        assert owners == ("core", "username", "badges", "the application")


# --- Mermaid -----------------------------------------------------------------------------

TEXT: Final = r'"[^"%\\\n\r\x0b\x08]+"'
ENTITY: Final = re.compile(rf"    ({TEXT})\[({TEXT})\] \{{")
ATTRIBUTE: Final = re.compile(
    r"        [a-z]+(?:\(\d+\))? ([A-Za-z_][A-Za-z0-9_]*)"
    r'(?: (?:PK|FK|UK)(?:, (?:PK|FK|UK))*)?(?: "([^"\n]*)")?'
)
RELATION: Final = re.compile(rf"    ({TEXT}) (?:\|\||\|o)--(?:o\{{|o\|) ({TEXT}) : ({TEXT})")


def read(diagram: str) -> dict[str, list[str]]:
    """Read a diagram by the grammar of Mermaid's that it uses; entities to attributes."""
    sign, first, *lines = diagram.splitlines()
    assert (sign, first) == ("%% Watchword schema", "erDiagram")
    entities: dict[str, list[str]] = {}
    inside = None
    for line in lines:
        if inside is not None and line == "    }":
            inside = None
        elif inside is not None:
            inside.append(matched(ATTRIBUTE, line)[1])
        elif found := ENTITY.fullmatch(line):
            inside = entities[found[1]] = []
        else:
            assert set(matched(RELATION, line).groups()[:2]) <= set(entities)
    assert inside is None
    return entities


def matched(pattern: re.Pattern[str], line: str) -> re.Match[str]:
    """Return what a line says; every line has to say something."""
    found = pattern.fullmatch(line)
    assert found is not None, line
    return found


class TestMermaid:
    """The text is what Mermaid's grammar knows."""

    @pytest.mark.parametrize("schema", [EVERYTHING, HOSTILE_NAMES], ids=["all", "hostile"])
    def test_it_is_read_again(self, schema):
        """Every table and every column is there, whatever they are called."""
        entities = read(mermaid(schema))

        assert [len(it) for it in entities.values()] == [
            len(it.fields) for it in schema.models.values()
        ]

    def test_it_tells_who_added_a_column(self):
        """And what else there is to know."""
        lines = [it.strip() for it in mermaid(EVERYTHING).splitlines()]

        assert '"watchword_badges"["watchword_badges · badges"] {' in lines
        assert 'string(255) username UK "may be null, of username"' in lines
        assert 'uuid user_id FK "indexed"' in lines

    @pytest.mark.parametrize(
        "line",
        [
            '"watchword_users" ||--o{ "watchword_sessions" : "user_id: on delete cascade"',
            '"watchword_badges" |o--o{ "watchword_badges" : "parent_id: on delete set null"',
            '"watchword_badges" ||--o{ "watchword_medals" : "badge_id: on delete restrict"',
        ],
    )
    def test_a_relation(self, line):
        """Whether it may lead nowhere, and what a deletion does."""
        assert line in [it.strip() for it in mermaid(EVERYTHING).splitlines()]

    def test_a_name_that_is_none_is_told_beside_it(self):
        """Its place in the diagram takes letters, digits and underscores alone."""
        naming = Naming(columns={"user.name": "Full name"})

        diagram = mermaid(resolve_schema(CORE_MODELS, naming=naming))

        assert 'string(255) _Full_name "Full name"' in diagram


# --- the picture -------------------------------------------------------------------------


def words_of(picture: ET.Element) -> list[str]:
    """Return every text that is drawn."""
    return [it.text or "" for it in picture.iter(f"{SVG}text")]


def shown(name: str) -> str:
    """Return a name as XML can hold it."""
    return re.sub("[\x00\ud800]", "\N{REPLACEMENT CHARACTER}", name)


def drawn(picture: ET.Element) -> Iterator[tuple[float, float]]:
    """Return the corners of every text, rectangle and circle, moved as their group is."""
    for group, offset in groups(picture):
        for it in group:
            for x, y in corners(it):
                yield x + offset[0], y + offset[1]


def groups(picture: ET.Element) -> Iterator[tuple[ET.Element, tuple[float, float]]]:
    """Return every group with how far it is moved."""
    yield picture, (0.0, 0.0)
    [moved] = [it for it in picture.findall(f"{SVG}g") if "transform" in it.attrib]
    x, y = map(float, re.findall(r"[\d.]+", moved.attrib["transform"]))
    for it in moved.iter(f"{SVG}g"):
        yield it, (x, y)


def corners(it: ET.Element) -> Iterator[tuple[float, float]]:
    """Return the points between which an element is drawn."""

    def number(name: str) -> float:
        return float(it.attrib[name])

    match it.tag.removeprefix(SVG):
        case "rect":
            yield number("x"), number("y")
            yield number("x") + number("width"), number("y") + number("height")
        case "text":
            yield number("x"), number("y") - 12
            yield number("x") + number("textLength"), number("y") + 3
        case "circle":
            yield number("cx") - number("r"), number("cy") - number("r")
            yield number("cx") + number("r"), number("cy") + number("r")


def inside(box: Box, x: float, y: float, margin: float = 0.0) -> bool:
    """Tell whether a point is within a box, and not just at its edge."""
    across = box.x + margin < x < box.x + box.width - margin
    return across and box.y + margin < y < box.y + box.height - margin


def check_picture(schema: Schema) -> None:
    """Check all that holds for every picture."""
    drawing = svg(schema)
    picture = ET.fromstring(drawing)
    tables = outline(schema)
    words = words_of(picture)

    for it in tables:
        assert shown(it.name) in words
        for column in it.columns:
            assert shown(column.name) in words
    for owner in owners_of(tables):
        assert any(it.startswith(f"{shown(owner)} (") for it in words)
    width, height = map(float, picture.attrib["viewBox"].split()[2:])
    for x, y in drawn(picture):
        assert 0 <= x <= width
        assert 0 <= y <= height
    assert svg(schema) == drawing


def check_placement(schema: Schema) -> None:
    """Check that no box covers another, and that no line runs through one or beside the page."""
    placement = place(outline(schema))

    for one, other in combinations(placement.boxes, 2):
        apart = (
            one.x + one.width < other.x
            or other.x + other.width < one.x
            or one.y + one.height < other.y
            or other.y + other.height < one.y
        )
        assert apart, (one.table.name, other.table.name)
    for line in placement.lines:
        for (x1, y1), (x2, y2) in pairwise(line.points):
            assert x1 == x2 or y1 == y2
            steps = [at / 50 for at in range(51)]
            points = [(x1 + (x2 - x1) * at, y1 + (y2 - y1) * at) for at in steps]
            assert not [it for it in points for box in placement.boxes if inside(box, *it)]
            assert all(0 <= x <= placement.width for x, _ in points)
            assert all(0 <= y <= placement.height for _, y in points)


def check_lines_apart(schema: Schema) -> None:
    """Check that only lines to one table share a stretch."""
    stretches: dict[tuple[str, float], list[tuple[float, float, str]]] = {}
    for line in place(outline(schema)).lines:
        for (x1, y1), (x2, y2) in pairwise(line.points):
            way, low, high = (
                (("x", x1), *sorted((y1, y2))) if x1 == x2 else (("y", y1), *sorted((x1, x2)))
            )
            stretches.setdefault(way, []).append((low, high, line.reference.table))
    for way, found in stretches.items():
        for (low, high, one), (low2, high2, other) in combinations(found, 2):
            assert one == other or high <= low2 or high2 <= low, way


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Draw models that point to one another at will, with columns and keys of any number."""
    names = [f"m{at}" for at in range(draw(st.integers(0, 9)))]
    models = []
    for name in names:
        targets = draw(st.lists(st.sampled_from([*names, "user", "session"]), max_size=3))
        fields = {
            f"to_{at}": Field.reference(it, required=draw(st.booleans()))
            for at, it in enumerate(targets)
        }
        plain = draw(st.integers(0, 6))
        fields |= {f"f{'x' * 7 * at}": Field("string", max_length=9) for at in range(plain)}
        uniques = (Unique(*fields),) if 1 < len(fields) < 5 and draw(st.booleans()) else ()
        models.append(Model(name, fields, uniques))
    added = {f"added_{it}": Field.reference(it, required=False) for it in names[:2]}
    plugin = Plugin(id=draw(st.sampled_from(["a", "a-long-name-of-a-plugin"])), models=models)
    return resolve_schema(CORE_MODELS, [plugin, Plugin(id="more", extends={"user": added})])


class TestThePicture:
    """Everything is on it, readable."""

    @pytest.mark.parametrize("schema", [EVERYTHING, HOSTILE_NAMES], ids=["all", "hostile"])
    def test_everything_is_on_it(self, schema):
        """Every table, column and owner, within the page, and the same each time."""
        check_picture(schema)
        check_placement(schema)
        check_lines_apart(schema)

    @given(schemas())
    def test_any_schema(self, schema):
        """Also with circles of references, and with tables that are alone."""
        check_picture(schema)
        check_placement(schema)
        check_lines_apart(schema)

    def test_a_schema_without_models(self):
        """Nothing to draw is no error."""
        picture = ET.fromstring(svg(Schema({})))

        assert "Watchword schema" in words_of(picture)

    @given(schemas())
    def test_text_stays_in_its_box(self, schema):
        """Also the longest name; and no two texts of a row cover one another."""
        picture = ET.fromstring(svg(schema))

        for table in tables_of(picture):
            [box] = [it for it in table.findall(f"{SVG}rect") if "box" in it.attrib["class"]]
            (left, top), (right, bottom) = corners(box)
            rows: dict[str, list[tuple[float, float]]] = {}
            for it in table.iter(f"{SVG}text"):
                (x1, y1), (x2, y2) = corners(it)
                assert left <= x1 <= x2 <= right
                assert top <= y1 <= y2 <= bottom
                rows.setdefault(f"{round(y1 / 11)}", []).append((x1, x2))
            for row in rows.values():
                for (_, end), (start, _) in pairwise(sorted(row)):
                    assert end <= start

    def test_a_column_of_somebody_else_is_marked(self):
        """In the colour of its owner, which is another than the table's, and by its name."""
        picture = ET.fromstring(svg(EVERYTHING))
        [row] = [
            it
            for it in picture.iter(f"{SVG}g")
            if (it.findtext(f"{SVG}title") or "").startswith("username ")
        ]

        [tag] = [it for it in row.findall(f"{SVG}text") if it.attrib["class"] == "by"]
        colours = {it.attrib["class"] for it in row.findall(f"{SVG}rect")}

        assert tag.text == "username"
        assert colours == {class_of(picture, "username")}
        assert colours != {class_of(picture, "core")}

    def test_what_a_deletion_does_stands_on_the_line(self):
        """In the words of SQL."""
        words = words_of(ET.fromstring(svg(EVERYTHING)))

        assert {it: words.count(it) for it in ("cascade", "set null", "restrict")} == {
            "cascade": 5,
            "set null": 1,
            "restrict": 1,
        }

    def test_a_table_of_the_application_is_dashed(self):
        """Nobody fears that it will be changed."""
        models = {**EVERYTHING.models, "user": own(EVERYTHING.models["user"])}

        drawing = svg(Schema(models, EVERYTHING.naming, EVERYTHING.owners))

        assert drawing.count('class="box foreign"') == 1
        assert "dashed: the application's own table" in drawing
        assert "dashed: " not in svg(EVERYTHING)

    def test_it_needs_nothing_else(self):
        """No script, no font, no other file; its rules hold for it alone."""
        drawing = svg(HOSTILE_NAMES)

        picture = ET.fromstring(drawing)
        allowed = {"svg", "title", "desc", "style", "g", "rect", "path", "circle", "text"}
        assert {it.tag.removeprefix(SVG) for it in picture.iter()} == allowed
        assert not re.search(r"url\(|@import|@font-face|href|<!", drawing)
        rules = filter(None, picture.findtext(f"{SVG}style").splitlines())
        assert {it.partition(" ")[0] for it in rules} == {".watchword-schema", "@media", "}"}

    def test_who_does_not_see_it_hears_of_it(self):
        """The description names every table, column and reference."""
        picture = ET.fromstring(svg(EVERYTHING))

        description = picture.findtext(f"{SVG}desc")

        assert picture.attrib["role"] == "img"
        assert picture.attrib["aria-labelledby"].split() == [
            picture.find(f"{SVG}title").attrib["id"],
            picture.find(f"{SVG}desc").attrib["id"],
        ]
        assert (
            "watchword_medals of badges: id, badge_id; badge_id references watchword_badges."
            in description
        )

    def test_texts_can_be_read_on_light_and_on_dark(self):
        """Each has a contrast of 4.5 to 1 with what is behind it."""
        rules = ET.fromstring(svg(EVERYTHING)).findtext(f"{SVG}style")
        light, dark = (fills(it) for it in rules.split("@media"))

        for scheme in (light, {**light, **dark}):
            areas = {scheme["page"], scheme["box"]}
            for text in ("name", "optional", "type", "mark", "note", "label", "title"):
                assert min(contrast(scheme[text], area) for area in areas) >= 4.5
            for owner in ("o0", "o1", "o2", "o3"):
                assert contrast(scheme["by"], scheme[owner]) >= 4.5


def tables_of(picture: ET.Element) -> list[ET.Element]:
    """Return the groups of tables."""
    return [
        it
        for it in picture.iter(f"{SVG}g")
        if any("box" in at.attrib["class"].split() for at in it.findall(f"{SVG}rect"))
    ]


def class_of(picture: ET.Element, owner: str) -> str:
    """Return the class of an owner, from the legend."""
    entries = list(picture)
    [at] = [
        number for number, it in enumerate(entries) if (it.text or "").startswith(f"{owner} (")
    ]
    return entries[at - 1].attrib["class"]


def own(model: Model) -> Model:
    """Return a model as one of the application's."""
    return Model(model.name, model.fields, model.uniques, model.indexes, ours=False)


def fills(rules: str) -> dict[str, str]:
    """Return the colours that classes are filled with."""
    return dict(re.findall(r"\.([\w]+)\{(?:[^}]*;)?fill:(#\w{6})", rules))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, as WCAG 2 defines it."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    """Return how bright a colour is."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
