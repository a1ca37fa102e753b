"""What clients send for additional fields: refused, where no database keeps it, never a 500."""

import pytest

from watchword import Field, SessionOptions, UserOptions

FIELDS = {
    "device": Field("uuid", required=False),
    "seen_at": Field("datetime", required=False),
    "settings": Field("json", required=False),
    "profile": Field("json", default={}),
    "handle": Field("string", required=False, unique=True),
    "friend_id": Field.reference("user", required=False),
}
BOB = {"email": "bob@example.org"}


def nested(levels):
    """Return lists within lists."""
    value = []
    for _ in range(levels):
        value = [value]
    return value


# Of the right type, all of them.
UNSTORABLE = [
    pytest.param("device", "no-uuid", id="a malformed UUID"),
    pytest.param("device", "{12345678-1234-5678-1234-567812345678}", id="a UUID in braces"),
    pytest.param("seenAt", "0001-01-01T00:00:00+14:00", id="an instant before the year 1"),
    pytest.param("settings", nested(40), id="deep JSON"),
    pytest.param("settings", {"n": 2**64}, id="a number of more than 64 bits"),
    pytest.param("profile", None, id="null where a value is required"),
]


@pytest.fixture
def browser(new_auth, new_browser):
    """A browser at an instance with fields of its own."""
    auth = new_auth(
        user=UserOptions(additional_fields=FIELDS),
        session=SessionOptions(additional_fields=FIELDS),
    )
    return new_browser(auth)


@pytest.mark.parametrize(("name", "value"), UNSTORABLE)
async def test_what_no_database_keeps_is_refused(browser, name, value):
    """At sign-up, and in changes of the user and of the session; the field is named."""
    refused = [await browser.sign_up(**{name: value})]
    await browser.sign_up()
    refused += [await browser.post(f"/update-{it}", {name: value}) for it in ("user", "session")]

    message = f"[body.{name}] Invalid input"
    assert [(it.status, it.json["message"]) for it in refused] == [(400, message)] * 3
    assert {it.json["code"] for it in refused} == {"VALIDATION_ERROR"}


@pytest.mark.parametrize(
    "clash", [{"handle": "ada"}, {"friendId": "12345678-1234-5678-1234-567812345678"}]
)
async def test_what_clashes_with_other_rows_is_refused(browser, new_browser, clash):
    """What is somebody else's, or points at nobody; at sign-up and in changes."""
    await browser.sign_up(handle="ada")
    await browser.post("/update-session", {"handle": "ada"})
    bob = new_browser(browser.auth)

    refused = [await bob.sign_up(**BOB, **clash)]
    await bob.sign_up(**BOB)
    refused += [await bob.post(f"/update-{it}", clash) for it in ("user", "session")]

    assert [it.refusal for it in refused] == [
        (422, "FAILED_TO_CREATE_USER"),
        (422, "FAILED_TO_UPDATE_USER"),
        (422, "FAILED_TO_UPDATE_SESSION"),
    ]
    assert (await bob.session()).json["user"]["handle"] is None


async def test_what_is_kept_is_told(browser):
    """An instant in UTC, a UUID in its canonical form."""
    given = {
        "device": "12345678-1234-5678-1234-567812345678",
        "seenAt": "2026-05-17T14:00:00+02:00",
        "settings": [{"n": 2**63 - 1}],
    }

    user = (await browser.sign_up(**given)).json["user"]

    assert {name: user[name] for name in given} == {**given, "seenAt": "2026-05-17T12:00:00.000Z"}
    assert user["profile"] == {}


async def test_a_session_that_points_at_somebody_belongs_to_its_user(browser, new_browser):
    """Such as one who acts for another; who is signed in stays who they are."""
    bob = (await new_browser(browser.auth).sign_up(**BOB)).json["user"]
    await browser.sign_up()

    await browser.post("/update-session", {"friendId": bob["id"]})

    found = (await browser.session()).json
    assert found["session"]["friendId"] == bob["id"]
    assert found["user"]["email"] == "ada@example.org"
