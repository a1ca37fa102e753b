"""What a client may send along when it signs out, and what is refused of it."""

import pytest

DONE = (200, {"success": True})


@pytest.mark.parametrize(
    "body",
    [
        {"callbackURL": "/bye"},
        {"callbackURL": "http://localhost:8000/bye"},
        {"callbackURL": "", "state": "", "disableRedirect": False},
        {"callbackURL": "/bye", "state": "x", "disableRedirect": True},
        {"unknown": {"x": 1}},
    ],
)
async def test_what_is_meant_for_a_provider_is_accepted(auth, browser, body):
    """The answer is no other for it: nobody is sent anywhere."""
    await browser.sign_up()

    answer = await browser.post("/sign-out", body)

    assert (answer.status, answer.json) == DONE
    assert answer.header("location") is None
    assert await auth.store.count("session") == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "[body] Invalid input: expected object, received array"),
        ("text", "[body] Invalid input: expected object, received string"),
        (5, "[body] Invalid input: expected object, received number"),
        (b"null", "[body] Invalid input: expected object, received null"),
        (
            {"callbackURL": None},
            "[body.callbackURL] Invalid input: expected string, received null",
        ),
        (
            {"callbackURL": 0},
            "[body.callbackURL] Invalid input: expected string, received number",
        ),
        ({"state": 5}, "[body.state] Invalid input: expected string, received number"),
        ({"state": ["x"]}, "[body.state] Invalid input: expected string, received array"),
        (
            {"disableRedirect": "true"},
            "[body.disableRedirect] Invalid input: expected boolean, received string",
        ),
        (
            {"state": {}, "disableRedirect": 1},
            (
                "[body.state] Invalid input: expected string, received object; "
                "[body.disableRedirect] Invalid input: expected boolean, received number"
            ),
        ),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused(auth, browser, body, message):
    """All that is wrong is named; the session goes on, and its cookies stay."""
    await browser.sign_up()

    answer = await browser.post("/sign-out", body)

    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})
    assert answer.set_cookies == []
    assert await auth.store.count("session") == 1


async def test_a_target_that_is_no_text_is_refused_first(browser):
    """This answer has no code."""
    answer = await browser.post("/sign-out", {"callbackURL": ["/bye"], "state": 5})

    assert (answer.status, answer.json) == (
        400,
        {"message": "Invalid callbackURL: expected a string"},
    )


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "javascript:x"])
async def test_attack_a_target_elsewhere(auth, browser, target):
    """Refused, though nobody is sent there; the session goes on."""
    await browser.sign_up()

    answer = await browser.post("/sign-out", {"callbackURL": target})

    assert answer.refusal == (403, "INVALID_CALLBACK_URL")
    assert await auth.store.count("session") == 1


@pytest.mark.parametrize(
    ("content_type", "answered"),
    [
        ("application/json; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        (None, 200),
    ],
)
async def test_a_body_is_json_or_none(browser, content_type, answered):
    """What has no type is not looked at."""
    await browser.sign_up()

    answer = await browser.post(
        "/sign-out", b'{"state": "x"}', headers={"content-type": content_type}
    )

    assert answer.status == answered
