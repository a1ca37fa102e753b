"""A name that is changed: by its owner, to what nobody else has."""

import pytest

from watchword.plugins.username import Username
from watchword.storage.query import F

TAKEN = (400, "USERNAME_IS_ALREADY_TAKEN")
IMMUTABLE = (400, "USERNAME_IS_IMMUTABLE")


async def names_of(browser) -> tuple[str | None, str | None]:
    """Return the names of who is signed in."""
    user = (await browser.session()).json["user"]
    return user["username"], user["displayUsername"]


@pytest.fixture
def immutable(ada, new_named, new_browser):
    """Ada's browser, where names stay."""
    auth = new_named(Username(immutable_username=True))
    return new_browser(auth, dict(ada.cookies))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"username": "Lovelace"}, ("lovelace", "Ada_L")),
        ({"username": "ADA_L"}, ("ada_l", "Ada_L")),
        ({"username": "Lovelace", "displayUsername": "A. L."}, ("lovelace", "A. L.")),
        ({"displayUsername": "A. L."}, ("ada_l", "A. L.")),
        ({"displayUsername": None}, ("ada_l", None)),
        ({"username": None}, (None, "Ada_L")),
        ({"name": "Countess"}, ("ada_l", "Ada_L")),
    ],
    ids=str,
)
async def test_a_name_changes_and_the_form_that_is_shown_only_if_it_is_sent(ada, changes, names):
    """One's own name in another spelling is no change."""
    answer = await ada.post("/update-user", changes)

    assert (answer.status, answer.json) == (200, {"status": True})
    assert await names_of(ada) == names


@pytest.mark.parametrize(
    ("username", "refusal"),
    [
        ("", (400, "USERNAME_TOO_SHORT")),
        ("ab", (400, "USERNAME_TOO_SHORT")),
        ("a" * 31, (400, "USERNAME_TOO_LONG")),
        ("ada l", (400, "INVALID_USERNAME")),
        ("ada\n", (400, "INVALID_USERNAME")),
        ("ada\0", (400, "INVALID_USERNAME")),
        (12345, (400, "VALIDATION_ERROR")),
        (["ada"], (400, "VALIDATION_ERROR")),
    ],
    ids=lambda it: str(it)[:20],
)
async def test_what_can_be_nobodys_name_is_refused(ada, username, refusal):
    """With the reason, and nothing changes."""
    answer = await ada.post("/update-user", {"username": username, "name": "Countess"})

    assert answer.refusal == refusal
    assert await names_of(ada) == ("ada_l", "Ada_L")
    assert (await ada.session()).json["user"]["name"] == "Ada"


async def test_a_name_of_somebody_else_is_refused(ada, visitor):
    """In any spelling; also for who has none yet."""
    await visitor.sign_up(email="eve@example.org")

    answer = await visitor.post("/update-user", {"username": "ADA_L"})

    assert answer.refusal == TAKEN
    assert await names_of(visitor) == (None, None)


async def test_a_name_that_was_given_up_is_free(ada, visitor):
    """For anybody."""
    await ada.post("/update-user", {"username": "lovelace"})

    answer = await visitor.sign_up(email="eve@example.org", username="ada_l")

    assert answer.status == 200


@pytest.mark.parametrize(
    ("username", "refusal"),
    [("ada_l", TAKEN), ("lovelace", (401, "UNAUTHORIZED")), (None, (401, "UNAUTHORIZED"))],
)
async def test_nobody_changes_no_name(ada, visitor, username, refusal):
    """A name that is taken is told before."""
    answer = await visitor.post("/update-user", {"username": username})

    assert answer.refusal == refusal


# --- where names stay --------------------------------------------------------------------


@pytest.mark.parametrize("username", ["lovelace", None], ids=str)
async def test_attack_a_name_that_stays_is_given_up(immutable, username):
    """Neither for another one nor for none, after which any would do."""
    answer = await immutable.post("/update-user", {"username": username})

    assert answer.refusal == IMMUTABLE
    assert await names_of(immutable) == ("ada_l", "Ada_L")


async def test_where_names_stay_the_rest_may_change(immutable):
    """The form that is shown, and the name to itself."""
    answer = await immutable.post(
        "/update-user", {"username": "ADA_L", "displayUsername": "A. L."}
    )

    assert answer.status == 200
    assert await names_of(immutable) == ("ada_l", "A. L.")


async def test_where_names_stay_a_first_one_may_be_taken(immutable, new_browser):
    """By whoever has none."""
    eve = new_browser(immutable.auth)
    await eve.sign_up(email="eve@example.org")

    first = await eve.post("/update-user", {"username": "eve"})
    second = await eve.post("/update-user", {"username": "eva"})

    assert (first.status, second.refusal) == (200, IMMUTABLE)


async def test_where_names_stay_the_application_may_change_them(immutable):
    """It writes to the store."""
    store = immutable.auth.store

    row = await store.update("user", F.username == "ada_l", {"username": "Lovelace"})

    assert row["username"] == "lovelace"
