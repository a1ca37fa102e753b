"""Changing the user: name, picture and additional fields, and nothing else."""

import pytest

from watchword import DatabaseHook, Field, UserOptions
from watchword.storage.query import F

TOKEN = "better-auth.session_token"
LASTING = "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"
DONE = (200, {"status": True})
NOTHING = (400, {"message": "No fields to update"})
PICTURE = "https://example.org/ada.png"
FIELDS = {
    "nickname": Field("string", required=False, max_length=10),
    "country": Field("string", default="uk"),
    "age": Field("integer", required=False),
    "wealth": Field("bigint", required=False),
    "subscribed": Field("boolean", required=False),
    "born_at": Field("datetime", required=False),
    "tags": Field("strings", required=False),
    "settings": Field("json", required=False),
    "plan": Field("string", default="free", input=False),
    "score": Field("integer", default=0, input=False),
    "note": Field("string", required=False, returned=False),
}


@pytest.fixture
def auth(new_auth):
    """An instance with fields of its own on users."""
    return new_auth(user=UserOptions(additional_fields=FIELDS))


@pytest.fixture
def ada(auth, new_browser, run):
    """Ada's browser, in which she is signed in."""
    browser = new_browser(auth)
    run(browser.sign_up(image=PICTURE))
    return browser


async def update(browser, body):
    """Change who is signed in."""
    return await browser.post("/update-user", body)


async def user_of(browser):
    """Return who is signed in, as the client sees them."""
    return (await browser.session()).json["user"]


async def row_of(auth):
    """Return the row of the one user."""
    [row] = await auth.store.find_many("user")
    return row


async def test_name_and_picture_are_changed(ada, clock):
    """The answer says no more than that; the cookie is sent again, with the same token."""
    before = await user_of(ada)
    token = ada.cookies[TOKEN]
    clock.advance(minutes=1)

    answer = await update(ada, {"name": "Countess", "image": "/lovelace.png"})

    assert (answer.status, answer.json) == DONE
    assert [(name, it) for name, (_, it) in answer.cookies.items()] == [(TOKEN, LASTING)]
    assert ada.cookies[TOKEN] == token
    assert await user_of(ada) == {
        **before,
        "name": "Countess",
        "image": "/lovelace.png",
        "updatedAt": "2026-05-17T12:01:00.123Z",
    }


async def test_what_is_not_named_stays(ada):
    """A name alone changes the name alone."""
    await update(ada, {"name": ""})

    user = await user_of(ada)
    assert (user["name"], user["image"]) == ("", PICTURE)


async def test_null_clears_the_picture(ada):
    """And an empty text is an empty text."""
    cleared = await update(ada, {"image": None})

    assert (cleared.status, cleared.json) == DONE
    assert (await user_of(ada))["image"] is None
    await update(ada, {"image": ""})
    assert (await user_of(ada))["image"] == ""


async def test_who_is_not_remembered_stays_so(auth, new_browser):
    """The cookie has no Max-Age this time either."""
    browser = new_browser(auth)
    await browser.sign_up(rememberMe=False)

    answer = await update(browser, {"name": "Countess"})

    assert {name: it for name, (_, it) in answer.cookies.items()} == {
        TOKEN: "Path=/; HttpOnly; SameSite=Lax"
    }


async def test_only_the_caller_changes(auth, ada, new_browser):
    """Not the next user, whatever id the body names."""
    bob = new_browser(auth)
    await bob.sign_up(name="Bob", email="bob@example.org")
    theirs = (await user_of(bob))["id"]

    await update(ada, {"name": "Countess", "id": theirs, "userId": theirs})

    assert (await user_of(bob))["name"] == "Bob"
    assert (await user_of(ada))["name"] == "Countess"


