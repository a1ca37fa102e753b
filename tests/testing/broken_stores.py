"""Stores that each break one promise, in one method; it says how at the method."""

# Which method is meant is told by a function's name, and one may be broken in several ways.
# ruff: noqa: F811

from dataclasses import replace
from datetime import timedelta
from itertools import count
from uuid import UUID

import msgspec

from watchword import Watchword
from watchword.adapters.memory import MemoryAdapter
from watchword.concurrency import sleep
from watchword.errors import InvalidValue, LastAccount, ReferenceViolation, UniqueViolation
from watchword.plugins.username import Username
from watchword.storage.stores import Found

NUMBERS = count()
BROKEN = {"users": {}, "sessions": {}, "accounts": {}, "verifications": {}}


def instance(clock):
    """Return an instance whose stores keep their promises."""
    return Watchword(
        MemoryAdapter(),
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        ids="string",
        plugins=[Username(username_normalization=None)],
        clock=clock,
    )


class Broken:
    """A store of which one method is another one's."""

    def __init__(self, real, method):
        self.real = real
        self.method = method

    def __getattr__(self, name):
        """Return the broken method, or a real one."""
        if self.method is None or name != self.method.__name__:
            return getattr(self.real, name)

        async def broken(*args, **values):
            return await self.method(self.real, *args, **values)

        return broken


def breaks(store, *tests):
    """Say which tests of a store's suite have to notice."""

    def note(method):
        BROKEN[store] |= dict.fromkeys(tests, method)
        return method

    return note


changed = msgspec.structs.replace

# --- users -----------------------------------------------------------------------------------


@breaks("users", "test_a_new_user_has_defaults")
async def create(real, **values):
    """Everybody's address is taken for proved."""
    return await real.create(**{"email_verified": True, **values})


@breaks("users", "test_values_come_back")
async def create(real, *, image=None, **values):
    """Pictures are lost."""
    return await real.create(**values)


@breaks("users", "test_a_name_is_any_text")
async def create(real, *, name, **values):
    """Blanks are cut off."""
    return await real.create(name=name.strip(), **values)


@breaks("users", "test_additional_values_change")
async def update(real, user_id, *, username=None, **changes):
    """What was added is not written."""
    return await real.update(user_id, **changes)


@breaks("users", "test_an_address_is_found_however_it_is_written")
async def get_by_email(real, email):
    """Case matters."""
    found = await real.get_by_email(email)
    return found if found and found.email == email else None


@breaks("users", "test_an_address_is_taken_in_any_case", "test_one_caller_gets_an_address")
async def create(real, **values):
    """Two may have one address."""
    try:
        return await real.create(**values)
    except UniqueViolation:
        return await real.create(**{**values, "email": f"{id(values)}@example.org"})


@breaks("users", "test_nobody_changes_to_a_taken_address")
async def update(real, user_id, *, email=None, **changes):
    """What is taken is not written, and the rest is."""
    try:
        return await real.update(user_id, **({} if email is None else {"email": email}), **changes)
    except UniqueViolation:
        return await real.update(user_id, **changes)


@breaks("users", "test_what_is_no_address_is_refused")
async def create(real, *, email, **values):
    """Anything is an address."""
    try:
        return await real.create(email=email, **values)
    except InvalidValue:
        return await real.create(email="nobody@example.org", **values)


@breaks("users", "test_nobody_has_a_strange_id")
async def get(real, user_id):
    """A strange id is an error."""
    return await real.get(str(UUID(user_id)))


@breaks("users", "test_a_field_that_names_nobody_is_refused")
async def get_by_field(real, field, value):
    """Any field names somebody."""
    try:
        return await real.get_by_field(field, value)
    except InvalidValue:
        return None


@breaks("users", "test_a_username_names_one_user")
async def get_by_field(real, field, value):
    """The first user is everybody."""
    return (await real.page())[0]


