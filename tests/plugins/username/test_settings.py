"""Each setting of the plugin does what it says, and what cannot work is found at start-up."""

import pytest

from watchword import ConfigurationError
from watchword.plugins.username import Username

SHORT = (400, "USERNAME_TOO_SHORT")
LONG = (400, "USERNAME_TOO_LONG")
INVALID = (400, "INVALID_USERNAME")
INVALID_SHOWN = (400, "INVALID_DISPLAY_USERNAME")


async def is_animal(name: str) -> bool:
    """Allow two names."""
    return name in {"Cat", "cat"}


def is_quiet(shown: str) -> bool:
    """Allow what nobody shouts."""
    return shown == shown.lower()


@pytest.fixture
def named(new_auth, new_browser):
    """Return a browser at an instance with these settings of the plugin."""
    return lambda **settings: new_browser(new_auth(plugins=[Username(**settings)]))


async def names_after(browser, **given):
    """Return what a sign-up makes of names, or how it is refused."""
    answer = await browser.sign_up(**given)
    if answer.status != 200:
        return answer.refusal
    return answer.json["user"]["username"], answer.json["user"]["displayUsername"]


@pytest.mark.parametrize(
    ("settings", "given", "names"),
    [
        ({"min_username_length": 2}, {"username": "al"}, ("al", "al")),
        ({"min_username_length": 5}, {"username": "Adal"}, SHORT),
        ({"max_username_length": 5}, {"username": "lovelace"}, LONG),
        ({"max_username_length": 255}, {"username": "a" * 255}, ("a" * 255, "a" * 255)),
        ({"username_validator": is_animal}, {"username": "Cat"}, ("cat", "Cat")),
        ({"username_validator": is_animal}, {"username": "Dog"}, INVALID),
        ({"username_validator": str.isalpha}, {"username": "\u00c4da"}, ("\u00e4da", "\u00c4da")),
        ({"username_validator": str.isalpha}, {"username": "\U0001d49c\U0001d49c"}, ...),
        ({"username_normalization": None}, {"username": "Ada"}, ("Ada", "Ada")),
        ({"username_normalization": str.upper}, {"username": "Ada"}, ("ADA", "Ada")),
        ({"username_validator": is_quiet}, {"username": "Ada"}, INVALID),
        (
            {"username_validator": is_quiet, "validate_normalized_username": True},
            {"username": "Ada"},
            ("ada", "Ada"),
        ),
        (
            {"username_normalization": str.strip, "validate_normalized_username": True},
            {"username": " ab "},
            SHORT,
        ),
        ({"display_username_validator": is_quiet}, {"displayUsername": "A L"}, INVALID_SHOWN),
        ({"display_username_validator": is_quiet}, {"displayUsername": "a l"}, (None, "a l")),
        ({"display_username_validator": is_quiet}, {"username": "Ada"}, ("ada", "Ada")),
        (
            {"display_username_normalization": str.lower},
            {"username": "Ada", "displayUsername": "A L"},
            ("ada", "a l"),
        ),
        ({"display_username_normalization": str.lower}, {"username": "Ada"}, ("ada", "ada")),
        (
            {
                "display_username_normalization": str.lower,
                "display_username_validator": is_quiet,
                "validate_normalized_display_username": True,
            },
            {"displayUsername": "A L"},
            (None, "a l"),
        ),
    ],
    ids=lambda it: "+".join(it) if isinstance(it, dict) else str(it)[:40],
)
async def test_what_becomes_of_names(named, settings, given, names):
    """Lengths count as browsers count; `def` and `async def` may decide."""
    expected = tuple([given["username"]] * 2) if names is ... else names

    assert await names_after(named(**settings), **given) == expected


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sign-in/username", {"username": "Ada", "password": "difference-engine"}),
        ("/is-username-available", {"username": "Ada"}),
    ],
)
async def test_where_case_counts_another_spelling_is_another_name(named, path, body):
    """For signing in, and for who would like it."""
    browser = named(username_normalization=None)
    await browser.sign_up(username="ada")

    answer = await browser.post(path, body)

    assert answer.json.get("available") is True or answer.status == 401


async def test_a_display_name_is_checked_at_an_update_too(named):
    """Alone, and beside a name."""
    browser = named(display_username_validator=is_quiet)
    await browser.sign_up(username="ada")

    alone = await browser.post("/update-user", {"displayUsername": "LOUD"})
    beside = await browser.post("/update-user", {"displayUsername": "LOUD", "username": "eve"})

    assert alone.refusal == beside.refusal == INVALID_SHOWN
    assert (await browser.session()).json["user"]["username"] == "ada"


@pytest.mark.parametrize("path", ["/sign-up/email", "/update-user"])
async def test_a_display_name_is_checked_before_anything_else(named, path):
    """Before the rest of a body, and before it is known who asks."""
    browser = named(display_username_validator=is_quiet)

    answer = await browser.post(path, {"email": "no address", "displayUsername": "A L"})

    assert answer.refusal == INVALID_SHOWN


async def test_without_display_names_there_is_no_such_field(named):
    """What is sent of it means nothing: it gives no name, and nothing checks it."""
    browser = named(display_username=False, display_username_validator=is_quiet)

    unnamed = await browser.sign_up(displayUsername="AdaL")
    named_ = await browser.sign_up(email="eve@example.org", username="Eve", displayUsername="LOUD")

    model = browser.auth.schema.require_model("user")
    assert "display_username" not in model.fields
    assert unnamed.json["user"]["username"] is None
    assert named_.json["user"]["username"] == "eve"
    assert "displayUsername" not in named_.json["user"]


async def test_attack_a_validator_that_lets_everything_through(named):
    """What no database keeps is still refused, and what does not fit too."""
    browser = named(username_validator=lambda _name: True, max_username_length=255)

    answers = [
        await browser.sign_up(username="a\0b"),
        await browser.post("/sign-in/username", {"username": "a\0b", "password": "x"}),
        await browser.sign_up(username="\u0130" * 255),  # twice as long in lower case
    ]

    assert [it.refusal for it in answers] == [(400, "VALIDATION_ERROR")] * 3
    assert await browser.auth.store.count("user") == 0


@pytest.mark.parametrize(("shortest", "longest"), [(0, 30), (-1, 30), (31, 30), (3, 256)], ids=str)
def test_lengths_that_no_name_can_have_are_refused(shortest, longest):
    """Where the plugin is made."""
    with pytest.raises(ConfigurationError, match="User names cannot have") as error:
        Username(min_username_length=shortest, max_username_length=longest)

    assert "255" in error.value.hint


def test_the_fields_say_whose_they_are(new_auth):
    """In the schema, with what they may hold, whatever lengths are asked for."""
    schema = new_auth(plugins=[Username(max_username_length=10)]).schema

    username = schema.require_model("user").fields["username"]
    assert schema.owners["user.username"] == schema.owners["user.display_username"] == "username"
    assert (username.unique, username.required, username.limit) == (True, False, 255)
    assert username.pii
