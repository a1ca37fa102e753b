"""The meaning of `AccountStore`: a store that passes can keep the ways in of users.

    class TestOurs(AccountStoreSuite):
        knows_users = False      # it keeps their ids, and cannot tell who they are

        @pytest.fixture
        def store(self):
            return OurAccounts()      # no account is in it

Each test runs on an event loop and without one, be the store's methods `def` or `async def`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias, cast

import pytest

from watchword.errors import LastAccount, ReferenceViolation, UniqueViolation
from watchword.storage.entities import TOKENS, Account
from watchword.storage.stores import AccountStore
from watchword.testing.store_suite import (
    STRANGE_TEXTS,
    Awaited,
    NewUserId,
    OwnStoreSuite,
    Race,
    outcome_of,
)

__all__ = ["AccountStoreSuite"]

Accounts: TypeAlias = AccountStore[Any]

TOKEN_VALUES: Mapping[str, str] = MappingProxyType(
    {
        "access_token": "ya29." + "x" * 3000,
        "refresh_token": '1//0 and, "some" ;\'\n',
        "id_token": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln",
    }
)


def hash_like(text: str) -> str:
    """Return what looks like the hash of a password, which alone is kept as one."""
    return f"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ${sha256(text.encode()).hexdigest()[:40]}"


class AccountStoreSuite(OwnStoreSuite):
    """Everything that a store of accounts has to keep; subclass it with the fixture `store`."""

    protocol = AccountStore
    additional: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Values of fields that were added to accounts and that the store keeps, by field."""

    @pytest.fixture
    def accounts(self, store: Any) -> Accounts:
        """The store, to be awaited."""
        # It has the methods of the protocol, each made a coroutine function.
        return cast("Accounts", Awaited(store))

    # --- linking and finding ---------------------------------------------------------------

    async def test_tokens_come_back_to_who_asks_for_them(
        self, accounts: Accounts, user_id: str
    ) -> None:
        """By the account's own id and by the provider's, and are told by nothing else."""
        made = await accounts.create(user_id, "google", "42", **TOKEN_VALUES)

        assert isinstance(made, Account)
        assert (made.user_id, made.provider_id, made.account_id) == (user_id, "google", "42")
        for found in (await accounts.get(made.id), await accounts.find("google", "42")):
            assert found is not None
            assert {it: getattr(found, it) for it in TOKENS} == TOKEN_VALUES
            assert without_tokens(found) == made
        [listed] = await accounts.list_for_user(user_id)
        again = await accounts.upsert(user_id, "google", "42", scope="openid")
        changed = await accounts.update(made.id, scope="openid,email")
        for told in (made, listed, again, changed):
            assert told is not None
            assert [getattr(told, it) for it in TOKENS] == [None] * 3

    async def test_values_come_back(self, accounts: Accounts, user_id: str) -> None:
        """All that is given is kept, also what the instance gives: id, times, what was added."""
        then = datetime(2020, 2, 29, 23, 59, 58, tzinfo=UTC)
        elsewhere = await accounts.create(user_id, "google", "41")
        await accounts.unlink(user_id, elsewhere.id, even_last=True)
        given = {
            "id": elsewhere.id,
            "access_token_expires_at": then,
            "refresh_token_expires_at": then,
            "scope": "openid,email",
            "password": hash_like("given"),
            "created_at": then,
            "updated_at": then,
            **self.additional,
        }

        made = await accounts.create(user_id, "google", "42", **given)

        assert {name: made.to_record()[name] for name in given} == given
        assert await accounts.get(made.id) == made

    async def test_an_account_is_linked_once(
        self, accounts: Accounts, new_user_id: NewUserId
    ) -> None:
        """The same subject of the same provider is refused; of another one it is another."""
        user_id = await new_user_id()
        made = await accounts.create(user_id, "google", "42")

        for owner in (user_id, await new_user_id()):
            with pytest.raises(UniqueViolation) as refusal:
                await accounts.create(owner, "google", "42")
            assert refusal.value.model == "account"

        other = await accounts.create(user_id, "github", "42")
        assert await accounts.find("google", "42") == made
        assert await accounts.find("github", "42") == other

    async def test_subjects_differ_in_case_and_blanks(
        self, accounts: Accounts, new_user_id: NewUserId
    ) -> None:
        """Byte for byte: whoever is called almost like somebody is somebody else."""
        owners = {it: await new_user_id() for it in ("abc", "ABC", "abc ", "àbc", "abć")}
        made = {it: await accounts.create(owner, "google", it) for it, owner in owners.items()}

        found = {it: await accounts.find("google", it) for it in owners}

        assert found == made
        assert await accounts.find("Google", "abc") is None

    async def test_no_account_has_a_strange_id(self, accounts: Accounts, user_id: str) -> None:
        """Whatever is asked for, the answer is that nothing is there, and never an error."""
        made = [await accounts.create(user_id, "google", it) for it in ("41", "42")]

        for text in STRANGE_TEXTS:
            assert await accounts.get(text) is None
            assert await accounts.find("google", text) is None
            assert await accounts.find(text, "42") is None
            assert await accounts.update(text, scope="openid") is None
            assert await accounts.list_for_user(text) == []
            assert await accounts.unlink(user_id, text) is False
            assert await accounts.unlink(text, made[0].id) is False
        assert len(await accounts.list_for_user(user_id)) == 2

    async def test_a_list_begins_with_the_oldest(
        self, accounts: Accounts, new_user_id: NewUserId
    ) -> None:
        """And has those of one user."""
        user_id = await new_user_id()
        for year in (2021, 2019, 2020):
            then = datetime(year, 1, 1, tzinfo=UTC)
            await accounts.create(user_id, "google", str(year), created_at=then)
        await accounts.create(await new_user_id(), "google", "another's")

        listed = await accounts.list_for_user(user_id)

        assert [it.account_id for it in listed] == ["2019", "2020", "2021"]

    @pytest.mark.watchword_needs("knows_users")
    async def test_a_user_is_found_by_an_account(
        self, accounts: Accounts, new_user_id: NewUserId
    ) -> None:
        """Whom the provider knows by this id."""
        user_id = await new_user_id()
        await accounts.create(user_id, "google", "42")
        await accounts.create(await new_user_id(), "google", "43")

        found = await accounts.get_by_provider("google", "42")

        assert found is not None
        assert found.id == user_id
        for text in STRANGE_TEXTS:
            assert await accounts.get_by_provider("google", text) is None

    @pytest.mark.watchword_needs("knows_users")
    async def test_nobody_has_no_accounts(self, accounts: Accounts, user_id: str) -> None:
        """What is linked to nobody is refused."""
        nobody = user_id[:-4] + ("0000" if user_id[-4:] != "0000" else "1111")

        for link in (accounts.create, accounts.upsert):
            with pytest.raises(ReferenceViolation):
                await link(nobody, "google", "42")

        assert await accounts.find("google", "42") is None

    # --- bringing up to date ---------------------------------------------------------------

    async def test_an_upsert_links_or_changes(self, accounts: Accounts, user_id: str) -> None:
        """The first one makes the account, the next brings it up to date."""
        first = await accounts.upsert(user_id, "google", "42", scope="openid", **TOKEN_VALUES)

        second = await accounts.upsert(user_id, "google", "42", access_token="new")

        assert second.id == first.id
        assert second.scope == "openid"
        found = await accounts.find("google", "42")
        assert found is not None
        assert (found.access_token, found.id_token) == ("new", TOKEN_VALUES["id_token"])
        assert len(await accounts.list_for_user(user_id)) == 1

    async def test_an_upsert_takes_nothing_from_another(
        self, accounts: Accounts, new_user_id: NewUserId
    ) -> None:
        """The account of another user is refused, and is as it was."""
        made = await accounts.create(await new_user_id(), "google", "42", **TOKEN_VALUES)
        before = await accounts.get(made.id)
        thief = await new_user_id()

        with pytest.raises(UniqueViolation):
            await accounts.upsert(thief, "google", "42", access_token="new")

        assert await accounts.get(made.id) == before
        assert await accounts.list_for_user(thief) == []

    async def test_an_update_changes_what_it_names(self, accounts: Accounts, user_id: str) -> None:
        """Tokens too, and nothing else."""
        made = await accounts.create(user_id, "google", "42", scope="openid", **TOKEN_VALUES)
        other = await accounts.create(user_id, "github", "42")
        changes = {"access_token": "new", "password": hash_like("new"), **self.additional}

        changed = await accounts.update(made.id, **changes)

        found = await accounts.get(made.id)
        assert found is not None
        assert changed == without_tokens(found)
        assert {it: found.to_record()[it] for it in changes} == changes
        assert (found.id_token, found.scope) == (TOKEN_VALUES["id_token"], "openid")
        assert await accounts.get(other.id) == other

    async def test_an_update_can_expect_values(self, accounts: Accounts, user_id: str) -> None:
        """It changes only if all of them are as expected, a null too."""
        made = await accounts.create(user_id, "credential", "1", password=hash_like("old"))
        right = {"password": hash_like("old"), "scope": None, "provider_id": "credential"}

        for wrong in ({"password": hash_like("older")}, {"scope": ""}, {"provider_id": "google"}):
            expected = {**right, **wrong}
            assert (
                await accounts.update(made.id, expected=expected, password=hash_like("new"))
                is None
            )
        assert await accounts.get(made.id) == made
        changed = await accounts.update(made.id, expected=right, password=hash_like("new"))

        assert changed is not None
        assert changed.password == hash_like("new")

    # --- unlinking -------------------------------------------------------------------------

    async def test_an_account_is_unlinked_once(self, accounts: Accounts, user_id: str) -> None:
        """And found no more; it can be linked again."""
        made = [await accounts.create(user_id, "google", it) for it in ("41", "42", "43")]

        unlinked = [await accounts.unlink(user_id, made[0].id) for _ in range(2)]

        assert unlinked == [True, False]
        assert await accounts.get(made[0].id) is None
        assert await accounts.find("google", "41") is None
        assert await accounts.update(made[0].id, scope="openid") is None
        left = await accounts.list_for_user(user_id)
        assert {it.id for it in left} == {it.id for it in made[1:]}
        again = await accounts.upsert(user_id, "google", "41")
        assert again.account_id == "41"

    async def test_only_their_own_account_is_unlinked(
        self, accounts: Accounts, new_user_id: NewUserId
    ) -> None:
        """Somebody else's stays, whatever is said."""
        owner, other = await new_user_id(), await new_user_id()
        [mine, _] = [await accounts.create(owner, "google", it) for it in ("41", "42")]
        [_, _] = [await accounts.create(other, "google", it) for it in ("51", "52")]

        for even_last in (False, True):
            assert await accounts.unlink(other, mine.id, even_last=even_last) is False

        assert await accounts.get(mine.id) == mine

    async def test_the_last_way_in_stays(self, accounts: Accounts, new_user_id: NewUserId) -> None:
        """Unless it is said that even that may go."""
        user_id = await new_user_id()
        made = await accounts.create(user_id, "google", "42")
        await accounts.create(await new_user_id(), "google", "43")

        with pytest.raises(LastAccount):
            await accounts.unlink(user_id, made.id)

        assert await accounts.get(made.id) == made
        assert await accounts.unlink(user_id, made.id, even_last=True) is True
        assert await accounts.list_for_user(user_id) == []

    # --- races -----------------------------------------------------------------------------

    async def test_one_caller_links_an_account(
        self, accounts: Accounts, user_id: str, race: Race
    ) -> None:
        """Of all who make it one does; the others are told that it is linked already."""
        for number in range(self.rounds):
            create = partial(accounts.create, user_id, "google", str(number))

            results = await race(self.callers, create)

            made = [it for it in results if isinstance(it, Account)]
            refused = [it for it in results if isinstance(it, UniqueViolation)]
            assert (len(made), len(refused)) == (1, self.callers - 1), results
            assert len(await accounts.list_for_user(user_id)) == number + 1

    async def test_all_who_link_one_account_get_the_same(
        self, accounts: Accounts, user_id: str, race: Race
    ) -> None:
        """One is made, and nobody meets an error."""
        for number in range(self.rounds):
            link = partial(accounts.upsert, user_id, "google", str(number), access_token="new")

            results = await race(self.callers, link)

            found = await accounts.find("google", str(number))
            assert found is not None
            assert [getattr(it, "id", it) for it in results] == [found.id] * self.callers
        assert len(await accounts.list_for_user(user_id)) == self.rounds

    async def test_one_of_two_users_gets_an_account(
        self, accounts: Accounts, new_user_id: NewUserId, race: Race
    ) -> None:
        """The other one is refused, at each try."""
        users = [await new_user_id() for _ in range(2)]
        for number in range(self.rounds):
            left = iter(users * self.callers)

            async def link() -> Account:
                return await accounts.upsert(next(left), "google", str(number))  # noqa: B023 - the race ends in this turn

            results = await race(self.callers, link)

            owners = {it.user_id for it in results if isinstance(it, Account)}
            others = {type(it) for it in results if not isinstance(it, Account)}
            assert (len(owners), others) == (1, {UniqueViolation}), results
            found = await accounts.find("google", str(number))
            assert found is not None
            assert {found.user_id} == owners

    async def test_one_caller_changes_what_all_have_seen(
        self, accounts: Accounts, user_id: str, race: Race
    ) -> None:
        """Of all who replace the password that they know one does."""
        made = await accounts.create(user_id, "credential", "1", password=hash_like("0"))
        for number in range(self.rounds):
            seen = {"password": hash_like(str(number))}
            new = hash_like(str(number + 1))

            results = await race(
                self.callers, partial(accounts.update, made.id, expected=seen, password=new)
            )

            assert [it.password for it in results if it is not None] == [new]

    async def test_one_caller_unlinks_an_account(
        self, accounts: Accounts, user_id: str, race: Race
    ) -> None:
        """Of all who delete one account one did."""
        for _ in range(self.rounds):
            made = await accounts.create(user_id, "google", "42")

            results = await race(
                self.callers, partial(accounts.unlink, user_id, made.id, even_last=True)
            )

            assert sorted(results) == [False] * (self.callers - 1) + [True]

    async def test_callers_who_leave_one_way_in_leave_one(
        self, accounts: Accounts, new_user_id: NewUserId, race: Race
    ) -> None:
        """Each of them deletes another account; the last one stays."""
        for number in range(self.rounds):
            user_id = await new_user_id()
            subjects = [f"{number}-{it}" for it in range(min(4, self.callers))]
            made = [await accounts.create(user_id, "google", it) for it in subjects]
            left = iter(made * self.callers)

            async def unlink() -> bool | Exception:
                leaving = accounts.unlink(user_id, next(left).id)  # noqa: B023 - the race ends in this turn
                return await outcome_of(leaving, LastAccount)

            results = await race(self.callers, unlink)

            assert results.count(True) == len(made) - 1, results
            assert {type(it) for it in results} <= {bool, LastAccount}, results
            assert len(await accounts.list_for_user(user_id)) == 1


def without_tokens(account: Account) -> Account:
    """Return an account as it is told to who has not asked for its tokens."""
    return Account.from_record(account.to_record(), tokens={})
