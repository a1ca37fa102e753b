"""The pytest plugin: each coroutine test runs twice, on an event loop and without one.

It acts on tests marked `watchword_async` (the suites of this package are), and on all
coroutine tests of a project that sets `watchword_async = true` in its pytest options. Others
are left to whoever runs them. A test, its class or its module may be marked:

* `needs_loop`: it runs on a loop only; `never_loop`: without one only. A class may say the
  same by an attribute of that name, and by `patience` after how many seconds whoever is
  waited for counts as hanging.
* `watchword_needs("attribute")`: it is left out unless its class sets the attribute.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import pytest

from watchword.testing.modes import PATIENCE, Child, DrivenMode, LoopMode, MakeCoroutine, Mode

__all__ = ["race", "run", "spawn", "watchword_mode"]

_MODE: Final = "watchword_mode"
_MODES: Final[dict[str, Callable[[float], Mode]]] = {
    "loop": LoopMode,
    "driven": DrivenMode,
}
_MARKERS: Final = (
    "watchword_async: run this coroutine test on an event loop and without one",
    "watchword_needs(attribute): leave this test out unless its class sets the attribute",
    "needs_loop: run this coroutine test on an event loop only",
    "never_loop: run this coroutine test without an event loop only",
)

pytest.register_assert_rewrite(
    "watchword.testing.suite",
    "watchword.testing.integration_suite",
    "watchword.testing.integration_clients",
    "watchword.testing.store_suite",
    "watchword.testing.user_store_suite",
    "watchword.testing.session_store_suite",
    "watchword.testing.revoked_session_store_suite",
    "watchword.testing.account_store_suite",
    "watchword.testing.verification_store_suite",
    "watchword.testing.secondary_storage_ground",
    "watchword.testing.secondary_storage_races",
    "watchword.testing.secondary_storage_suite",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that makes every coroutine test of a project ours."""
    parser.addini("watchword_async", "run all coroutine tests on a loop and without", type="bool")


def pytest_configure(config: pytest.Config) -> None:
    """Explain the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Let coroutine tests of ours ask for a mode."""
    # By its name first: a module's `request` of Flask must not be asked what it is.
    if not (name.startswith("test") and inspect.iscoroutinefunction(obj)):
        return
    marks = {mark.name: mark for mark in getattr(obj, "pytestmark", ())}
    ours = collector.config.getini("watchword_async") or "watchword_async" in marks
    if not ours and collector.get_closest_marker("watchword_async") is None:
        return
    # A method of a suite is met again in each subclass; it needs the mark once.
    if "anyio" not in marks and not hasattr(obj, _MODE):
        pytest.mark.usefixtures(_MODE)(obj)
        setattr(obj, _MODE, True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each mode."""
    if _MODE in metafunc.fixturenames:
        metafunc.parametrize(_MODE, _modes(metafunc.definition), indirect=True)


def _modes(test: pytest.Function) -> list[Any]:
    needs_loop, never_loop = _says(test, "needs_loop"), _says(test, "never_loop")
    if needs_loop and never_loop:
        skip = pytest.mark.skip(reason="it needs an event loop, and its class never has one")
        return [pytest.param("loop", marks=skip)]
    if needs_loop:
        return ["loop"]
    return ["driven"] if never_loop else ["loop", "driven"]


def _says(test: pytest.Function, name: str) -> bool:
    return test.get_closest_marker(name) is not None or bool(getattr(test.cls, name, False))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a class says that it does not offer."""
    left_out = [item for item in items if _lacks_something(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _lacks_something(item: pytest.Item) -> bool:
    cls = getattr(item, "cls", None)
    needs = [name for mark in item.iter_markers("watchword_needs") for name in mark.args]
    return any(not getattr(cls, name, False) for name in needs)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in its mode."""
    mode = pyfuncitem.funcargs.get(_MODE)
    if not isinstance(mode, LoopMode | DrivenMode):
        return None
    # Not `pyfuncitem.obj`: another plugin may have wrapped it in a loop of its own.
    function = getattr(pyfuncitem.instance or pyfuncitem.module, pyfuncitem.originalname)
    if not inspect.iscoroutinefunction(function):
        return None
    names = inspect.signature(function).parameters
    mode.run(function(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture
def watchword_mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    """How this test runs; whoever asks for it runs once in each mode."""
    mode = _MODES[request.param](getattr(request.cls, "patience", PATIENCE))
    yield mode
    mode.close()


@pytest.fixture
def run(watchword_mode: Mode) -> Callable[..., Any]:
    """Run a coroutine as the test will be run; for fixtures, which are plain functions."""
    return watchword_mode.run


@pytest.fixture
def race(watchword_mode: Mode) -> Callable[[int, MakeCoroutine[Any]], Awaitable[list[Any]]]:
    """Run many callers at once and return their results, with exceptions in place."""
    return watchword_mode.race


@pytest.fixture
def spawn(watchword_mode: Mode) -> Callable[[MakeCoroutine[Any]], Child]:
    """Start a coroutine beside the test, with a copy of its context."""
    return watchword_mode.spawn
