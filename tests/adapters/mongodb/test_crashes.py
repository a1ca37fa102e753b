"""Without transactions a process may die between two writes; nobody is locked out by that."""

from itertools import count
from typing import Any, Final

import pytest

from watchword import DeleteUser, UserOptions
from watchword.adapters.mongodb import MongoDBAdapter
from watchword.adapters.mongodb.lines import AsyncLine, BlockingLine
from watchword.engine.accounts import create_with_password
from watchword.errors import UniqueViolation

OLD: Final = "difference-engine"
NEW: Final = "analytical-engine"


class KilledError(BaseException):
    """The process dies here."""


class Life:
    """How many calls of the database a process has left; none is done by who is dead."""

    def __init__(self) -> None:
        self.left: int | None = None

    def spend(self) -> None:
        """Spend one, or be dead."""
        if self.left == 0:
            raise KilledError
        if self.left is not None:
            self.left -= 1


@pytest.fixture
def life(monkeypatch) -> Life:
    """Give every process but one life; it is the test's who dies."""
    life = Life()
    for kind in (BlockingLine, AsyncLine):

        async def do(self, step: Any, *, at_once: bool = False, alive=kind.do) -> Any:
            life.spend()
            return await alive(self, step, at_once=at_once)

        monkeypatch.setattr(kind, "do", do)
    return life


@pytest.fixture
def auth(new_auth, alone_client, alone_empty):
    """An instance on a server without transactions."""
    adapter = MongoDBAdapter(alone_client, name=alone_empty.name, transactions=False)
    return new_auth(adapter, user=UserOptions(delete_user=DeleteUser()))


async def change_password(browser):
    """Change it, and sign everybody else out."""
    passwords = {"currentPassword": OLD, "newPassword": NEW}
    return await browser.post("/change-password", {**passwords, "revokeOtherSessions": True})


async def delete(browser):
    """Leave."""
    return await browser.post("/delete-user", {"password": OLD})


FLOWS: Final = {
    "sign up": lambda browser: browser.sign_up(),
    "sign in": lambda browser: browser.sign_in(),
    "change the password": change_password,
    "leave": delete,
}


@pytest.mark.parametrize("flow", FLOWS)
async def test_nobody_is_locked_out(auth, life, new_browser, alone_empty, flow):
    """After any call they can sign in, by a password that they know, or sign up again."""
    for calls in count():
        await auth.create_tables()
        browser, afterwards = new_browser(auth), new_browser(auth)
        if flow != "sign up":
            await browser.sign_up()
        life.left = calls
        try:
            answer = await FLOWS[flow](browser)
        except KilledError:
            answer = None
        life.left = None

        gets_in = [(await afterwards.sign_in(password=it)).status == 200 for it in (OLD, NEW)]
        assert any(gets_in) or (await afterwards.sign_up()).status == 200, f"after {calls} calls"
        if answer is not None:
            assert answer.status == 200
            assert calls > 2
            return
        for name in alone_empty.list_collection_names():
            alone_empty.drop_collection(name)


async def test_a_refused_user_leaves_no_account(auth):
    """Somebody else was faster: what was written before the user goes again."""
    await auth.create_tables()
    ada = {"name": "Ada", "email": "ada@example.org"}
    await auth.store.create("user", ada)

    with pytest.raises(UniqueViolation):
        await create_with_password(auth.store, ada, password_hash="$argon2id$")

    assert await auth.store.count("account") == 0
