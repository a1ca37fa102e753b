"""What tests of endpoints share: who is there, and what was mailed."""

import pytest


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