@pytest.mark.parametrize(
    ("field", "sent", "shown"),
    [
        ("nickname", "x" * 10, "x" * 10),
        ("nickname", None, None),
        ("country", "fr", "fr"),
        ("age", 36, 36),
        ("age", -(2**31), -(2**31)),
        ("wealth", 2**53 - 1, 2**53 - 1),
        ("subscribed", False, False),
        ("bornAt", "1815-12-10T01:00:00+01:00", "1815-12-10T00:00:00.000Z"),
        ("tags", ["maths", ""], ["maths", ""]),
        ("tags", [], []),
        ("settings", {"a": [1, None, {"b": "c"}]}, {"a": [1, None, {"b": "c"}]}),
        ("settings", "text", "text"),
    ],
)
async def test_additional_fields_are_changed(ada, field, sent, shown):
    """Each by its wire name, with a value of its type."""
    answer = await update(ada, {field: sent})

    assert (answer.status, answer.json) == DONE
    assert (await user_of(ada))[field] == shown


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("name", None, "Invalid input: expected string, received null"),
        ("name", 5, "Invalid input: expected string, received number"),
        ("name", {"first": "Ada"}, "Invalid input: expected string, received object"),
        ("name", "\0", "Invalid input"),
        ("name", "x" * 256, "Too big: expected string to have <=255 characters"),
        ("image", 5, "Invalid input: expected string, received number"),
        ("image", ["x"], "Invalid input: expected string, received array"),
        ("nickname", 5, "Invalid input: expected string, received number"),
        ("nickname", "x" * 11, "Too big: expected string to have <=10 characters"),
        ("country", None, "Invalid input: expected string, received null"),
        ("age", "36", "Invalid input: expected number, received string"),
        ("age", 36.5, "Invalid input: expected int, received number"),
        ("age", True, "Invalid input: expected number, received boolean"),
        ("age", 2**31, "Too big: expected number to be <=2147483647"),
        ("wealth", 2**53, "Too big: expected number to be <=9007199254740991"),
        ("subscribed", "true", "Invalid input: expected boolean, received string"),
        ("subscribed", 1, "Invalid input: expected boolean, received number"),
        ("tags", "maths", "Invalid input: expected array, received string"),
        ("bornAt", 0, "Invalid input: expected string, received number"),
        ("bornAt", "yesterday", "Invalid ISO datetime"),
        ("bornAt", "1815-12-10T00:00:00", "Invalid ISO datetime"),
    ],
)
async def test_a_value_of_the_wrong_type_is_refused(auth, ada, field, value, text):
    """It is named, and nothing of the rest is written."""
    before = await row_of(auth)

    answer = await update(ada, {"note": "x", field: value})

    assert (answer.status, answer.json) == (
        400,
        {"message": f"[body.{field}] {text}", "code": "VALIDATION_ERROR"},
    )
    assert answer.set_cookies == []
    assert await row_of(auth) == before


async def test_a_list_of_texts_has_texts_alone(auth, ada):
    """The first that is none is named by its place."""
    before = await row_of(auth)

    answer = await update(ada, {"tags": ["maths", 5]})

    message = "[body.tags.1] Invalid input: expected string, received number"
    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})
    assert await row_of(auth) == before


@pytest.mark.parametrize("value", ["gold", 1, True, ["gold"], {"x": 1}])
async def test_attack_to_set_what_clients_may_not(auth, ada, value):
    """A field without input is refused by name, whatever else the body has."""
    before = await row_of(auth)

    answer = await update(ada, {"name": "Countess", "plan": value})

    assert (answer.status, answer.json) == (
        400,
        {"message": "plan is not allowed to be set", "code": "FIELD_NOT_ALLOWED"},
    )
    assert await row_of(auth) == before


@pytest.mark.parametrize("value", ["", 0, False, None, [], {}])
async def test_an_empty_value_for_such_a_field_is_ignored(auth, ada, value):
    """It is not written; the rest is."""
    alone = await update(ada, {"plan": value, "score": value})
    answer = await update(ada, {"plan": value, "name": "Countess"})

    assert (alone.status, alone.json) == NOTHING
    assert (answer.status, answer.json) == DONE
    row = await row_of(auth)
    assert (row["plan"], row["score"], row["name"]) == ("free", 0, "Countess")