@breaks("users", "test_an_update_changes_what_it_names")
async def update(real, user_id, **changes):
    """Nothing becomes null."""
    return await real.update(
        user_id, **{name: it for name, it in changes.items() if it is not None}
    )


@breaks("users", "test_an_update_can_expect_values")
@breaks("sessions", "test_an_update_can_expect_values")
@breaks("accounts", "test_an_update_can_expect_values")
async def update(real, row_id, *, expected=None, **changes):
    """Nulls are not compared."""
    known = {name: it for name, it in (expected or {}).items() if it is not None}
    first = dict(list(known.items())[:1])
    return await real.update(row_id, expected=first, **changes)


@breaks("users", "test_a_user_is_deleted_once")
async def delete(real, user_id):
    """Everybody is told that it was they."""
    await real.delete(user_id)
    return True


@breaks("users", "test_an_empty_store_has_no_pages")
async def list_users(real, **values):
    """There is always somebody."""
    users, total = await real.list_users(**values)
    return users, max(total, 1)


@breaks("users", "test_pages_have_no_gaps_and_no_doubles")
async def page(real, *, after=None, limit=100):
    """The first of each further page is skipped."""
    return (await real.page(after=after, limit=limit + 1))[1 if after else 0 :][:limit]


@breaks("users", "test_a_page_goes_on_after_who_is_gone")
async def page(real, *, after=None, limit=100):
    """A page begins after somebody who is there."""
    is_known = after is None or await real.get(after)
    return await real.page(after=after, limit=limit) if is_known else []


@breaks("users", "test_one_caller_changes_what_all_have_seen")
async def update(real, user_id, *, expected=None, **changes):
    """The old values are compared first, and the new ones are written later."""
    found = await real.get(user_id)
    await sleep(0.01)
    if found is None or any(getattr(found, it) != old for it, old in (expected or {}).items()):
        return None
    return await real.update(user_id, **changes)


@breaks("users", "test_one_caller_deletes_a_user")
async def delete(real, user_id):
    """Whoever saw the user deleted them."""
    found = await real.get(user_id)
    await sleep(0.01)
    await real.delete(user_id)
    return found is not None


@breaks("users", "test_changes_of_different_fields_are_both_kept")
async def update(real, user_id, **changes):
    """The whole user is written as they were seen."""
    found = await real.get(user_id)
    await sleep(0.01)
    whole = {it: getattr(found, it) for it in ("name", "image", "email_verified")}
    return await real.update(user_id, **(whole | changes))


@breaks("users", "test_methods_are_called_as_the_protocol_has_them")
async def get(real, identifier):
    """The parameter has another name."""
    return await real.get(identifier)


@breaks("users", "test_a_username_is_taken_once")
async def create(real, *, username=None, **values):
    """Two may have one user name."""
    try:
        return await real.create(username=username, **values)
    except UniqueViolation:
        return await real.create(**values)


@breaks("users", "test_ids_are_in_the_order_of_texts")
async def page(real, *, after=None, limit=100):
    """Ids are in an order in which case does not matter."""
    users, _ = await real.list_users(limit=1000)
    left = [it for it in users if after is None or it.id.lower() > after.lower()]
    return sorted(left, key=lambda it: it.id.lower())[:limit]


# --- sessions --------------------------------------------------------------------------------


@breaks("sessions", "test_a_session_is_found_by_its_token")
async def create(real, user_id, *, token=None, **values):
    """Tokens can be guessed."""
    return await real.create(user_id, token=token or "1", **values)


@breaks("sessions", "test_values_come_back")
async def create(real, user_id, *, user_agent=None, **values):
    """Long texts are cut."""
    return await real.create(user_id, user_agent=user_agent and user_agent[:255], **values)


@breaks("sessions", "test_an_id_that_is_known_is_kept")
async def create(real, user_id, **values):
    """Ids are the store's own."""
    values.pop("id", None)
    return await real.create(user_id, **values)


