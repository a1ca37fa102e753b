"""Mail: handed over when what it is about is committed, and nobody waits for its delivery."""

from datetime import UTC, datetime

import pytest

from watchword import Mail, User
from watchword.engine.context import Context
from watchword.http.messages import Request

NOW = datetime(2026, 5, 17, tzinfo=UTC)
ADA = User(
    id="1",
    name="Ada",
    email="ada@example.org",
    email_verified=False,
    image=None,
    created_at=NOW,
    updated_at=NOW,
)


def mail(to="ada@example.org") -> Mail:
    """Return a message."""
    return Mail(
        purpose="verify-email",
        to=to,
        user=ADA,
        url="http://localhost:8000/api/auth/verify-email?token=hunter2",
        token="hunter2",
    )


@pytest.fixture
def new_context(new_auth):
    """Make a context at an instance whose mail a function delivers."""

    def new_context(send):
        return Context(new_auth(mail=send).instance, Request(method="POST", path="/"))

    return new_context


def test_attack_link_in_a_log():
    """The text form of a message shows neither link nor token."""
    assert "hunter2" not in repr(mail())
    assert "hunter2" not in str([mail()])


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_message_is_delivered_by_any_function(new_context, kind):
    """Once, as it was handed over."""
    outbox = []

    async def send(message):
        outbox.append(message)

    ctx = new_context(outbox.append if kind == "def" else send)

    await ctx.post(mail())
    await ctx.instance.background.drain()

    assert outbox == [mail()]


async def test_nobody_waits_for_a_mail_server(new_context, watchword_mode):
    """Handing over returns while the delivery still waits."""
    sent, go_on = [], watchword_mode.signal()

    async def send(message):
        await go_on.wait()
        sent.append(message)

    ctx = new_context(send)

    await ctx.post(mail())
    before = list(sent)
    go_on.set()
    await ctx.instance.background.drain()

    assert (before, sent) == ([], [mail()])


async def test_a_delivery_that_fails_is_logged_and_fails_nothing(new_context, caplog):
    """The next message goes out, and the log shows no link."""
    outbox = []

    def send(message):
        if message.to != "eve@example.org":
            raise ConnectionError("no mail today")
        outbox.append(message)

    ctx = new_context(send)

    await ctx.post(mail())
    await ctx.post(mail(to="eve@example.org"))
    await ctx.instance.background.drain()

    assert [it.to for it in outbox] == ["eve@example.org"]
    assert "no mail today" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_message_waits_for_the_commit(new_context):
    """Of the outermost transaction: a reader of the mail finds what it is about."""
    outbox = []
    ctx = new_context(outbox.append)

    async with ctx.store.transaction():
        async with ctx.store.transaction():
            await ctx.post(mail())
        await ctx.instance.background.drain()
        before = list(outbox)
    await ctx.instance.background.drain()

    assert (before, len(outbox)) == ([], 1)


async def test_a_message_about_what_was_undone_is_not_sent(new_context):
    """Neither of a transaction nor of a savepoint."""
    outbox = []
    ctx = new_context(outbox.append)

    async def undone(to):
        async with ctx.store.transaction():
            await ctx.post(mail(to=to))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await undone("a@example.org")
    async with ctx.store.transaction():
        with pytest.raises(RuntimeError):
            await undone("b@example.org")
        await ctx.post(mail(to="c@example.org"))
    await ctx.instance.background.drain()

    assert [it.to for it in outbox] == ["c@example.org"]


async def test_without_a_sender_nothing_is_sent(new_context):
    """And nothing fails."""
    ctx = new_context(None)

    await ctx.post(mail())

    assert not ctx.instance.background._running


@pytest.mark.parametrize(
    ("value", "encoded"), [("/a?b=c", "%2Fa%3Fb%3Dc"), ("é (x)!", "%C3%A9%20(x)!"), ("", "")]
)
def test_links_are_written_as_browsers_encode_them(new_auth, value, encoded):
    """Below the base URL and its path."""
    auth = new_auth(base_url="https://example.org/login/")
    ctx = Context(auth.instance, Request(method="POST", path="/"))

    link = ctx.link("/verify-email", token="t", callbackURL=value)

    assert link == f"https://example.org/login/verify-email?token=t&callbackURL={encoded}"


async def test_attack_links_from_a_host_header(new_auth, new_browser):
    """A mail leads to the base URL, whatever the request says of its host."""
    outbox = []
    browser = new_browser(new_auth(mail=outbox.append))
    await browser.sign_up()

    await browser.post(
        "/request-password-reset",
        {"email": "ada@example.org"},
        headers={"host": "evil.example", "x-forwarded-host": "evil.example"},
    )

    assert outbox[0].url.startswith("http://localhost:8000/api/auth/reset-password/")
