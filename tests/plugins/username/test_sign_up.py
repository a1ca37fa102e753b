"""Names at the sign-up and in whatever else writes a user: checked, normalized, unique."""

import pytest

from watchword import APIError, EmailPassword, EmailVerification, Field, UserOptions
from watchword.errors import UniqueViolation
from watchword.plugins.username import Username, UsernameError

TAKEN = (400, "USERNAME_IS_ALREADY_TAKEN")
INVALID = (400, "INVALID_USERNAME")
EVE = {"email": "eve@example.org"}


def names_of(answer) -> tuple[str | None, str | None]:
    """Return what an answer says of its user's names."""
    user = answer.json["user"]
    return user["username"], user["displayUsername"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, (None, None)),
        ({"username": None}, (None, None)),
        ({"username": "Ada_L"}, ("ada_l", "Ada_L")),
        ({"username": "Ada_L", "displayUsername": ""}, ("ada_l", "Ada_L")),
        ({"username": "Ada_L", "displayUsername": None}, ("ada_l", "Ada_L")),
        ({"username": "Ada_L", "displayUsername": "Ada L."}, ("ada_l", "Ada L.")),
        ({"displayUsername": "AdaL"}, ("adal", "AdaL")),
        ({"displayUsername": "Ada L"}, (None, "Ada L")),
        ({"displayUsername": "Al"}, (None, "Al")),
        ({"username": None, "displayUsername": "AdaL"}, (None, "AdaL")),
        ({"displayUsername": "a" * 31}, (None, "a" * 31)),
    ],
    ids=lambda it: str(it)[:60],
)
async def test_a_new_user_has_a_name_and_a_form_of_it_that_is_shown(browser, given, names):
    """Each may come from the other: the form from the name, and the name from a fitting form."""
    signed_up = await browser.sign_up(**given)

    assert names_of(signed_up) == names
    assert names_of(await browser.session()) == names


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"username": ""}, (400, "USERNAME_TOO_SHORT")),
        ({"username": "ab"}, (400, "USERNAME_TOO_SHORT")),
        ({"username": "a" * 31}, (400, "USERNAME_TOO_LONG")),
        ({"username": "a" * 100_000}, (400, "USERNAME_TOO_LONG")),
        ({"username": "ada l"}, INVALID),
        ({"username": "ada\n"}, INVALID),
        ({"username": "ada\0"}, INVALID),
        ({"username": "\uff41\uff44\uff41"}, INVALID),
        ({"username": "\u0430d\u0430"}, INVALID),
        ({"username": 12345}, (400, "VALIDATION_ERROR")),
        ({"username": ["ada"]}, (400, "VALIDATION_ERROR")),
        ({"username": {"$ne": ""}}, (400, "VALIDATION_ERROR")),
        ({"displayUsername": 12345}, (400, "VALIDATION_ERROR")),
        ({"displayUsername": "a\0b"}, (400, "VALIDATION_ERROR")),
        ({"displayUsername": "a" * 256}, (400, "VALIDATION_ERROR")),
        ({"username": "ab", "email": "no address"}, (400, "USERNAME_TOO_SHORT")),
    ],
    ids=lambda it: str(it)[:40],
)
async def test_what_can_be_nobodys_name_is_refused(browser, given, refusal):
    """Before anything else is looked at, and nothing is written."""
    answer = await browser.sign_up(**given)

    assert answer.refusal == refusal
    assert await browser.auth.store.count("user") == 0


@pytest.mark.parametrize(
    "given", [{"username": "ada_l"}, {"username": "ADA_L"}, {"displayUsername": "Ada_L"}], ids=str
)
async def test_a_name_belongs_to_one(ada, visitor, given):
    """In any spelling, and before any work is done."""
    answer = await visitor.sign_up(**EVE, **given)

    assert answer.refusal == TAKEN
    assert answer.json["message"] == "Username is already taken. Please try another."
    assert await ada.auth.store.count("user") == 1


async def test_many_have_no_name(ada, visitor):
    """Null is nobody's name."""
    first = await visitor.sign_up(**EVE)
    second = await visitor.sign_up(email="bob@example.org")

    assert [names_of(it) for it in (first, second)] == [(None, None)] * 2