@breaks("sessions", "test_a_session_lives_as_long_as_the_settings_say")
async def create(real, user_id, **values):
    """All live for an hour."""
    made = await real.create(user_id, **values)
    await real.update(made.id, expires_at=made.created_at + timedelta(hours=1))
    return await real.get(made.token)


@breaks("sessions", "test_no_session_has_a_strange_token")
async def find(real, session_id):
    """A strange id is an error."""
    return await real.find(str(UUID(session_id)))


@breaks("sessions", "test_a_list_tells_no_token")
async def list_for_user(real, user_id):
    """The youngest comes first."""
    return (await real.list_for_user(user_id))[::-1]


@breaks("sessions", "test_a_handle_cannot_be_used")
async def get(real, token):
    """A handle is as good as a token."""
    found = await real.get(token)
    return found or await real.find(token)


@breaks("sessions", "test_a_handle_revokes")
async def revoke(real, token, *, user_id=None):
    """Handles revoke nothing."""
    return await real.get(token) is not None and await real.revoke(token, user_id=user_id)


@breaks("sessions", "test_a_session_ends")
async def list_for_user(real, user_id):
    """What has ended is listed as well."""
    listed = await real.list_for_user(user_id)
    return [*listed, changed(listed[0], id="ended")] if listed else []


@breaks("sessions", "test_a_purge_deletes_what_has_ended")
async def purge(real):
    """What is purged is counted whenever it is asked for."""
    return await real.purge() or 3


@breaks("sessions", "test_use_is_written_now_and_then")
async def touch(real, token):
    """Use is written always."""
    found = await real.get(token)
    if found is not None:
        await real.update(found.id, expires_at=found.expires_at + timedelta(minutes=5))
    return await real.get(token)


@breaks("sessions", "test_an_update_changes_what_it_names")
async def update(real, session_id, **changes):
    """A change forgets where the session was made."""
    return await real.update(session_id, ip_address=None, **changes)


@breaks("sessions", "test_a_session_is_revoked_once")
async def revoke(real, token, *, user_id=None):
    """Everybody is told that it was they."""
    await real.revoke(token, user_id=user_id)
    return True


@breaks("sessions", "test_only_their_own_session_is_revoked")
async def revoke(real, token, *, user_id=None):
    """Whose it has to be is not asked."""
    return await real.revoke(token)


@breaks("sessions", "test_all_sessions_of_a_user_are_revoked")
async def revoke_all(real, user_id, *, but=None):
    """One is always spared."""
    listed = await real.list_for_user(user_id)
    return await real.revoke_all(user_id, but=but or (listed[0].token if listed else None))


@breaks("sessions", "test_all_sessions_but_one_are_revoked")
async def revoke_all(real, user_id, *, but=None):
    """Nothing is spared."""
    return await real.revoke_all(user_id)


@breaks("sessions", "test_a_strange_exception_keeps_nothing")
async def revoke_all(real, user_id, *, but=None):
    """Who names an unknown session keeps all."""
    known = but is None or await real.get(but) or await real.find(but)
    return await real.revoke_all(user_id, but=but) if known else 0


@breaks("sessions", "test_one_caller_changes_what_all_have_seen")
async def update(real, session_id, *, expected=None, **changes):
    """The old values are compared first, and the new ones are written later."""
    found = await real.find(session_id)
    await sleep(0.01)
    if any(getattr(found, it) != old for it, old in (expected or {}).items()):
        return None
    return await real.update(session_id, **changes)


@breaks("sessions", "test_one_caller_revokes_a_session")
async def revoke(real, token, *, user_id=None):
    """Whoever saw the session ended it."""
    found = await real.get(token)
    await sleep(0.01)
    await real.revoke(token, user_id=user_id)
    return found is not None


