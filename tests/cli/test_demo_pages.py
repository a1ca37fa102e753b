"""The demo's pages as they are written: seen by everybody, and shipped."""

import re
import subprocess
import sys
import zipfile
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = files("watchword.cli") / "pages"
STYLE: Final = (PAGES / "style.css").read_text(encoding="utf-8")
TEMPLATES: Final = sorted(it.name for it in PAGES.iterdir() if it.name.endswith(".html"))

# WCAG 2.2: text against what is behind it (1.4.3), and what shows where a control is (1.4.11).
TEXT: Final = 4.5
CONTROL: Final = 3.0
COMBINATIONS: Final = [
    *(("ink", behind, TEXT) for behind in ("page", "glow", "card")),
    *(("soft", behind, TEXT) for behind in ("page", "card")),
    *(("accent", "card", TEXT), ("accent-strong", "card", TEXT)),
    *(("on-accent", behind, TEXT) for behind in ("accent", "accent-strong")),
    *(("problem", behind, TEXT) for behind in ("problem-bg", "card")),
    ("notice", "notice-bg", TEXT),
    *(("line", "card", CONTROL), ("accent", "page", CONTROL), ("accent", "glow", CONTROL)),
]


def colours(scheme: str) -> dict[str, str]:
    """Read the colours of a scheme."""
    _, light, dark = re.split(r":root \{", STYLE)
    block = light if scheme == "light" else dark
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """Return the relative luminance as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in parts]
    return sum(it * weight for it, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("front", "behind", "least"), COMBINATIONS)
def test_colours_are_told_apart(scheme, front, behind, least):
    """Text and controls have the contrast of WCAG's level AA, by day and by night."""
    palette = colours(scheme)

    dark, light = sorted(luminance(palette[name]) for name in (front, behind))

    assert (light + 0.05) / (dark + 0.05) >= least


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_field_has_a_label_and_says_what_belongs_in_it(name):
    """A screen reader names it, and a password manager fills it in."""
    html = (PAGES / name).read_text(encoding="utf-8")
    inputs = re.findall(r"<input id=\"(\w+)\"([^>]*)>", html)

    assert set(re.findall(r'<label for="(\w+)"', html)) == {it for it, _ in inputs}
    assert [it for it, attributes in inputs if "autocomplete=" not in attributes] == []
    assert [it for it, attributes in inputs if " required" not in attributes] == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_headings_descend_by_one(name):
    """Whoever goes from heading to heading misses none.

    The layout leaves the first to the pages, and so do the parts of a page, which are named
    with an underscore.
    """
    levels = [int(it) for it in re.findall(r"<h([1-6])", (PAGES / name).read_text("utf-8"))]
    is_page = not name.startswith("_") and name != "layout.html"

    assert levels.count(1) == is_page
    assert all(below - above <= 1 for above, below in pairwise([1, *levels]))


def test_a_template_asks_only_for_what_it_names():
    """A dollar sign that is none of ours would stop the page."""
    for name in TEMPLATES:
        template = Template((PAGES / name).read_text(encoding="utf-8"))

        assert template.is_valid(), name


def test_motion_is_left_to_those_who_want_it():
    """Nothing moves unless the system says that it may."""
    before, _, allowed = STYLE.partition("@media (prefers-reduced-motion: no-preference)")

    assert "transition" in allowed
    assert not re.search("transition|animation", before)


@pytest.mark.slow
def test_the_wheel_holds_every_page(tmp_path):
    """Whoever installs the package has the demo."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )

    [wheel] = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        shipped = {it.rpartition("/")[2] for it in archive.namelist() if "/cli/pages/" in it}

    assert shipped == {it.name for it in PAGES.iterdir()}
