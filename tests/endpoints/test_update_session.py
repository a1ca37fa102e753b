"""Changing the session of who is signed in: its additional fields, and nothing else."""

import pytest

from watchword import DatabaseHook, Field, SessionOptions
from watchword.storage.query import F

TOKEN, DATA, FORGET = (
    f"better-auth.{name}" for name in ("session_token", "session_data", "dont_remember")
)
CLEARED = ("", "Max-Age=0; Path=/; HttpOnly; SameSite=Lax")
LASTING = "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"
FIELDS = {
    "theme": Field("string", required=False),
    "level": Field("integer", default=1),
    "plan": Field("string", required=False, input=False),
    "note": Field("string", required=False, returned=False),
}


@pytest.fixture
def fielded(new_auth, new_browser, run):
    """An instance with fields of its own on sessions, and Ada's browser."""
    auth = new_auth(session=SessionOptions(additional_fields=FIELDS))
    browser = new_browser(auth)
    run(browser.sign_up())
    return auth, browser


async def test_a_field_of_the_session_is_changed(fielded, clock):
    """The answer is the session as it is now, with the cookie sent again."""
    _, browser = fielded
    before = (await browser.session()).json["session"]
    clock.advance(minutes=1)

    answer = await browser.post("/update-session", {"theme": "dark", "level": 7})

    changed = {"theme": "dark", "level": 7, "updatedAt": "2026-05-17T12:01:00.123Z"}
    assert (answer.status, answer.json) == (200, {"session": {**before, **changed}})
    assert (await browser.session()).json["session"] == answer.json["session"]
    [(name, (value, attributes))] = answer.cookies.items()
    assert (name, attributes) == (TOKEN, LASTING)
    assert value.startswith(f"{before['token']}.")


async def test_a_change_does_not_make_a_session_last(new_auth, new_browser):
    """Who is not to be remembered gets a cookie without Max-Age again."""
    browser = new_browser(new_auth(session=SessionOptions(additional_fields=FIELDS)))
    await browser.sign_up(rememberMe=False)

    answer = await browser.post("/update-session", {"theme": "dark"})

    assert {name: it for name, (_, it) in answer.cookies.items()} == {
        TOKEN: "Path=/; HttpOnly; SameSite=Lax"
    }


async def test_only_the_own_session_changes(fielded, new_browser):
    """Not the user's others."""
    auth, browser = fielded
    other = new_browser(auth)
    await other.sign_in()

    await browser.post("/update-session", {"theme": "dark"})

    assert (await other.session()).json["session"]["theme"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"unknown": "x"},
        {"token": "mine", "userId": "you", "expiresAt": "2099-01-01T00:00:00.000Z"},
        {"id": "x", "ipAddress": "::1", "userAgent": "x", "createdAt": None, "updatedAt": 1},
        {"user_id": "you", "expires_at": "2099-01-01T00:00:00.000Z"},
        {"plan": None},
        {"plan": ""},
        {"additionalFields": {"theme": "dark"}},
    ],
)
async def test_attack_fields_of_a_session_that_are_not_the_clients(fielded, body):
    """They are ignored; when nothing is left, 400 without a code."""
    auth, browser = fielded
    before = await auth.store.find_many("session")

    answer = await browser.post("/update-session", body)

    assert (answer.status, answer.json) == (400, {"message": "No fields to update"})
    assert answer.set_cookies == []
    assert await auth.store.find_many("session") == before


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"plan": "gold"}, "plan is not allowed to be set", "FIELD_NOT_ALLOWED"),
        (
            {"theme": 5},
            "[body.theme] Invalid input: expected string, received number",
            "VALIDATION_ERROR",
        ),
        (
            {"level": None},
            "[body.level] Invalid input: expected number, received null",
            "VALIDATION_ERROR",
        ),
        (
            [],
            "[body] Invalid input: expected record, received array",
            "VALIDATION_ERROR",
        ),
        (
            None,
            "[body] Invalid input: expected record, received undefined",
            "VALIDATION_ERROR",
        ),
    ],
)
async def test_what_a_session_cannot_hold_is_refused(fielded, body, message, code):
    """Named, and nothing of the rest is written."""
    auth, browser = fielded
    before = await auth.store.find_many("session")
    given = {"note": "x", **body} if isinstance(body, dict) else body

    answer = await browser.post("/update-session", given)

    assert (answer.status, answer.json) == (400, {"message": message, "code": code})
    assert await auth.store.find_many("session") == before


async def test_a_session_that_ended_meanwhile_is_401(new_auth, new_browser):
    """The cookies go too, and the row does not come back."""
    adapter = new_auth(session=SessionOptions(additional_fields=FIELDS)).adapter

    async def sign_out_meanwhile(_changes):
        await adapter.delete_many("session", None)

    auth = new_auth(
        adapter,
        session=SessionOptions(additional_fields=FIELDS),
        database_hooks=[
            DatabaseHook(model="session", operation="update", before=sign_out_meanwhile)
        ],
    )
    browser = new_browser(auth)
    await browser.sign_up()

    answer = await browser.post("/update-session", {"theme": "dark"})

    assert (answer.status, answer.json) == (
        401,
        {"message": "Failed to get session", "code": "FAILED_TO_GET_SESSION"},
    )
    assert list(answer.cookies.items()) == [(TOKEN, CLEARED), (DATA, CLEARED), (FORGET, CLEARED)]
    assert await auth.store.count("session") == 0


async def test_a_list_shows_returned_fields(fielded):
    """Those that were added, null if unset, and never what is not returned."""
    auth, browser = fielded
    changed = await browser.post("/update-session", {"theme": "dark", "note": "hidden"})
    await auth.store.update("session", F.theme == "dark", {"plan": "gold"})

    listed = await browser.get("/list-sessions")

    own = await browser.session()
    [session] = listed.json
    assert session == own.json["session"]
    assert (session["theme"], session["level"], session["plan"]) == ("dark", 1, "gold")
    for it in (changed, listed, own):
        assert b"note" not in it.body
        assert b"hidden" not in it.body
