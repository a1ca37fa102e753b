"""What a new password by mail ends: sessions, older links, links of who has changed."""

import pytest

from watchword import (
    ChangeEmail,
    DatabaseHook,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    UserOptions,
)
from watchword.storage.query import F

ADDRESS = "ada@example.org"
OLD, NEW, NEWER = "difference-engine", "analytical-engine", "jacquard-loom"
DONE = (200, {"status": True})
INVALID = (400, {"message": "Invalid token", "code": "INVALID_TOKEN"})
STEPS = [("session", "delete"), ("account", "update"), ("verification", "delete")]


@pytest.fixture
def auth(new_auth, outbox):
    """An instance in memory that sends mail."""
    return new_auth(mail=outbox.append)


@pytest.fixture(params=[lambda _row: False, lambda _row: 1 / 0], ids=["refuses", "raises"])
def hook(request):
    """A database hook that lets nothing pass."""
    return request.param


@pytest.fixture(params=STEPS, ids=lambda it: f"{it[1]} {it[0]}")
def failing(request, auth, new_auth, new_browser, hook):
    """A browser at an instance on the same memory where one step of a reset fails."""
    model, operation = request.param
    hooks = [DatabaseHook(model=model, operation=operation, before=hook)]
    return new_browser(new_auth(auth.adapter, database_hooks=hooks))


async def token_for(visitor, outbox):
    """Ask for a link and return its token."""
    await visitor.post("/request-password-reset", {"email": ADDRESS})
    return outbox[-1].token


async def reset(visitor, token, password=NEW):
    """Redeem a token."""
    return await visitor.post("/reset-password", {"newPassword": password, "token": token})


async def may_sign_in(visitor, password):
    """Tell whether a password is Ada's."""
    return (await visitor.sign_in(password=password)).status == 200


# --- what a reset ends -------------------------------------------------------------------


async def test_every_session_ends(auth, ada, visitor, new_browser, outbox):
    """Whoever stole the password may be signed in; others' users are left alone."""
    thief, bob = new_browser(auth), new_browser(auth)
    await thief.sign_in()
    await bob.sign_up(email="bob@example.org")

    await reset(visitor, await token_for(visitor, outbox))

    assert [(await it.session()).body for it in (ada, thief)] == [b"null"] * 2
    assert (await bob.session()).json["user"]["email"] == "bob@example.org"
    assert (await bob.sign_in(email="bob@example.org")).status == 200


async def test_sessions_can_be_kept(new_auth, new_browser, outbox):
    """If the application says so."""
    options = EmailPassword(revoke_sessions_on_password_reset=False)
    auth = new_auth(mail=outbox.append, email_password=options)
    ada, visitor = new_browser(auth), new_browser(auth)
    await ada.sign_up()

    await reset(visitor, await token_for(visitor, outbox))

    assert (await ada.session()).json["user"]["email"] == ADDRESS
    assert await may_sign_in(visitor, NEW)


async def test_a_reset_that_fails_half_way_changes_nothing(ada, visitor, outbox, failing):
    """The password and the sessions stay as they were, and the link still works."""
    token = await token_for(visitor, outbox)

    answer = await reset(failing, token)

    assert answer.status in {403, 500}
    assert (await ada.session()).json["user"]["email"] == ADDRESS
    assert await may_sign_in(visitor, OLD)
    assert (await reset(visitor, token)).status == 200


async def test_the_application_is_told_of_a_reset(new_auth, new_browser, outbox, caplog):
    """Once, when it is done; what it raises changes nothing."""
    told = []

    def tell(user):
        told.append(user)
        raise RuntimeError("the application failed")

    auth = new_auth(mail=outbox.append, email_password=EmailPassword(on_password_reset=tell))
    visitor = new_browser(auth)
    await visitor.sign_up()
    token = await token_for(visitor, outbox)
    refused = await reset(visitor, token, "short")
    told_of_refusal = list(told)

    answer = await reset(visitor, token)

    assert (refused.status, told_of_refusal) == (400, [])
    assert (answer.status, answer.json) == DONE
    assert [user.email for user in told] == [ADDRESS]
    assert "the application failed" in caplog.text


# --- links that are no longer good -------------------------------------------------------


async def test_older_links_die_with_the_password(ada, visitor, outbox):
    """Whether it was changed by another link or by who knew it."""
    first, second = [await token_for(visitor, outbox) for _ in range(2)]
    await reset(visitor, second)
    third = await token_for(visitor, outbox)
    await visitor.sign_in(password=NEW)
    await visitor.post("/change-password", {"currentPassword": NEW, "newPassword": NEWER})

    answers = [await reset(visitor, it, OLD) for it in (first, third)]

    assert [(it.status, it.json) for it in answers] == [INVALID] * 2
    assert await may_sign_in(visitor, NEWER)