async def test_what_is_not_returned_is_written_and_never_shown(auth, ada):
    """Neither by the change nor by the session."""
    answer = await update(ada, {"note": "hidden words"})

    assert (await row_of(auth))["note"] == "hidden words"
    for it in (answer, await ada.session(), await ada.sign_in()):
        assert b"hidden" not in it.body
        assert b"note" not in it.body


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"emailVerified": True},
        {"role": "admin"},
        {"id": "x", "createdAt": "1999-01-01T00:00:00.000Z", "updatedAt": None},
        {"email_verified": True, "born_at": "1815-12-10T00:00:00Z"},
        {"additionalFields": {"country": "fr", "plan": "gold"}},
        {"email": ""},
        {"email": None},
        {"password": "analytical-engine"},
        {"__proto__": {"role": "admin"}},
    ],
)
async def test_attack_fields_that_are_not_the_clients_to_set(auth, ada, body):
    """They are ignored; when nothing is left, 400 without a code."""
    before = await row_of(auth)

    answer = await update(ada, body)

    assert (answer.status, answer.json) == NOTHING
    assert answer.set_cookies == []
    assert await row_of(auth) == before


@pytest.mark.parametrize("email", ["new@example.org", "ada@example.org", 1, ["x"], {"x": 1}])
async def test_an_address_is_not_changed_here(auth, ada, email):
    """It has an endpoint of its own, which proves it; nothing of the rest is written."""
    answer = await update(ada, {"email": email, "name": "Countess", "plan": "gold"})

    assert (answer.status, answer.json) == (
        400,
        {"message": "Email can not be updated", "code": "EMAIL_CAN_NOT_BE_UPDATED"},
    )
    assert ((await row_of(auth))["email"], (await row_of(auth))["name"]) == (
        "ada@example.org",
        "Ada",
    )


@pytest.mark.parametrize(
    ("body", "received"),
    [
        (None, "undefined"),
        ([], "array"),
        ([{"name": "x"}], "array"),
        ("name", "string"),
        (5, "number"),
        (True, "boolean"),
        (b"null", "null"),
    ],
)
async def test_a_body_that_is_no_object_is_refused(ada, body, received):
    """In the words of the wire for a body of any keys."""
    answer = await update(ada, body)

    assert (answer.status, answer.json) == (
        400,
        {
            "message": f"[body] Invalid input: expected record, received {received}",
            "code": "VALIDATION_ERROR",
        },
    )


async def test_the_first_reason_is_told(ada):
    """The shape, then the address, then fields that are not the client's, then their types."""
    bodies = [
        {"name": 5, "email": "x", "plan": "gold", "age": "x"},
        {"email": "x", "plan": "gold", "age": "x"},
        {"plan": "gold", "age": "x"},
        {"age": "x"},
    ]

    codes = [(await update(ada, body)).refusal[1] for body in bodies]

    assert codes == [
        "VALIDATION_ERROR",
        "EMAIL_CAN_NOT_BE_UPDATED",
        "FIELD_NOT_ALLOWED",
        "VALIDATION_ERROR",
    ]


async def test_a_hook_may_refuse(auth, ada, new_auth, new_browser):
    """Nothing changes then, and no cookie is sent."""
    hook = DatabaseHook(model="user", operation="update", before=lambda _row: False)
    refusing = new_auth(
        auth.adapter, database_hooks=[hook], user=UserOptions(additional_fields=FIELDS)
    )

    answer = await update(new_browser(refusing, dict(ada.cookies)), {"name": "Countess"})

    assert answer.refusal == (403, "OPERATION_REFUSED")
    assert answer.set_cookies == []
    assert (await row_of(auth))["name"] == "Ada"


async def test_a_user_who_was_deleted_meanwhile_is_nobody(new_auth, new_browser):
    """401, and the row does not come back."""
    adapter = new_auth().adapter

    async def delete_meanwhile(_changes):
        await adapter.delete_many("user", F.email == "ada@example.org")

    hook = DatabaseHook(model="user", operation="update", before=delete_meanwhile)
    auth = new_auth(adapter, database_hooks=[hook])
    browser = new_browser(auth)
    await browser.sign_up()

    answer = await update(browser, {"name": "Countess"})

    assert answer.refusal == (401, "UNAUTHORIZED")
    assert await auth.store.count("user") == 0
