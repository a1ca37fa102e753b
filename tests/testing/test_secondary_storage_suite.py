"""The suite finds what is wrong with a storage: each promise, broken, fails the test of it."""

import importlib.util
from pathlib import Path
from typing import Any, Final

import pytest

from watchword.testing import SecondaryStorageSuite

pytest_plugins = ("pytester",)

SOURCE: Final = Path(__file__).with_name("broken_storages.py")
PROJECT: Final = """
import pytest

import broken_storages
import pytest

from watchword.testing import SecondaryStorageSuite
from watchword.testing.store_suite import StandingClock


class Ground(SecondaryStorageSuite):
    rounds, callers, patience = 3, 8, 10.0
    survives_disconnect = True

    @pytest.fixture
    def clock(self):
        return StandingClock()

    @pytest.fixture
    def storage(self, clock):
        return broken_storages.Broken(clock, broken_storages.BROKEN.get(self.breaks))

    @pytest.fixture
    def time_left(self, storage):
        return storage.time_left

    @pytest.fixture
    def pass_time(self, time_left, clock):
        return lambda key: clock.advance(seconds=time_left(key))

    @pytest.fixture
    def disconnect(self, storage):
        return lambda: vars(storage).update(cut=True)


class TestWhole(Ground):
    breaks = None
"""
BROKEN_CLASS: Final = """
class Test_{test}(Ground):
    breaks = {test!r}
"""
# The suite is long: of a broken storage no more is collected than the test that finds it.
CONFTEST: Final = """
def pytest_pycollect_makeitem(collector, name):
    breaks = getattr(getattr(collector, "cls", None), "breaks", None)
    if name.startswith("test_") and breaks not in {None, name}:
        return []
"""


def broken() -> dict[str, Any]:
    """Return which method is broken for which test."""
    spec = importlib.util.spec_from_file_location("broken_storages", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.BROKEN)


BROKEN: Final = broken()


def test_each_test_has_a_storage_that_it_fails():
    """A test that was added has one added here."""
    names = {name for name in dir(SecondaryStorageSuite) if name.startswith("test_")}

    assert set(BROKEN) == names


@pytest.mark.slow
def test_a_broken_promise_is_found_in_a_storage(pytester):
    """In a project without any settings the whole storage passes, and each broken one fails."""
    pytester.makepyfile(broken_storages=SOURCE.read_text(encoding="utf-8"))
    pytester.makeconftest(CONFTEST)
    classes = [BROKEN_CLASS.format(test=test) for test in BROKEN]
    pytester.makepyfile(test_storage=PROJECT + "".join(classes))

    passed, skipped, failed = pytester.inline_run(
        *("--disable-plugin-autoload", "-p", "watchword.testing.plugin", "-q", "-W", "error")
    ).listoutcomes()

    names = {it.nodeid.split("::")[1].removeprefix("Test_") for it in failed}
    assert names == set(BROKEN)
    assert skipped == []
    assert len([it for it in passed if "::TestWhole::" in it.nodeid]) >= len(BROKEN) * 2
