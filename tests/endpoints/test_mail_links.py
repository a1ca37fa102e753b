"""Links in mails, of every purpose: they lead to us whatever a request says, and they open."""

from typing import get_args

import pytest

from watchword import (
    ChangeEmail,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    UserOptions,
)
from watchword.engine.mail import MailPurpose
from watchword.http.messages import Request
from watchword.storage.query import F

ADDRESS = "ada@example.org"
OURS = "http://localhost:8000/api/auth"
HOSTILE = {
    "host": "evil.example",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https",
    "x-forwarded-port": "666",
    "x-forwarded-prefix": "/evil.example",
    "x-original-host": "evil.example",
    "forwarded": "host=evil.example;proto=https",
}


class Hostile:
    """Passes requests on as a server does that was called by another name."""

    def __init__(self, auth) -> None:
        self._auth = auth

    async def handle(self, request: Request):
        """Say that the host is another one."""
        headers = (*request.headers, *HOSTILE.items())
        return await self._auth.handle(
            Request(
                method=request.method,
                path=request.path,
                query_string=request.query_string,
                headers=headers,
                body=request.body,
                client_address=request.client_address,
                scheme="https",
                host="evil.example",
            )
        )

    async def drain(self):
        """Wait for the mail."""
        await self._auth.drain()


async def verify_after_sign_up(auth, page):
    """The sign-up has sent it."""


async def verify_again(auth, page):
    """Ask for another link."""
    await page.post("/send-verification-email", {"email": ADDRESS})


async def verify_at_sign_in(auth, page):
    """Sign in, though the address is not verified."""
    await page.sign_in()


async def reset(auth, page):
    """Forget the password."""
    await page.post("/request-password-reset", {"email": ADDRESS, "redirectTo": "/reset"})


async def sign_in_verified(auth, page):
    """Verify the address, as far as anybody knows, and sign in."""
    await auth.store.update("user", F.email == ADDRESS, {"email_verified": True})
    await page.sign_in()


async def change(auth, page):
    """Want another address."""
    await sign_in_verified(auth, page)
    await page.post("/change-email", {"newEmail": "new@example.org"})


async def confirm_change(auth, page):
    """Want another address, and confirm it at the old one."""
    await change(auth, page)
    await page.get("/verify-email", query=f"token={page.outbox[-1].token}")


async def delete(auth, page):
    """Want to go."""
    await sign_in_verified(auth, page)
    await page.post("/delete-user", {"callbackURL": "/bye"})


FLOWS = {
    verify_after_sign_up: "verify-email",
    verify_again: "verify-email",
    verify_at_sign_in: "verify-email",
    reset: "reset-password",
    change: "confirm-email-change",
    confirm_change: "verify-new-email",
    delete: "delete-user",
}


@pytest.fixture
def auth(new_auth):
    """An instance that sends every kind of mail."""
    outbox = []
    auth = new_auth(
        mail=outbox.append,
        email_password=EmailPassword(require_email_verification=True),
        email_verification=EmailVerification(send_on_sign_in=True),
        user=UserOptions(
            change_email=ChangeEmail(confirm_with_old_address=True),
            delete_user=DeleteUser(confirm_by_mail=True),
        ),
    )
    auth.outbox = outbox
    return auth


@pytest.fixture
def page(auth, new_browser, run):
    """A browser whose requests name another host; Ada has signed up in it."""
    page = new_browser(Hostile(auth))
    page.outbox = auth.outbox
    run(page.sign_up())
    return page


def test_every_purpose_is_here():
    """A new one leads to us and opens, too."""
    assert set(FLOWS.values()) == set(get_args(MailPurpose))


@pytest.mark.parametrize("flow", FLOWS, ids=lambda it: it.__name__)
async def test_attack_links_from_a_host_header(auth, page, flow):
    """Whatever name the request was sent to, a mail leads to the base URL."""
    await flow(auth, page)

    assert auth.outbox[-1].purpose == FLOWS[flow]
    assert auth.outbox[-1].url.startswith(f"{OURS}/")
    assert "evil" not in "".join(it.url for it in auth.outbox)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda it: it.__name__)
async def test_a_link_opens_as_it_stands_in_the_mail(auth, page, flow):
    """By the GET of whoever clicks on it, and leads on to a page of ours."""
    await flow(auth, page)
    path, _, query = auth.outbox[-1].url.removeprefix(OURS).partition("?")

    answer = await page.get(path, query=query)

    assert answer.status in {200, 302}
    location = answer.header("location") or "/"
    assert location.startswith(("/", "http://localhost:8000/"))
    assert "error=" not in location
