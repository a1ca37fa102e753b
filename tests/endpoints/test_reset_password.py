"""A new password by the link in a mail: followed, and redeemed once."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from watchword import EmailPassword
from watchword.storage.query import F

ADDRESS = "ada@example.org"
OLD, NEW, NEWER = "difference-engine", "analytical-engine", "jacquard-loom"
ORIGIN = "http://localhost:8000"
DONE = (200, {"status": True})
INVALID = (400, {"message": "Invalid token", "code": "INVALID_TOKEN"})
TOO_SHORT = (400, {"message": "Password too short", "code": "PASSWORD_TOO_SHORT"})
TOO_LONG = (400, {"message": "Password too long", "code": "PASSWORD_TOO_LONG"})
MISSING = "Invalid input: expected string, received undefined"


@pytest.fixture
def auth(new_auth, outbox):
    """An instance in memory that sends mail."""
    return new_auth(mail=outbox.append)


async def token_for(visitor, outbox):
    """Ask for a link and return its token."""
    await visitor.post("/request-password-reset", {"email": ADDRESS})
    return outbox[-1].token


async def reset(visitor, token, password=NEW):
    """Redeem a token."""
    return await visitor.post("/reset-password", {"newPassword": password, "token": token})


async def may_sign_in(visitor, password):
    """Tell whether a password is Ada's."""
    return (await visitor.sign_in(password=password)).status == 200


# --- following ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/reset", f"{ORIGIN}/reset?token="),
        ("/reset?x=1", f"{ORIGIN}/reset?x=1&token="),
        ("/reset?x=1#top", f"{ORIGIN}/reset?x=1&token="),
        ("http://localhost:8000/reset?x=a%20b", f"{ORIGIN}/reset?x=a%20b&token="),
        ("https://app.example.com/r", "https://app.example.com/r?token="),
        ("myapp://reset", "myapp://reset?token="),
        ("/caf\u00e9", f"{ORIGIN}/caf%C3%A9?token="),
    ],
)
async def test_a_link_leads_on_with_its_token(new_auth, new_browser, outbox, target, location):
    """To an absolute address whose own query is kept; it redeems nothing, however often."""
    auth = new_auth(mail=outbox.append, trusted_origins=["https://app.example.com", "myapp://"])
    visitor = new_browser(auth)
    await new_browser(auth).sign_up()
    await visitor.post("/request-password-reset", {"email": ADDRESS, "redirectTo": target})
    link = urlsplit(outbox[0].url)

    answers = [await visitor.get(link.path, query=link.query) for _ in range(3)]

    fragment = "#top" if "#" in target else ""
    for answer in answers:
        assert (answer.status, answer.body, answer.set_cookies) == (302, b"", [])
        assert answer.header("location") == f"{location}{outbox[0].token}{fragment}"
        assert answer.header("content-type") == "application/json"
        assert answer.header("referrer-policy") == "no-referrer"
    assert (await reset(visitor, outbox[0].token)).status == 200


@pytest.mark.parametrize("redeemed", [True, False])
async def test_a_dead_link_leads_on_with_an_error(ada, visitor, outbox, clock, redeemed):
    """Used, or expired from its last instant on."""
    token = await token_for(visitor, outbox)
    if redeemed:
        await reset(visitor, token)
    else:
        clock.advance(hours=1)

    answer = await visitor.get(f"/reset-password/{token}", query="callbackURL=/reset?x=1")

    assert (answer.status, answer.body) == (302, b"")
    assert answer.header("location") == f"{ORIGIN}/reset?x=1&error=INVALID_TOKEN"


@pytest.mark.parametrize("token", ["unknown", "%", "\u00e9", "' OR 1=1", "x" * 10_000, "\0"])
async def test_an_unknown_link_leads_on_with_an_error(visitor, token):
    """Whatever it is made of; nothing of it is sent back."""
    answer = await visitor.get(f"/reset-password/{token}", query="callbackURL=%2Freset")

    assert answer.status == 302
    assert answer.header("location") == f"{ORIGIN}/reset?error=INVALID_TOKEN"


async def test_a_link_to_nowhere_leads_to_the_error_page(ada, visitor, outbox):
    """Even a good one: there is no page that could take the token."""
    token = await token_for(visitor, outbox)

    answer = await visitor.get(f"/reset-password/{token}", query="callbackURL=")

    assert (answer.status, answer.body) == (302, b"")
    assert answer.header("location") == f"{ORIGIN}/api/auth/error?error=INVALID_TOKEN"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", f"[query.callbackURL] {MISSING}"),
        ("callbackurl=/x", f"[query.callbackURL] {MISSING}"),
        (
            "callbackURL=/x&callbackURL=/y",
            "[query.callbackURL] Invalid input: expected string, received array",
        ),
    ],
)
async def test_a_link_without_a_target_is_refused(visitor, query, message):
    """As JSON."""
    answer = await visitor.get("/reset-password/token", query=query)

    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})


@pytest.mark.parametrize(
    "target",
    [
        *("https://evil.example", "//evil.example", "/%5Cevil.example", "/%252fevil.example"),
        *("javascript:alert(1)", "http://localhost:8000@evil.example", "/%0d%0aset-cookie:a=b"),
        *("http://localhost:8001/", "https:evil.example", "%20/reset", "/%09/evil.example"),
    ],
)
async def test_attack_a_link_sent_by_somebody_else(ada, visitor, outbox, target):
    """Its good token goes nowhere but to a trusted page."""
    token = await token_for(visitor, outbox)

    answer = await visitor.get(f"/reset-password/{token}", query=f"callbackURL={target}")

    assert (answer.status, answer.json) == (
        403,
        {"message": "Invalid callbackURL", "code": "INVALID_CALLBACK_URL"},
    )
    assert answer.header("location") is None


