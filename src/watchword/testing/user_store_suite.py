"""The meaning of `UserStore`: a store that passes can keep the users of an instance.

    class TestOurs(UserStoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            return OurUsers(tmp_path)      # nobody is in it

Each test runs on an event loop and without one, be the store's methods `def` or `async def`.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, cast

import pytest

from watchword.errors import InvalidValue, UniqueViolation, UnknownField
from watchword.storage.entities import User
from watchword.storage.stores import UserStore
from watchword.testing.store_suite import (
    STRANGE_TEXTS,
    Awaited,
    OwnStoreSuite,
    Race,
    everything,
    moment,
    pages,
)

__all__ = ["UserStoreSuite"]

SPELLINGS = ("ada@example.org", "Ada@Example.org", "ADA@EXAMPLE.ORG")
NO_ADDRESSES = ("", "ada", "ada@", "@example.org", "ada@example", "a b@example.org", "ada@b@c.org")
# Their order is another one where case does not matter; a store that keeps UUIDs takes them too.
IDS = [f"018F3c2a-7b1c-7000-8000-{it * 12}" for it in "cBaFeD09"]
NAMES = (
    "Ada",
    "",
    "O'Hara, Jr.",
    'a "quoted" name',
    "two\nlines\r\n",
    " blanks ",
    "Zoë 😀",
    "=1+1",
)


class UserStoreSuite(OwnStoreSuite):
    """Everything that a store of users has to keep; subclass it with the fixture `store`."""

    protocol = UserStore
    user_type: ClassVar[type[User]] = User
    """What the store returns: `User` or a subclass of it."""
    additional: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Values of fields that were added to users and that the store keeps, by field."""
    has_usernames: ClassVar[bool] = False
    """Users have the field `username`, which the store looks up and keeps unique."""

    @pytest.fixture
    def users(self, store: Any) -> UserStore[Any]:
        """The store, to be awaited."""
        # It has the methods of the protocol, each made a coroutine function.
        return cast("UserStore[Any]", Awaited(store))

    @pytest.fixture
    def add(self, users: UserStore[Any]) -> Callable[[int], Awaitable[list[User]]]:
        """Write so many users, who differ in their addresses."""

        async def add(number: int) -> list[User]:
            return [
                await users.create(email=f"user{it}@example.org", name=f"User {it}")
                for it in range(number)
            ]

        return add

    # --- values ----------------------------------------------------------------------------

    async def test_a_new_user_has_defaults(self, users: UserStore[Any]) -> None:
        """What was not given is there, and what comes back later is what was returned."""
        ada = await users.create(email="ada@example.org", name="Ada")

        assert isinstance(ada, self.user_type)
        assert isinstance(ada.id, str)
        assert ada.id
        assert (ada.email, ada.name, ada.email_verified) == ("ada@example.org", "Ada", False)
        assert ada.image is None
        assert moment(ada.created_at) <= moment(ada.updated_at)
        assert await users.get(ada.id) == ada

    async def test_values_come_back(self, users: UserStore[Any]) -> None:
        """All that is given is kept, also what the instance gives: times, and what was added."""
        then = datetime(2020, 2, 29, 23, 59, 58, tzinfo=UTC)
        given = {
            "email_verified": True,
            "image": "https://example.org/a.png?b=1,2;3",
            "created_at": then,
            "updated_at": then + timedelta(days=1),
            **self.additional,
        }

        ada = await users.create(email="ada@example.org", name="Ada", **given)

        assert {name: ada.to_record()[name] for name in given} == given
        assert await users.get(ada.id) == ada

    @pytest.mark.parametrize("name", NAMES)
    async def test_a_name_is_any_text(self, users: UserStore[Any], name: str) -> None:
        """Commas, quotes, line breaks and emoji are as good as letters."""
        ada = await users.create(email="ada@example.org", name=name)

        found = await users.get(ada.id)

        assert found is not None
        assert (ada.name, found.name) == (name, name)

    async def test_additional_values_change(self, users: UserStore[Any]) -> None:
        """What was added to users can be written later, too."""
        ada = await users.create(email="ada@example.org", name="Ada")
        changed = await users.update(ada.id, **self.additional)

        found = await users.get(ada.id)

        assert found is not None
        assert found == changed
        assert {it: found.to_record()[it] for it in self.additional} == dict(self.additional)

    # --- addresses -------------------------------------------------------------------------

    @pytest.mark.parametrize("written", SPELLINGS)
    async def test_an_address_is_found_however_it_is_written(
        self, users: UserStore[Any], written: str
    ) -> None:
        """It has one form, which is lower case."""
        ada = await users.create(email=written, name="Ada")
        await users.create(email="eve@example.org", name="Eve")

        assert ada.email == "ada@example.org"
        for it in SPELLINGS:
            assert await users.get_by_email(it) == ada
            assert await users.get_by_field("email", it) == ada

    @pytest.mark.parametrize("written", SPELLINGS)
    async def test_an_address_is_taken_in_any_case(
        self, users: UserStore[Any], written: str
    ) -> None:
        """A second user of it is refused, and told by what; nothing was written."""
        ada = await users.create(email="ada@example.org", name="Ada")

        with pytest.raises(UniqueViolation) as refusal:
            await users.create(email=written, name="Eve")

        assert refusal.value.model == "user"
        assert refusal.value.fields in {("email",), ()}
        assert await users.list_users() == ([ada], 1)

    async def test_nobody_changes_to_a_taken_address(self, users: UserStore[Any]) -> None:
        """But to their own in another case, and to one that is free."""
        ada = await users.create(email="ada@example.org", name="Ada")
        eve = await users.create(email="eve@example.org", name="Eve")

        with pytest.raises(UniqueViolation):
            await users.update(eve.id, email="Ada@example.org", name="Ada")

        assert await users.get(eve.id) == eve
        same = await users.update(ada.id, email="ADA@example.org")
        assert same is not None
        assert same.email == "ada@example.org"
        moved = await users.update(eve.id, email="New@example.org")
        assert moved is not None
        assert await users.get_by_email("new@example.org") == moved
        assert await users.get_by_email("eve@example.org") is None

    @pytest.mark.parametrize("email", NO_ADDRESSES)
    async def test_what_is_no_address_is_refused(self, users: UserStore[Any], email: str) -> None:
        """With the field's name, and nothing is written."""
        ada = await users.create(email="ada@example.org", name="Ada")

        with pytest.raises(InvalidValue) as refusal:
            await users.create(email=email, name="Eve")
        with pytest.raises(InvalidValue):
            await users.update(ada.id, email=email, name="Eve")

        assert (refusal.value.model, refusal.value.field) == ("user", "email")
        assert await users.list_users() == ([ada], 1)

    # --- looking up ------------------------------------------------------------------------

    async def test_nobody_has_a_strange_id(self, users: UserStore[Any]) -> None:
        """Whatever is asked for, the answer is that nobody is there, and never an error."""
        eve = await users.create(email="eve@example.org", name="Eve")

        for text in STRANGE_TEXTS:
            assert await users.get(text) is None
            assert await users.get_by_email(text) is None
            assert await users.get_by_field("email", text) is None
            assert await users.update(text, name="Ada") is None
            assert await users.update(text, expected={"name": "Eve"}, name="Ada") is None
            assert await users.delete(text) is False
        assert await users.list_users() == ([eve], 1)

    async def test_a_field_that_names_nobody_is_refused(self, users: UserStore[Any]) -> None:
        """Many can have one name; and what users have no field for nobody looks for."""
        await users.create(email="ada@example.org", name="Ada")

        with pytest.raises(InvalidValue):
            await users.get_by_field("name", "Ada")
        with pytest.raises(UnknownField):
            await users.get_by_field("shoe_size", "38")

    @pytest.mark.watchword_needs("has_usernames")
    async def test_a_username_names_one_user(self, users: UserStore[Any]) -> None:
        """As it is written; users without one are found by none."""
        ada = await users.create(email="ada@example.org", name="Ada", username="ada")
        eve = await users.create(email="eve@example.org", name="Eve")
        await users.create(email="bob@example.org", name="Bob")

        assert await users.get_by_field("username", "ada") == ada
        for text in (*STRANGE_TEXTS, "eve"):
            assert await users.get_by_field("username", text) is None
        with pytest.raises(UniqueViolation) as refusal:
            await users.update(eve.id, username="ada")
        assert refusal.value.fields == ("username",)

    @pytest.mark.watchword_needs("has_usernames")
    async def test_a_username_is_taken_once(self, users: UserStore[Any]) -> None:
        """A second user of it is refused, and nothing was written."""
        ada = await users.create(email="ada@example.org", name="Ada", username="ada")

        with pytest.raises(UniqueViolation) as refusal:
            await users.create(email="eve@example.org", name="Eve", username="ada")

        assert refusal.value.fields in {("username",), ()}
        assert await users.list_users() == ([ada], 1)

    # --- changes ---------------------------------------------------------------------------

    async def test_an_update_changes_what_it_names(self, users: UserStore[Any]) -> None:
        """It returns the user as it is then; everything else, and everybody else, stays."""
        ada = await users.create(email="ada@example.org", name="Ada", image="a.png")
        eve = await users.create(email="eve@example.org", name="Eve")

        changed = await users.update(ada.id, name="Lovelace", email_verified=True, image=None)

        assert changed is not None
        told = {**changed.to_record(), "updated_at": None}
        new = {"name": "Lovelace", "email_verified": True, "image": None, "updated_at": None}
        assert told == {**ada.to_record(), **new}
        assert await users.get(ada.id) == changed
        assert await users.get(eve.id) == eve

    async def test_an_update_can_expect_values(self, users: UserStore[Any]) -> None:
        """It changes only if all of them are as expected, a null too."""
        ada = await users.create(email="ada@example.org", name="Ada")
        right = {"name": "Ada", "image": None, "email_verified": False, "email": ada.email}

        for wrong in ({"name": "Eve"}, {"image": ""}, {"email_verified": True}):
            assert await users.update(ada.id, expected={**right, **wrong}, name="Bob") is None
        assert await users.get(ada.id) == ada
        changed = await users.update(ada.id, expected=right, name="Lovelace")

        assert changed is not None
        assert changed.name == "Lovelace"

    async def test_a_user_is_deleted_once(self, users: UserStore[Any]) -> None:
        """And found no more; the address is free again."""
        ada = await users.create(email="ada@example.org", name="Ada")
        eve = await users.create(email="eve@example.org", name="Eve")

        deleted = [await users.delete(ada.id) for _ in range(2)]

        assert deleted == [True, False]
        assert await users.get(ada.id) is None
        assert await users.get_by_email("ada@example.org") is None
        assert await users.update(ada.id, name="Ada") is None
        assert await users.list_users() == ([eve], 1)
        again = await users.create(email="ada@example.org", name="Ada")
        assert again.id != ada.id

    # --- lists -----------------------------------------------------------------------------

    async def test_an_empty_store_has_no_pages(self, users: UserStore[Any]) -> None:
        """The end is an empty page."""
        assert await users.list_users() == ([], 0)
        assert await users.page() == []
        assert await everything(users.all()) == []

    @pytest.mark.parametrize("size", [1, 3, 7, 12, 100])
    async def test_pages_have_no_gaps_and_no_doubles(
        self, users: UserStore[Any], add: Callable[[int], Awaitable[list[User]]], size: int
    ) -> None:
        """Three ways to go through all users agree, in the order of ids, whatever the size."""
        known = {it.id: it for it in await add(12)}

        found = await pages(lambda after: users.page(after=after, limit=size))

        assert [it.id for it in found] == sorted(known)
        assert {it.id: it for it in found} == known
        assert await everything(users.all(batch_size=size)) == found
        for offset in range(0, 14, size):
            expected = found[offset : offset + size]
            assert await users.list_users(offset=offset, limit=size) == (expected, 12)

    async def test_ids_are_in_the_order_of_texts(self, users: UserStore[Any]) -> None:
        """As Python orders them: capitals come before small letters."""
        made = [await users.create(id=it, email=f"{it}@example.org", name="Ada") for it in IDS]
        in_order = sorted(it.id for it in made)

        found = await pages(lambda after: users.page(after=after, limit=3))

        assert [it.id for it in found] == in_order
        assert await everything(users.all(batch_size=3)) == found
        assert await users.list_users(offset=2, limit=3) == (found[2:5], len(IDS))

    async def test_a_page_goes_on_after_who_is_gone(
        self, users: UserStore[Any], add: Callable[[int], Awaitable[list[User]]]
    ) -> None:
        """Whoever is deleted between two pages takes nobody along."""
        await add(6)
        first = await users.page(limit=3)
        for it in first:
            await users.delete(it.id)

        rest = await users.page(after=first[-1].id)

        assert len(rest) == 3
        assert await users.list_users() == (rest, 3)

    # --- races -----------------------------------------------------------------------------

    async def test_one_caller_gets_an_address(self, users: UserStore[Any], race: Race) -> None:
        """Of all who make a user with it one does; the others are told that it is taken."""
        for number in range(self.rounds):
            create = partial(users.create, email=f"user{number}@example.org", name="Ada")

            results = await race(self.callers, create)

            made = [it for it in results if isinstance(it, User)]
            refused = [it for it in results if isinstance(it, UniqueViolation)]
            assert (len(made), len(refused)) == (1, self.callers - 1), results
            assert await users.list_users(limit=1) == ([(await users.page())[0]], number + 1)

    async def test_one_caller_changes_what_all_have_seen(
        self, users: UserStore[Any], race: Race
    ) -> None:
        """Of all who expect one value and write another one does."""
        ada = await users.create(email="ada@example.org", name="0")
        for number in range(self.rounds):
            seen, new = {"name": str(number)}, str(number + 1)

            results = await race(
                self.callers, partial(users.update, ada.id, expected=seen, name=new)
            )

            assert [it.name for it in results if it is not None] == [new]

    async def test_one_caller_deletes_a_user(self, users: UserStore[Any], race: Race) -> None:
        """Of all who delete one user one did."""
        for _ in range(self.rounds):
            ada = await users.create(email="ada@example.org", name="Ada")

            results = await race(self.callers, partial(users.delete, ada.id))

            assert sorted(results) == [False] * (self.callers - 1) + [True]

    async def test_changes_of_different_fields_are_both_kept(
        self, users: UserStore[Any], race: Race
    ) -> None:
        """Nobody's change is lost to another who wrote the whole user meanwhile."""
        for number in range(self.rounds):
            ada = await users.create(email=f"user{number}@example.org", name="Ada")
            changes: list[dict[str, Any]] = [
                {"name": "Lovelace"},
                {"image": "a.png"},
                {"email_verified": True},
            ]
            left = iter(changes * (self.callers // 3 + 1))

            await race(self.callers, lambda: users.update(ada.id, **next(left)))  # noqa: B023 - the race ends in this turn

            found = await users.get(ada.id)
            assert found is not None
            assert (found.name, found.image, found.email_verified) == ("Lovelace", "a.png", True)