async def test_attack_a_link_to_an_address_that_was_given_up(auth, ada, visitor, outbox):
    """Who still reads the old mailbox does not get the account."""
    token = await token_for(visitor, outbox)
    await auth.store.update("user", F.email == ADDRESS, {"email": "new@example.org"})

    answer = await reset(visitor, token)

    assert (answer.status, answer.json) == INVALID
    assert (await visitor.sign_in(email="new@example.org")).status == 200


async def test_a_user_who_is_gone_is_told_of(auth, ada, visitor, outbox):
    """To who reads their mail; nothing is made up for them."""
    token = await token_for(visitor, outbox)
    await auth.store.delete("user", F.email == ADDRESS)

    answer = await reset(visitor, token)

    assert (answer.status, answer.json) == (
        400,
        {"message": "User not found", "code": "USER_NOT_FOUND"},
    )
    assert await auth.store.count("account") == 0


async def test_a_user_who_goes_in_the_last_moment_is_told_of(
    auth, new_auth, ada, new_browser, outbox
):
    """Between the look at the user and the new account: refused alike, and all is undone."""
    await auth.store.delete_many("account", None)
    token = await token_for(ada, outbox)

    async def delete_meanwhile(_account):
        await auth.adapter.delete_many("user", F.email == ADDRESS)

    hook = DatabaseHook(model="account", operation="create", before=delete_meanwhile)
    answer = await reset(new_browser(new_auth(auth.adapter, database_hooks=[hook])), token)

    assert answer.refusal == (400, "USER_NOT_FOUND")
    assert await auth.store.count("account") == 0


async def test_attack_a_link_for_who_had_the_address_before(auth, ada, visitor, outbox):
    """Who signs up with an address that became free is somebody else."""
    token = await token_for(visitor, outbox)
    await auth.store.delete("user", F.email == ADDRESS)
    await visitor.sign_up(password=NEWER)

    answer = await reset(visitor, token)

    assert answer.status == 400
    assert await may_sign_in(visitor, NEWER)


async def test_attack_tokens_of_other_flows(new_auth, new_browser, outbox):
    """A link that verifies an address or deletes an account sets no password."""
    auth = new_auth(
        mail=outbox.append,
        email_verification=EmailVerification(send_on_sign_up=True),
        user=UserOptions(
            delete_user=DeleteUser(confirm_by_mail=True),
            change_email=ChangeEmail(),
        ),
    )
    browser = new_browser(auth)
    await browser.sign_up()
    await browser.post("/delete-user", {})
    await browser.post("/change-email", {"newEmail": "new@example.org"})
    tokens = {mail.purpose: mail.token for mail in outbox}

    answers = [await reset(new_browser(auth), token) for token in tokens.values()]

    assert set(tokens) == {"verify-email", "delete-user", "verify-new-email"}
    assert [(it.status, it.json) for it in answers] == [INVALID] * 3
    assert await may_sign_in(browser, OLD)


async def test_attack_a_reset_link_in_other_flows(new_auth, new_browser, outbox):
    """It verifies no address and deletes no account, and still sets the password."""
    auth = new_auth(
        mail=outbox.append,
        email_verification=EmailVerification(),
        user=UserOptions(delete_user=DeleteUser()),
    )
    browser = new_browser(auth)
    await browser.sign_up()
    token = await token_for(browser, outbox)

    verified = await browser.get("/verify-email", query=f"token={token}")
    deleted = await browser.post("/delete-user", {"token": token})

    assert verified.refusal == (401, "INVALID_TOKEN")
    assert deleted.refusal == (404, "INVALID_TOKEN")
    assert (await reset(browser, token)).status == 200


async def test_attack_work_for_garbage(new_auth, new_browser, work, outbox, clock):
    """Only a token that works buys a hash; a hundred that do not would stall everyone."""
    passwords, calls = work
    visitor = new_browser(new_auth(mail=outbox.append, passwords=passwords))
    await visitor.sign_up()
    expired = await token_for(visitor, outbox)
    clock.advance(hours=1)
    good = await token_for(visitor, outbox)
    calls.clear()

    for token in ("garbage", expired, good[:-1], good.swapcase()):
        await reset(visitor, token)
    await reset(visitor, good, "short")
    wasted = list(calls)
    await reset(visitor, good)

    assert wasted == []
    assert [name for name, _ in calls] == ["_hash"]
