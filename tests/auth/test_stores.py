"""The typed stores at an instance: lookups, sealed tokens, stores of plugins, counted ids."""

from dataclasses import dataclass

import pytest

from watchword import BlockingWatchword, Field, Plugin, Watchword
from watchword.crypto.sealing import UnsealError
from watchword.errors import InvalidValue, ReferenceViolation, UniqueViolation, UnknownField
from watchword.schema import Model
from watchword.storage.blocking import BlockingStore
from watchword.storage.query import F
from watchword.storage.store import Store

SECRET = "correct-horse-battery-staple-0123456789"
OTHER_SECRET = "battery-staple-horse-correct-9876543210"
ADA = {"name": "Ada", "email": "ada@example.org"}
TOKENS = {"access_token": "ya29.access", "refresh_token": "1//refresh", "id_token": "eyJ.id"}


# --- who is meant --------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["ADA", "ada", "Ada"])
async def test_a_user_name_is_found_however_it_is_written(everywhere, app_auth, written):
    """By the plugin's own normalization."""
    auth = await app_auth(everywhere)
    made = await auth.users.create(**ADA, username="aDa")

    assert await auth.users.get_by_field("username", written) == made
    assert await auth.users.get_by_field("email", "ADA@EXAMPLE.ORG") == made
    assert await auth.users.get_by_field("username", "adam") is None


async def test_a_field_that_names_nobody_is_refused(everywhere, app_auth, new_auth):
    """Be it another field, or one that users do not have."""
    auth = await app_auth(everywhere)

    with pytest.raises(InvalidValue, match="names nobody; email and username do"):
        await auth.users.get_by_field("plan", "free")
    with pytest.raises(UnknownField, match="'nickname'"):
        await auth.users.get_by_field("nickname", "ada")
    with pytest.raises(UnknownField, match="'username'"):
        await new_auth().users.get_by_field("username", "ada")


async def test_what_plugins_refuse_is_refused_here_too(everywhere, app_auth, emails):
    """A name that is taken, in another spelling, and an address that is; nothing is written."""
    auth = await app_auth(everywhere)
    await auth.users.create(**ADA, username="ada")

    with pytest.raises(UniqueViolation) as name:
        await auth.users.create(name="Eve", email="eve@example.org", username="ADA")
    with pytest.raises(UniqueViolation) as address:
        await auth.users.create(name="Eve", email="ADA@example.org")

    assert (name.value.fields, address.value.fields) == (("username",), ("email",))
    assert await emails(auth) == ["ada@example.org"]


# --- tokens of providers -------------------------------------------------------------------


async def test_attack_stolen_table_of_accounts(everywhere, app_auth, stolen):
    """A thief reads no token of a provider and none of ours; who has the secret does."""
    auth = await app_auth(everywhere)
    user = await auth.users.create(**ADA)
    made = await auth.accounts.create(user.id, "google", "117", **TOKENS)
    session = await auth.sessions.create(user.id)
    await auth.accounts.update(made.id, refresh_token="1//rotated")

    loot = stolen(everywhere, auth)
    found = await auth.accounts.get(made.id)

    assert "ada@example.org" in loot
    clear = [*TOKENS.values(), "1//rotated", session.token]
    assert [it for it in clear if it in loot] == []
    assert found.access_token == "ya29.access"
    assert found.refresh_token == "1//rotated"
    assert await auth.accounts.find("google", "117") == found
    assert [made.access_token, *[it.id_token for it in await listed(auth, user)]] == [None, None]


async def listed(auth, user):
    """Return the accounts of a user."""
    return await auth.accounts.list_for_user(user.id)


async def test_a_lost_secret_stops_no_list(everywhere, app_auth):
    """Only who needs the token hears of it; a secret that is kept beside the new one opens it."""
    auth = await app_auth(everywhere)
    user = await auth.users.create(**ADA)
    made = await auth.accounts.create(user.id, "google", "117", **TOKENS)
    rotated = await app_auth(everywhere, secret=[OTHER_SECRET, SECRET])
    lost = await app_auth(everywhere, secret=OTHER_SECRET)

    assert (await rotated.accounts.get(made.id)).access_token == "ya29.access"
    with pytest.raises(UnsealError):
        await lost.accounts.get(made.id)
    with pytest.raises(UnsealError):
        await lost.accounts.find("google", "117")
    assert [it.id for it in await listed(lost, user)] == [made.id]
    assert (await lost.accounts.get_by_provider("google", "117")).id == user.id
    assert await lost.accounts.unlink(user.id, made.id, even_last=True)


async def test_attack_token_moved_to_another_field(everywhere, app_auth):
    """Who can write to the tables gets no refresh token shown as an id token."""
    auth = await app_auth(everywhere)
    user = await auth.users.create(**ADA)
    made = await auth.accounts.create(user.id, "google", "117", **TOKENS)
    row = await auth.store.find_one("account", F.id == made.id)

    await auth.adapter.update("account", F.id == row["id"], {"id_token": row["refresh_token"]})

    with pytest.raises(UnsealError):
        await auth.accounts.get(made.id)


async def test_values_in_print_show_no_token(everywhere, app_auth):
    """Sessions and accounts are logged by accident."""
    auth = await app_auth(everywhere)
    user = await auth.users.create(**ADA)
    made = await auth.accounts.create(user.id, "google", "117", **TOKENS)
    session = await auth.sessions.create(user.id)

    printed = f"{await auth.accounts.get(made.id)!r} {session!r}"

    assert [it for it in [*TOKENS.values(), session.token] if it in printed] == []


# --- stores of plugins ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Badges(Plugin):
    """Gives users badges."""

    id = "badges"
    models = (
        Model("badge", {"user_id": Field.reference("user"), "name": Field("string", unique=True)}),
    )