async def test_attack_to_leave_our_host_by_dots(ada, visitor, outbox):
    """Whatever a relative target is resolved to, it stays on our origin."""
    token = await token_for(visitor, outbox)

    answer = await visitor.get(f"/reset-password/{token}", query="callbackURL=/..//evil.example/x")

    location = urlsplit(answer.header("location"))
    assert f"{location.scheme}://{location.netloc}" == ORIGIN


# --- redeeming ---------------------------------------------------------------------------


async def test_a_link_sets_a_password(ada, visitor, outbox):
    """The new one signs in, the old one does not; nobody is signed in by it."""
    token = await token_for(visitor, outbox)

    answer = await reset(visitor, token)

    assert (answer.status, answer.json, answer.set_cookies) == (*DONE, [])
    assert (await visitor.session()).body == b"null"
    assert await may_sign_in(visitor, NEW)
    assert not await may_sign_in(visitor, OLD)


async def test_a_link_works_once(auth, ada, visitor, outbox):
    """The second use is refused, and the row is gone."""
    token = await token_for(visitor, outbox)
    await reset(visitor, token)

    again = await reset(visitor, token, NEWER)

    assert (again.status, again.json) == INVALID
    assert await may_sign_in(visitor, NEW)
    assert await auth.store.count("verification") == 0


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"newPassword": NEW}, "token={}"),
        ({"newPassword": NEW, "token": ""}, "token={}"),
        ({"newPassword": NEW, "token": "{}"}, "token=other"),
    ],
)
async def test_the_token_may_stand_in_the_query(ada, visitor, outbox, body, query):
    """The body's wins."""
    token = await token_for(visitor, outbox)
    body = {name: it.replace("{}", token) for name, it in body.items()}

    answer = await visitor.post("/reset-password", body, query=query.replace("{}", token))

    assert (answer.status, answer.json) == DONE


@pytest.mark.parametrize(("password", "refused"), [("x" * 7, TOO_SHORT), ("x" * 129, TOO_LONG)])
async def test_a_refused_password_burns_nothing(ada, visitor, outbox, password, refused):
    """The link still works with a better one."""
    token = await token_for(visitor, outbox)

    weak = await reset(visitor, token, password)
    strong = await reset(visitor, token)

    assert (weak.status, weak.json) == refused
    assert (strong.status, strong.json) == DONE


@pytest.mark.parametrize(
    ("body", "answered"),
    [
        ({"newPassword": ""}, INVALID),
        ({"newPassword": "", "token": ""}, INVALID),
        ({"newPassword": "x" * 7, "token": "unknown"}, TOO_SHORT),
        ({"newPassword": "x" * 129, "token": "unknown"}, TOO_LONG),
        ({"newPassword": NEW, "token": "unknown"}, INVALID),
        ({"newPassword": NEW, "token": "%"}, INVALID),
        ({"newPassword": NEW, "token": "x" * 100_000}, INVALID),
    ],
)
async def test_the_first_reason_is_told(visitor, body, answered):
    """No token at all, then the password, then whether the token is good."""
    answer = await visitor.post("/reset-password", body)

    assert (answer.status, answer.json) == answered


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "[body] Invalid input: expected object, received undefined"),
        ({"token": "x"}, f"[body.newPassword] {MISSING}"),
        (
            {"newPassword": None, "token": "x"},
            "[body.newPassword] Invalid input: expected string, received null",
        ),
        (
            {"newPassword": NEW, "token": 0},
            "[body.token] Invalid input: expected string, received number",
        ),
        (
            {"newPassword": NEW, "token": {"$ne": None}},
            "[body.token] Invalid input: expected string, received object",
        ),
        (
            {"newPassword": NEW, "token": None},
            "[body.token] Invalid input: expected string, received null",
        ),
    ],
)
async def test_attack_a_reset_of_the_wrong_shape(ada, visitor, outbox, body, message):
    """A number would match texts on some databases, an operator everything on others."""
    await token_for(visitor, outbox)

    answer = await visitor.post("/reset-password", body)

    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})
    assert await may_sign_in(visitor, OLD)


@pytest.mark.parametrize(
    "given",
    [EmailPassword(), EmailPassword(reset_token_expires_in=timedelta(minutes=5))],
)
async def test_a_link_expires(new_auth, new_browser, outbox, clock, given):
    """It works to its last instant and not in it."""
    visitor = new_browser(new_auth(mail=outbox.append, email_password=given))
    await visitor.sign_up()
    first, second = [await token_for(visitor, outbox) for _ in range(2)]
    clock.now += given.reset_token_expires_in - timedelta(microseconds=1)

    before = await reset(visitor, first)
    third = await token_for(visitor, outbox)
    clock.now += given.reset_token_expires_in
    after = [await reset(visitor, it, NEWER) for it in (second, third)]

    assert before.status == 200
    assert [(it.status, it.json) for it in after] == [INVALID] * 2


@pytest.mark.parametrize("password", [None, "deleted"])
async def test_a_user_without_a_password_gets_one(auth, ada, visitor, outbox, password):
    """Who signed up at a provider can add a password; so can who has an empty account."""
    if password is None:
        await auth.store.update("account", F.provider_id == "credential", {"password": None})
    else:
        await auth.store.delete_many("account", None)
    token = await token_for(visitor, outbox)

    answer = await reset(visitor, token)

    assert (answer.status, answer.json) == DONE
    assert await may_sign_in(visitor, NEW)
    assert await auth.store.count("account", F.provider_id == "credential") == 1
