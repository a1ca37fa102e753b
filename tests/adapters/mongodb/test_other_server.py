"""A server that is not ours answers the adapter's commands as the contract asks."""

import os
from collections.abc import Iterator
from typing import Final

import pytest
from pymongo import MongoClient
from pymongo.synchronous.database import Database

from watchword import DeleteUser, UserOptions
from watchword.adapters.mongodb import MongoDBAdapter
from watchword.testing import AdapterSuite

pytestmark = [
    pytest.mark.mongodb,
    pytest.mark.never_loop,
    pytest.mark.skipif(
        "WATCHWORD_MONGODB_URL" in os.environ, reason="a MongoDB server shows all of it, and more"
    ),
]

# What a test asks for to why it cannot be shown here.
LEFT_OUT: Final = {
    "race": "transactions are nested in one another, and end together",
    "spawn": "what is not committed is seen by everybody",
}
NOTHING: Final = {"user": 0, "account": 0, "session": 0, "verification": 0}


@pytest.fixture(scope="module")
def other_client(nx_27017_url) -> Iterator[MongoClient]:
    """A blocking client of that server."""
    with MongoClient(nx_27017_url) as client:
        yield client


@pytest.fixture
def empty(other_client, mongodb_name) -> Iterator[Database]:
    """A database without collections."""
    yield other_client[mongodb_name]
    other_client.drop_database(mongodb_name)


@pytest.fixture
def other_adapter(other_client, empty) -> MongoDBAdapter:
    """An adapter on it, whose rows stay: it deletes by a clock that tests do not have."""
    return MongoDBAdapter(other_client, name=empty.name, expires_rows=False)


class TestNx27017(AdapterSuite):
    """The contract, by one caller at a time."""

    examples = 3

    @pytest.fixture(autouse=True)
    def _can_be_shown(self, request):
        """Leave out what several callers do at once."""
        for name, reason in LEFT_OUT.items():
            if name in request.fixturenames:
                pytest.skip(reason)

    @pytest.fixture
    def adapter(self, other_adapter):
        """On a database without documents."""
        return other_adapter

    @pytest.fixture
    def peek(self, peek_into, empty, schema):
        """Reads past the adapter."""
        return peek_into(empty, schema)


@pytest.fixture
def auth(new_auth, other_adapter, run):
    """An instance there."""
    auth = new_auth(other_adapter, user=UserOptions(delete_user=DeleteUser()))
    run(auth.create_tables())
    return auth


async def test_a_user_comes_and_goes(auth, browser, new_browser, count_rows):
    """From the sign-up by a changed password to the deletion, which leaves nothing."""
    elsewhere = new_browser(auth)
    passwords = {"currentPassword": "difference-engine", "newPassword": "analytical-engine"}

    assert (await browser.sign_up()).status == 200
    assert (await browser.sign_up()).refusal[0] == 422
    assert (await elsewhere.sign_in(password="wrong-engine")).status == 401
    assert (await elsewhere.sign_in()).status == 200
    assert (await elsewhere.session()).json["user"]["email"] == "ada@example.org"

    changed = await browser.post("/change-password", {**passwords, "revokeOtherSessions": True})
    assert changed.status == 200
    assert (await elsewhere.session()).json is None
    assert (await elsewhere.sign_in()).status == 401
    assert (await browser.session()).json["user"]["name"] == "Ada"

    gone = await browser.post("/delete-user", {"password": passwords["newPassword"]})
    assert gone.json == {"success": True, "message": "User deleted"}
    assert (await browser.session()).json is None
    assert await count_rows(auth) == NOTHING