@breaks("sessions", "test_each_session_ends_for_one_caller")
async def revoke_all(real, user_id, *, but=None):
    """Whoever saw the sessions ended them."""
    found = await real.list_for_user(user_id)
    await sleep(0.01)
    await real.revoke_all(user_id, but=but)
    return len(found)


@breaks("sessions", "test_all_who_touch_see_one_extension")
async def touch(real, token):
    """Who comes second sees what was before."""
    before = await real.get(token)
    await sleep(0.01)
    after = await real.touch(token)
    return after if (id(after) // 64) % 3 else before


@breaks("sessions", "test_methods_are_called_as_the_protocol_has_them")
async def update(real, identifier, *, expected=None, **changes):
    """The parameter has another name."""
    return await real.update(identifier, expected=expected, **changes)


@breaks("sessions", "test_tokens_have_nothing_in_common")
async def create(real, user_id, *, token=None, **values):
    """Tokens are numbers."""
    return await real.create(user_id, token=token or f"{next(NUMBERS):032d}", **values)


@breaks("sessions", "test_all_sessions_are_revoked_however_many")
async def revoke_all(real, user_id, *, but=None):
    """The first hundred end."""
    ended = (await real.list_for_user(user_id))[:100]
    return sum([await real.revoke(it.token) for it in ended if it.token != but])


@breaks("sessions", "test_what_is_revoked_meanwhile_does_not_come_back")
async def update(real, session_id, *, expected=None, **changes):
    """What was read is written back."""
    found = await real.find(session_id)
    await sleep(0.01)
    done = await real.update(session_id, expected=expected, **changes)
    if done is None and found is not None:
        done = await real.create(found.user_id, id=session_id, **changes)
    return done


# --- accounts --------------------------------------------------------------------------------


@breaks("accounts", "test_tokens_come_back_to_who_asks_for_them")
async def list_for_user(real, user_id):
    """Lists tell tokens."""
    return [await real.get(it.id) for it in await real.list_for_user(user_id)]


@breaks("accounts", "test_values_come_back")
async def create(real, user_id, provider_id, account_id, *, scope=None, **values):
    """What a provider allows is lost."""
    return await real.create(user_id, provider_id, account_id, **values)


@breaks("accounts", "test_an_account_is_linked_once")
async def create(real, *named, **values):
    """What is linked already is linked again."""
    return await real.upsert(*named, **values)


@breaks("accounts", "test_subjects_differ_in_case_and_blanks")
async def find(real, provider_id, account_id):
    """Blanks at the end are not compared."""
    return await real.find(provider_id, account_id.rstrip())


@breaks("accounts", "test_no_account_has_a_strange_id")
async def get(real, account_id):
    """A strange id is an error."""
    return await real.get(str(UUID(account_id)))


@breaks("accounts", "test_a_list_begins_with_the_oldest")
async def list_for_user(real, user_id):
    """The order is that of ids."""
    return sorted(await real.list_for_user(user_id), key=lambda it: it.id)


@breaks("accounts", "test_a_user_is_found_by_an_account")
async def get_by_provider(real, provider_id, account_id):
    """Everybody is found by 42."""
    return await real.get_by_provider(provider_id, "42")


@breaks("accounts", "test_nobody_has_no_accounts")
async def create(real, user_id, *named, **values):
    """Nobody has accounts, too."""
    try:
        return await real.create(user_id, *named, **values)
    except ReferenceViolation:
        return None


@breaks("accounts", "test_an_upsert_links_or_changes")
async def upsert(real, user_id, provider_id, account_id, **values):
    """Each time it is another account."""
    found = await real.find(provider_id, account_id)
    if found is not None:
        await real.unlink(user_id, found.id, even_last=True)
    return await real.create(user_id, provider_id, account_id, **values)


@breaks("accounts", "test_an_upsert_takes_nothing_from_another")
async def upsert(real, user_id, provider_id, account_id, **values):
    """The account is whoever's asks for it."""
    found = await real.find(provider_id, account_id)
    if found is None:
        return await real.create(user_id, provider_id, account_id, **values)
    return await real.update(found.id, user_id=user_id, **values)


@breaks("accounts", "test_an_update_changes_what_it_names")
async def update(real, account_id, **changes):
    """A change forgets what is allowed."""
    return await real.update(account_id, **{"scope": None, **changes})


@breaks("accounts", "test_an_account_is_unlinked_once")
async def unlink(real, user_id, account_id, **values):
    """Everybody is told that it was they."""
    await real.unlink(user_id, account_id, **values)
    return True


@breaks("accounts", "test_only_their_own_account_is_unlinked")
async def unlink(real, user_id, account_id, **values):
    """Whose it is is not asked."""
    found = await real.get(account_id)
    return await real.unlink(found.user_id if found else user_id, account_id, **values)


@breaks("accounts", "test_the_last_way_in_stays")
async def unlink(real, user_id, account_id, *, even_last=False):
    """The last one goes as any other."""
    return await real.unlink(user_id, account_id, even_last=True)


@breaks("accounts", "test_all_who_link_one_account_get_the_same")
async def upsert(real, user_id, provider_id, account_id, **values):
    """Who comes second is refused."""
    found = await real.find(provider_id, account_id)
    await sleep(0.01)
    if found is None:
        return await real.create(user_id, provider_id, account_id, **values)
    return await real.update(found.id, **values)


@breaks("accounts", "test_one_of_two_users_gets_an_account")
async def upsert(real, user_id, provider_id, account_id, **values):
    """Who comes second takes it over."""
    try:
        return await real.upsert(user_id, provider_id, account_id, **values)
    except UniqueViolation:
        found = await real.find(provider_id, account_id)
        return await real.update(found.id, user_id=user_id)


@breaks("accounts", "test_one_caller_changes_what_all_have_seen")
async def update(real, account_id, *, expected=None, **changes):
    """The old values are compared first, and the new ones are written later."""
    found = await real.get(account_id)
    await sleep(0.01)
    if any(getattr(found, it) != old for it, old in (expected or {}).items()):
        return None
    return await real.update(account_id, **changes)


@breaks("accounts", "test_one_caller_unlinks_an_account")
async def unlink(real, user_id, account_id, **values):
    """Whoever saw the account unlinked it."""
    found = await real.get(account_id)
    await sleep(0.01)
    await real.unlink(user_id, account_id, **values)
    return found is not None


@breaks("accounts", "test_callers_who_leave_one_way_in_leave_one")
async def unlink(real, user_id, account_id, *, even_last=False):
    """The ways in are counted first."""
    left = await real.list_for_user(user_id)
    await sleep(0.05)
    if len(left) == 1 and not even_last:
        raise LastAccount
    return await real.unlink(user_id, account_id, even_last=True)


@breaks("accounts", "test_methods_are_called_as_the_protocol_has_them")
async def find(real, provider_id, subject):
    """The parameter has another name."""
    return await real.find(provider_id, subject)


@breaks("accounts", "test_one_caller_links_an_account")
async def create(real, user_id, provider_id, account_id, **values):
    """Whoever saw no account made it."""
    found = await real.find(provider_id, account_id)
    await sleep(0.01)
    if found is not None:
        raise UniqueViolation("account", ["provider_id", "account_id"])
    return await real.upsert(user_id, provider_id, account_id, **values)


# --- verification values ---------------------------------------------------------------------


@breaks("verifications", "test_a_value_is_redeemed_once")
async def redeem(real, purpose, token):
    """What is redeemed stays."""
    found = await real.find(purpose, token)
    return found and found.value


@breaks("verifications", "test_one_caller_redeems")
async def redeem(real, purpose, token):
    """Whoever saw the value redeemed it."""
    found = await real.find(purpose, token)
    await sleep(0.01)
    await real.redeem(purpose, token)
    return found and found.value


@breaks("verifications", "test_tokens_differ", "test_one_token_may_have_several_purposes")
async def issue(real, purpose, value, *, expires_in, token=None):
    """There is one token."""
    return await real.issue(
        "sign-in", value, expires_in=expires_in, token="one of 128 bits, or so"
    )


@breaks("verifications", "test_a_value_is_any_text")
async def issue(real, purpose, value, **values):
    """Values are cut."""
    return await real.issue(purpose, value[:255], **values)


@breaks("verifications", "test_finding_redeems_nothing")
async def find(real, purpose, token):
    """Whoever looks redeems."""
    value = await real.redeem(purpose, token)
    return None if value is None else Found(value, is_expired=False)


@breaks("verifications", "test_a_value_is_discarded_once")
async def discard(real, purpose, token):
    """Everybody is told that it was they."""
    await real.discard(purpose, token)
    return True


@breaks("verifications", "test_a_token_of_one_purpose_is_nothing_in_another")
async def find(real, purpose, token):
    """What a token is for is not compared to the end."""
    found = await real.find(purpose, token)
    return found or await real.find("verify-email", token)


@breaks("verifications", "test_a_strange_token_stands_for_nothing")
async def find(real, purpose, token):
    """A strange token is an error."""
    return await real.find(purpose, token.encode().decode("ascii"))


@breaks("verifications", "test_a_value_expires")
async def find(real, purpose, token):
    """Nothing has expired."""
    found = await real.find(purpose, token)
    return found and replace(found, is_expired=False)


@breaks("verifications", "test_a_purge_deletes_what_has_expired")
async def purge(real):
    """What is purged is counted whenever it is asked for."""
    return await real.purge() or 3


@breaks("verifications", "test_a_value_is_issued_anew", "test_a_new_value_has_all_its_attempts")
async def issue(real, purpose, value, *, token=None, **values):
    """Who has a value keeps it."""
    found = await real.find(purpose, token) if token else None
    return token if found else await real.issue(purpose, value, token=token, **values)


@breaks("verifications", "test_attempts_come_to_an_end", "test_no_attempt_where_none_is_allowed")
async def attempt(real, purpose, token, *, limit):
    """One too many."""
    return await real.attempt(purpose, token, limit=limit + 1)


@breaks("verifications", "test_one_caller_discards")
async def discard(real, purpose, token):
    """Whoever saw the value discarded it."""
    found = await real.find(purpose, token)
    await sleep(0.01)
    await real.discard(purpose, token)
    return found is not None


@breaks("verifications", "test_so_many_callers_may_try")
async def attempt(real, purpose, token, *, limit):
    """A try that lost a race is tried no more."""
    may = await real.attempt(purpose, token, limit=limit - 1)
    await sleep(0.01)
    return may


@breaks("verifications", "test_of_all_who_issue_one_stays")
async def issue(real, purpose, value, *, token=None, **values):
    """Each keeps a value of their own."""
    if token is not None and await real.find(purpose, token) is not None:
        raise UniqueViolation("verification", ["identifier"])
    return await real.issue(purpose, value, token=token, **values)


@breaks("verifications", "test_methods_are_called_as_the_protocol_has_them")
async def attempt(real, purpose, code, *, limit):
    """The parameter has another name."""
    return await real.attempt(purpose, code, limit=limit)


@breaks("verifications", "test_tokens_have_nothing_in_common")
async def issue(real, purpose, value, *, token=None, **values):
    """Tokens are numbers."""
    return await real.issue(purpose, value, token=token or f"{next(NUMBERS):032d}", **values)


@breaks("verifications", "test_a_value_that_is_issued_meanwhile_stays")
async def redeem(real, purpose, token):
    """What is deleted need not be what was read."""
    found = await real.find(purpose, token)
    await sleep(0.01)
    await real.redeem(purpose, token)
    return found and found.value
