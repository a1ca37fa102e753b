"""How often MongoDB is called for what people do most."""

from typing import Final

import pytest
from pymongo import monitoring

from watchword.adapters.mongodb import MongoDBAdapter

# With transactions, and without them.
CALLS: Final = {
    "/sign-up/email": (5, 4),
    "/get-session": (1, 1),
    "/sign-out": (1, 1),
    "/sign-in/email": (6, 4),
}


class Counting(monitoring.CommandListener):
    """Counts commands."""

    def __init__(self) -> None:
        self.number = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """One more, but for the driver's own."""
        self.number += event.command_name != "endSessions"

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing."""


@pytest.mark.parametrize("has_transactions", [True, False])
async def test_calls(request, has_transactions, new_auth, new_client, new_browser):
    """A sign-up, who is signed in, a sign-out and a sign-in."""
    server = "mongodb_url" if has_transactions else "mongodb_alone_url"
    database = request.getfixturevalue("empty" if has_transactions else "alone_empty")
    counting = Counting()
    client = new_client(request.getfixturevalue(server), event_listeners=[counting])
    adapter = MongoDBAdapter(client, name=database.name, transactions=has_transactions)
    auth = new_auth(adapter)
    await auth.create_tables()
    browser = new_browser(auth)
    does = {
        "/sign-up/email": browser.sign_up,
        "/get-session": browser.session,
        "/sign-out": lambda: browser.post("/sign-out"),
        "/sign-in/email": browser.sign_in,
    }

    counted = {}
    for path, do in does.items():
        before = counting.number
        assert (await do()).status == 200
        counted[path] = counting.number - before

    assert counted == {path: calls[not has_transactions] for path, calls in CALLS.items()}
