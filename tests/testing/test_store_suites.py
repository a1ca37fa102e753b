"""The suites find what is wrong with a store: each promise, broken, fails the test of it."""

import importlib.util
from pathlib import Path
from typing import Any, Final

import pytest

from watchword.testing import (
    AccountStoreSuite,
    SessionStoreSuite,
    UserStoreSuite,
    VerificationStoreSuite,
)

pytest_plugins = ("pytester",)

SOURCE: Final = Path(__file__).with_name("broken_stores.py")
SUITES: Final[dict[str, type]] = {
    "users": UserStoreSuite,
    "sessions": SessionStoreSuite,
    "accounts": AccountStoreSuite,
    "verifications": VerificationStoreSuite,
}
PROJECT: Final = """
import pytest
from secrets import token_hex

import broken_stores
from watchword.testing import {suite}


class Ground({suite}):
    rounds, callers, patience = 3, 8, 10.0
    has_usernames = True
    additional = {additional}

    @pytest.fixture
    def instance(self, clock):
        return broken_stores.instance(clock)

    @pytest.fixture
    def store(self, instance):
        method = broken_stores.BROKEN[{store!r}].get(self.breaks)
        return broken_stores.Broken(instance.{store}, method)

    @pytest.fixture
    def new_user_id(self, instance):
        async def new_user_id():
            email = f"{{token_hex(8)}}@example.org"
            return (await instance.users.create(email=email, name="Ada")).id

        return new_user_id


class TestWhole(Ground):
    breaks = None
"""
BROKEN_CLASS: Final = """
class Test_{test}(Ground):
    breaks = {test!r}
"""
# The suites are long: of a broken store no more is collected than the test that finds it.
CONFTEST: Final = """
def pytest_pycollect_makeitem(collector, name):
    breaks = getattr(getattr(collector, "cls", None), "breaks", None)
    if name.startswith("test_") and breaks not in {None, name}:
        return []
"""


def broken() -> dict[str, dict[str, Any]]:
    """Return which method is broken for which test, by store."""
    spec = importlib.util.spec_from_file_location("broken_stores", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BROKEN


BROKEN: Final = broken()


def names_of(suite: type) -> set[str]:
    """Name the tests of a suite."""
    return {name for name in dir(suite) if name.startswith("test_")}


@pytest.mark.parametrize("store", SUITES)
def test_each_test_has_a_store_that_it_fails(store):
    """A test that was added has one added here."""
    assert set(BROKEN[store]) == names_of(SUITES[store])


@pytest.mark.parametrize("store", SUITES)
def test_a_broken_promise_is_found_in_a_store(pytester, store):
    """In a project without any settings the whole store passes, and each broken one fails."""
    pytester.makepyfile(broken_stores=SOURCE.read_text(encoding="utf-8"))
    pytester.makeconftest(CONFTEST)
    additional = {"users": {"username": "ada"}}.get(store, {})
    source = PROJECT.format(suite=SUITES[store].__name__, store=store, additional=additional)
    classes = [BROKEN_CLASS.format(test=test) for test in BROKEN[store]]
    pytester.makepyfile(test_store=source + "".join(classes))

    passed, skipped, failed = pytester.inline_run(
        *("--disable-plugin-autoload", "-p", "watchword.testing.plugin", "-q", "-W", "error")
    ).listoutcomes()

    names = {it.nodeid.split("::")[1].removeprefix("Test_") for it in failed}
    assert names == set(BROKEN[store])
    assert skipped == []
    assert len([it for it in passed if "::TestWhole::" in it.nodeid]) >= len(BROKEN[store]) * 2
