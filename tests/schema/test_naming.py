"""The names in the database: by default, on the wire's own database, and shortened."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.schema import CORE_MODELS, Naming, camel_case
from watchword.schema.naming import NAME_CHARACTERS

WORDS = st.lists(
    st.sampled_from(["a", "b", "id", "a1", "key", "user", "expires", "authentication", "x" * 30]),
    min_size=1,
    max_size=4,
)
NAMES = WORDS.map("_".join)
NAMINGS = st.builds(
    Naming,
    prefix=st.sampled_from(["", "watchword_", "a_rather_long_prefix_of_a_company_"]),
    plural=st.booleans(),
    case=st.sampled_from(["snake", "camel"]),
)
KEYS = st.tuples(NAMES, st.lists(NAMES, min_size=1, max_size=4).map(tuple))
KINDS: list[Callable[[Naming], Callable[..., str]]] = [
    lambda naming: naming.index,
    lambda naming: naming.unique,
]


@pytest.mark.parametrize(
    ("model", "table"),
    [
        ("user", "watchword_users"),
        ("session", "watchword_sessions"),
        ("verification", "watchword_verifications"),
        ("api_key", "watchword_api_keys"),
        ("identity", "watchword_identities"),
        ("address", "watchword_addresses"),
        ("jwks_cache", "watchword_jwks_caches"),
        ("mailbox", "watchword_mailboxes"),
        ("batch", "watchword_batches"),
    ],
)
def test_default_tables_are_prefixed_plurals(model: str, table: str) -> None:
    """They read like English and stay apart from the application's own."""
    assert Naming().table(model) == table


def test_default_columns_are_the_logical_names() -> None:
    """SQL written by hand uses the names that Python shows."""
    assert Naming().column("user", "email_verified") == "email_verified"


def test_a_wire_compatible_database_is_opened_as_it_is() -> None:
    """Its tables are singular and bare, its columns camelCase."""
    naming = Naming.wire()
    columns = {
        f"{model.name}.{name}": naming.column(model.name, name)
        for model in CORE_MODELS
        for name in model.fields
    }

    assert naming.table("user") == "user"
    assert naming.table("two_factor") == "twoFactor"
    assert columns["user.email_verified"] == "emailVerified"
    assert columns["account.access_token_expires_at"] == "accessTokenExpiresAt"
    assert not any("_" in column for column in columns.values())


def test_single_names_can_be_chosen() -> None:
    """A table of one's own keeps its full name; the others follow the rule."""
    naming = Naming(tables={"user": "people"}, columns={"user.email": "mail"}, prefix="auth_")

    assert (naming.table("user"), naming.table("session")) == ("people", "auth_sessions")
    assert (naming.column("user", "email"), naming.column("user", "name")) == ("mail", "name")
    assert naming.column("invitation", "email") == "email"
    assert naming.unique("user", ["email"]) == "uq_people_mail"


def test_each_constraint_says_what_it_is_and_whose() -> None:
    """A database's error message leads to the model and its fields."""
    naming = Naming()

    assert naming.index("session", ["expires_at"]) == "ix_watchword_sessions_expires_at"
    assert naming.unique("account", ["provider_id", "account_id"]) == (
        "uq_watchword_accounts_provider_id_account_id"
    )
    assert naming.foreign_key("session", "user_id") == "fk_watchword_sessions_user_id"
    assert naming.primary_key("session") == "pk_watchword_sessions"


@given(NAMINGS, KEYS, st.sampled_from(KINDS))
def test_a_constraint_s_name_fits_everywhere(
    naming: Naming, key: tuple[str, tuple[str, ...]], kind: Callable[[Naming], Callable[..., str]]
) -> None:
    """PostgreSQL cuts what is longer, without asking and into one name for two things."""
    name = kind(naming)(*key)

    assert len(name.encode()) <= NAME_CHARACTERS


@given(st.text(min_size=30, max_size=60), NAMES)
def test_a_chosen_name_in_any_script_fits_too(table: str, field: str) -> None:
    """The limit is one of bytes, and no character is cut in two."""
    naming = Naming(tables={"user": table})

    name = naming.index("user", [field])

    assert len(name.encode()) <= NAME_CHARACTERS


@given(NAMINGS, st.sets(KEYS, min_size=2, max_size=6))
def test_shortened_names_stay_apart(
    naming: Naming, keys: set[tuple[str, tuple[str, ...]]]
) -> None:
    """Two constraints share a name only if their full names were the same already."""
    full = {f"ix_{naming.table(m)}_{'_'.join(naming.column(m, f) for f in fs)}" for m, fs in keys}

    shortened = {naming.index(*key) for key in keys}

    assert len(shortened) == len(full)


def test_names_that_differ_only_behind_the_cut_stay_apart() -> None:
    """The digest is that of the whole name."""
    naming = Naming()
    long = "a_field_with_a_name_of_very_many_characters_indeed"

    assert naming.index("user", [f"{long}_1"]) != naming.index("user", [f"{long}_2"])


@given(WORDS)
def test_a_wire_name_keeps_the_letters_and_drops_the_joints(words: list[str]) -> None:
    """Each word but the first begins with a capital."""
    name = camel_case("_".join(words))

    assert name.lower() == "".join(words)
    assert name.startswith(words[0])
    assert sum(letter.isupper() for letter in name) == len(words) - 1
