"""What tests of user names share: instances with them, in memory, on SQLite and on MongoDB."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from sqlalchemy import Engine, event

from watchword import Watchword
from watchword.plugins.username import Username

PLACES: Final = {"sqlite": "sqlite_database", "mongodb": "mongodb_place"}


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
def auth(request, new_auth, sql_auth) -> Watchword:
    """An instance with names as they are by default."""
    if request.param == "memory":
        return new_auth(plugins=[Username()])
    return sql_auth(request.getfixturevalue(PLACES[request.param]), plugins=[Username()])


@pytest.fixture
def new_named(auth, new_auth) -> Callable[..., Watchword]:
    """Make other instances with its users, with the plugin's settings and the instance's."""

    def new_named(username: Username | None = None, **settings: Any) -> Watchword:
        return new_auth(auth.adapter, plugins=[username or Username()], **settings)

    return new_named


@pytest.fixture
def ada(browser, run):
    """Ada's browser, in which she is signed in."""
    run(browser.sign_up(username="Ada_L"))
    return browser


@pytest.fixture
def visitor(auth, new_browser):
    """A browser in which nobody is signed in."""
    return new_browser(auth)


@pytest.fixture
def outbox():
    """Every mail that was sent."""
    return []


@pytest.fixture
def statements():
    """Every statement that reaches a database."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)
