"""What tests of endpoints share: who is there, and what was mailed."""

import pytest

from watchword import CookieCache, SessionOptions, UserOptions


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


@pytest.fixture
def caching(new_auth):
    """Make instances that send copies of sessions."""

    def caching(database=None, *, user=None, session=None, settings=None, **cache):
        options = SessionOptions(cookie_cache=CookieCache(**cache), **(session or {}))
        fields = UserOptions(additional_fields=user or {})
        return new_auth(database, **{"session": options, "user": fields, **(settings or {})})

    return caching