async def test_no_password_is_hashed_for_a_name_that_is_taken(ada, new_named, new_browser, work):
    """As for an address that is."""
    passwords, calls = work

    answer = await new_browser(new_named(passwords=passwords)).sign_up(**EVE, username="ada_l")

    assert (answer.refusal, calls) == (TAKEN, [])


async def test_sign_ups_from_python_are_checked_too(ada):
    """By the same hooks."""
    eve = {"name": "Eve", **EVE, "password": "difference-engine"}

    with pytest.raises(APIError) as refusal:
        await ada.auth.api.sign_up_email(**eve, additional_fields={"username": "ADA_L"})
    signed_up = await ada.auth.api.sign_up_email(**eve, additional_fields={"username": "Eve"})

    assert refusal.value.code is UsernameError.USERNAME_IS_ALREADY_TAKEN
    assert signed_up.user.extra == {"username": "eve", "display_username": "Eve"}


# --- where it is not told who is known ---------------------------------------------------


@pytest.fixture
def uniform(ada, new_named, new_browser, outbox):
    """A browser where Ada has a name, and sign-ups do not tell whose address is known."""
    auth = new_named(
        email_password=EmailPassword(hide_existing_users=True),
        email_verification=EmailVerification(send_on_sign_up=True),
        mail=outbox.append,
    )
    return new_browser(auth)


@pytest.mark.parametrize(
    "given",
    [
        {"username": "Eve"},
        {"username": "ADA_L"},
        {"username": "no name"},
        {"displayUsername": "Eve"},
        {"displayUsername": "Ada_L"},
        {"username": "Eve", "displayUsername": "E. V."},
    ],
    ids=str,
)
async def test_attack_a_name_tells_known_from_unknown_addresses(uniform, given):
    """The answer to a known address has the names that an unknown one's would have."""
    known = await uniform.sign_up(**given)
    unknown = await uniform.sign_up(**EVE, **given)

    assert known.status == unknown.status
    if known.status == 200:
        assert names_of(known) == names_of(unknown)
        assert set(known.json["user"]) == set(unknown.json["user"])
    else:
        assert known == unknown


# --- whoever writes it -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ab", UsernameError.USERNAME_TOO_SHORT),
        ("a" * 31, UsernameError.USERNAME_TOO_LONG),
        ("ada l", UsernameError.INVALID_USERNAME),
        ("", UsernameError.USERNAME_TOO_SHORT),
    ],
    ids=lambda it: str(it)[:20],
)
async def test_code_that_writes_a_name_is_held_to_the_rules(ada, name, code):
    """At a create and at an update."""
    with pytest.raises(APIError) as created:
        await ada.auth.store.create("user", {"name": "Eve", **EVE, "username": name})
    with pytest.raises(APIError) as updated:
        await ada.auth.store.update_many("user", None, {"username": name})

    assert (created.value.code, created.value.status) == (code, 400)
    assert updated.value.code is code
    assert names_of(await ada.session()) == ("ada_l", "Ada_L")


async def test_code_that_writes_a_name_has_it_normalized(auth):
    """And shown as it came, unless it says otherwise."""
    eve = await auth.store.create("user", {"name": "Eve", **EVE, "username": "Eve"})
    updated = await auth.store.update_many("user", None, {"username": "EVA"})
    [eva] = await auth.store.find_many("user")

    assert (eve["username"], eve["display_username"]) == ("eve", "Eve")
    assert updated == 1
    assert (eva["username"], eva["display_username"]) == ("eva", "Eve")


async def test_a_name_is_unique_in_the_database(ada):
    """Whatever was looked at before."""
    with pytest.raises(UniqueViolation) as violation:
        await ada.auth.store.create("user", {"name": "Eve", **EVE, "username": "Ada_L"})

    assert violation.value.fields == ("username",)


async def test_other_fields_that_are_unique_keep_their_answer(new_auth, new_browser):
    """The name's refusal is the name's alone."""
    badge = Field("string", required=False, unique=True)
    auth = new_auth(plugins=[Username()], user=UserOptions(additional_fields={"badge": badge}))
    await new_browser(auth).sign_up(username="ada_l", badge="1")

    answer = await new_browser(auth).sign_up(**EVE, username="eve", badge="1")

    assert answer.refusal == (422, "FAILED_TO_CREATE_USER")
