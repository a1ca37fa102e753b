"""The published JavaScript client, unchanged, calls every core endpoint of a real server."""

import json
import shutil
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("javascript-client")]

CLIENT: Final = Path(__file__).parent / "client"
# Every check by its name, as "story: check"; one that is silently lost fails as not made.
CHECKS: Final = (CLIENT / "checks.txt").read_text(encoding="utf-8").splitlines()
VERSION: Final = "1.7.24"
MOST_SECONDS: Final = 300


def by_story(names: list[str]) -> dict[str, list[str]]:
    """Put the names of checks together by their stories."""
    stories = defaultdict(list)
    for name in names:
        stories[name.partition(": ")[0]].append(name)
    return stories


STORIES: Final = by_story(CHECKS)


@dataclass(frozen=True)
class Told:
    """What the client's side found."""

    checks: dict[str, dict[str, Any]]
    summary: dict[str, int]

    def wrong(self, names: list[str]) -> str:
        """Describe those of some checks that were not made, or do not hold."""
        not_made = [f"{name}: was not made" for name in names if name not in self.checks]
        lines = [self.checks[name] for name in names if name in self.checks]
        failed = [
            f"{it['check']}\n  expected {it['expected']}\n  found    {it['found']}"
            for it in lines
            if not it["ok"]
        ]
        return "\n".join(not_made + failed)


@pytest.fixture(scope="module")
def told(origin) -> Told:
    """What each check found, after every story was told."""
    node = shutil.which("node")
    if node is None:
        pytest.fail(
            "There is no node on the path. Install Node.js 20 or newer; "
            "`make quick` runs the tests that need none.",
            pytrace=False,
        )
    if not (CLIENT / "node_modules" / "better-auth").is_dir():
        pytest.fail(
            "The JavaScript client is not installed. `make client` installs it.", pytrace=False
        )
    process = subprocess.run(
        [node, "tell.mjs", origin],
        cwd=CLIENT,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    if not lines or "checks" not in lines[-1]:
        pytest.fail(f"The client broke off: {process.stderr}", pytrace=False)
    return Told({line["check"]: line for line in lines[:-1]}, lines[-1])


@pytest.mark.parametrize("story", STORIES)
def test_a_story_of_the_client(told, story):
    """The client's caller gets what the published server would have given."""
    wrong = told.wrong(STORIES[story])

    assert not wrong, wrong


@pytest.mark.parametrize("count", [len(CHECKS)], ids="{}-checks".format)
def test_every_check_is_known_and_made(told, count):
    """As many as the list has names, in its order, each of them once, and all of them hold."""
    assert list(told.checks) == CHECKS
    assert told.summary == {"checks": count, "failed": 0}


def test_the_client_is_pinned_by_its_hash():
    """The version that the recordings are of, and nothing that says where it comes from."""
    wanted = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
    locked = json.loads((CLIENT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {path: it for path, it in locked["packages"].items() if path}

    assert packages["node_modules/better-auth"]["version"] == VERSION
    assert wanted["devDependencies"]["better-auth"] == VERSION
    assert [path for path, it in packages.items() if "integrity" not in it] == []
    assert [path for path, it in packages.items() if "resolved" in it] == []
