"""What tests of endpoints share: who is there, what was mailed, passwords whose work counts."""

from typing import Any

import pytest

from watchword.concurrency import WorkPool
from watchword.crypto.passwords import Passwords


class CountingPool(WorkPool):
    """Does the work, and remembers what it was."""

    def __init__(self) -> None:
        super().__init__(workers=2, queue=64)
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    async def run(self, function, *args, **kwargs):
        """Note the function, then call it."""
        self.calls.append((function.__name__, args))
        return await super().run(function, *args, **kwargs)


@pytest.fixture
def work() -> tuple[Passwords, list[tuple[str, tuple[Any, ...]]]]:
    """Cheap passwords, and the list of every hash and verification that they make."""
    pool = CountingPool()
    return Passwords(memory_kib=8, iterations=1, pool=pool), pool.calls


@pytest.fixture
def outbox():
    """Every mail that was sent."""
    return []


@pytest.fixture
def ada(browser, run):
    """Ada's browser, in which she is signed in."""
    run(browser.sign_up())
    return browser


@pytest.fixture
def visitor(auth, new_browser):
    """A browser in which nobody is signed in."""
    return new_browser(auth)