class BadgeStore:
    """The badges, with types."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def give(self, user_id: str, name: str) -> str:
        """Give a badge and return its id."""
        row = await self._store.create("badge", {"user_id": user_id, "name": name})
        return str(row["id"])

    async def named(self, name: str) -> str | None:
        """Return who has a badge."""
        row = await self._store.find_one("badge", F.name == name)
        return None if row is None else str(row["user_id"])


class BlockingBadgeStore:
    """The same without `await`."""

    def __init__(self, store: BlockingStore) -> None:
        self._store = store

    def give(self, user_id: str, name: str) -> str:
        """Give a badge and return its id."""
        return str(self._store.create("badge", {"user_id": user_id, "name": name})["id"])


async def test_a_plugin_s_store_is_had_from_the_instance(everywhere, app_auth):
    """It works on the instance's rows; its rows go with their user."""
    auth = await app_auth(everywhere, plugins=[Badges()], user_type=None)
    badges = auth.stores(BadgeStore)
    user = await auth.users.create(**ADA)

    await badges.give(user.id, "first")

    assert await badges.named("first") == user.id
    with pytest.raises(UniqueViolation):
        await badges.give(user.id, "first")
    assert await auth.users.delete(user.id)
    assert await badges.named("first") is None


def test_a_blocking_instance_gives_blocking_stores(everywhere, blocking_auth):
    """To the plugin's store as to the four of ours."""
    auth = blocking_auth(everywhere, plugins=[Badges()], user_type=None)
    badges = auth.stores(BlockingBadgeStore)
    user = auth.users.create(**ADA)

    assert badges.give(user.id, "first")

    assert auth.store.count("badge", F.user_id == user.id) == 1


# --- counted ids ---------------------------------------------------------------------------


async def test_counted_ids_are_texts_in_every_store(everywhere, app_auth, app_user):
    """What one store returned is what the next one takes."""
    auth = await app_auth(everywhere, ids="bigint")

    user = await auth.users.create(**ADA)
    account = await auth.accounts.create(user.id, "google", "117")
    session = await auth.sessions.create(user.id)

    assert type(user) is app_user
    assert [user.id, account.id, session.id] == ["1", "1", "1"]
    assert [account.user_id, session.user_id] == ["1", "1"]
    assert await auth.users.get("1") == user
    assert (await auth.accounts.get("1")).id == "1"
    assert (await auth.sessions.find("1")).user_id == "1"
    assert await auth.accounts.list_for_user("1") == [account]
    assert [it.id for it in await auth.sessions.list_for_user("1")] == ["1"]
    assert await auth.sessions.revoke("1", user_id="1")


@pytest.mark.parametrize("ids", ["bigint", "uuid", "string"])
async def test_an_id_that_nobody_can_have_is_nobody(everywhere, app_auth, ids):
    """An id from an address is a stranger's text: it finds nothing, and raises nothing."""
    auth = await app_auth(everywhere, ids=ids)
    user = await auth.users.create(**ADA)

    for stranger in ["", "x", "-1", "01", " 1", "٣", "9" * 30, "1\0"]:
        assert await auth.users.get(stranger) is None
        assert await auth.users.update(stranger, name="Eve") is None
        assert not await auth.users.delete(stranger)
        assert await auth.accounts.get(stranger) is None
        assert await auth.accounts.list_for_user(stranger) == []
        assert not await auth.accounts.unlink(stranger, stranger)
        assert await auth.sessions.find(stranger) is None
        assert await auth.sessions.list_for_user(stranger) == []
        assert await auth.sessions.revoke_all(stranger) == 0
    assert await auth.users.get(user.id) == user


@pytest.mark.parametrize("ids", ["bigint", "uuid", "string"])
async def test_what_is_nobody_s_is_refused(everywhere, app_auth, ids):
    """With a typed error, whatever ids are; nothing is written."""
    auth = await app_auth(everywhere, ids=ids)

    for stranger in ["99", "", "x"]:
        for write in (
            auth.sessions.create(stranger),
            auth.accounts.create(stranger, "google", "117"),
            auth.accounts.upsert(stranger, "google", "117"),
        ):
            with pytest.raises((ReferenceViolation, InvalidValue)):
                await write

    assert [await auth.store.count(it) for it in ("session", "account")] == [0, 0]


@pytest.mark.parametrize("ids", ["bigint", "uuid", "string"])
async def test_pages_go_through_all_users(everywhere, app_auth, ids):
    """In the order of ids, each once, in the order of numbers where ids are numbers."""
    auth = await app_auth(everywhere, ids=ids)
    made = [await auth.users.create(name=str(it), email=f"{it}@example.org") for it in range(12)]

    first = await auth.users.page(limit=5)
    rest = await auth.users.page(after=first[-1].id, limit=50)
    all_users = [it async for it in auth.users.all(batch_size=5)]
    page, total = await auth.users.list_users(offset=10, limit=5)

    assert [*first, *rest] == all_users
    assert (page, total) == (all_users[10:], 12)
    assert sorted(it.name for it in all_users) == sorted(it.name for it in made)
    if ids != "string":  # those say nothing of time
        assert [it.name for it in all_users] == [str(it) for it in range(12)]


def test_each_instance_has_the_stores_of_its_kind(new_auth, blocking_auth, everywhere):
    """The same names on both; on the one they are awaited."""
    auth, blocking = new_auth(), blocking_auth(everywhere)

    assert isinstance(auth, Watchword)
    assert isinstance(blocking, BlockingWatchword)
    for name in ("users", "sessions", "accounts", "verifications"):
        ours = {it for it in dir(getattr(auth, name)) if not it.startswith("_")}
        theirs = {it for it in dir(getattr(blocking, name)) if not it.startswith("_")}
        assert ours == theirs
