"""Ways to keep, or to get, an account that is somebody else's: each ends at a refusal."""

from datetime import timedelta

import pytest

from watchword import (
    APIError,
    ChangeEmail,
    EmailPassword,
    EmailVerification,
    EndpointHook,
    Field,
    Plugin,
    SessionOptions,
    UserOptions,
)
from watchword.http.messages import Response
from watchword.schema import Model

NEW_PASSWORD = "analytical-engine"


class Teams(Plugin):
    """Something that users can point at."""

    id = "teams"
    models = (Model("team", {"name": Field("string")}),)


@pytest.fixture
def outbox():
    """The mail that went out."""
    return []


@pytest.fixture
def owner(new_auth, new_browser, outbox):
    """The browser of Ada, who can change her address and reset her password."""

    async def owner(change=None):
        auth = new_auth(
            mail=outbox.append,
            email_verification=EmailVerification(),
            user=UserOptions(change_email=change or ChangeEmail()),
        )
        browser = new_browser(auth)
        await browser.sign_up()
        await auth.store.update_many("user", None, {"email_verified": True})
        return browser

    return owner


async def reset(browser, outbox):
    """Let the owner set a new password by mail."""
    await browser.post("/request-password-reset", {"email": "ada@example.org"})
    body = {"token": outbox[-1].token, "newPassword": NEW_PASSWORD}
    return await browser.post("/reset-password", body)


@pytest.mark.parametrize("confirms", [True, False])
async def test_attack_a_change_of_address_outlives_the_password(
    owner, new_browser, outbox, confirms
):
    """Who knew the old password has a link waiting; the reset kills it."""
    ada = await owner(ChangeEmail(confirm_with_old_address=confirms))
    thief = new_browser(ada.auth)
    await thief.sign_in()
    await thief.post("/change-email", {"newEmail": "thief@example.org"})
    waiting = outbox[-1].token
    await reset(ada, outbox)

    answer = await thief.get("/verify-email", query=f"token={waiting}")

    assert answer.refusal == (401, "INVALID_TOKEN")
    assert (await ada.sign_in(password=NEW_PASSWORD)).status == 200


async def test_attack_a_confirmed_change_outlives_the_password(owner, outbox, new_browser):
    """The link to the new address is as dead as the one to the old."""
    ada = await owner(ChangeEmail(confirm_with_old_address=True))
    await ada.post("/change-email", {"newEmail": "thief@example.org"})
    await ada.get("/verify-email", query=f"token={outbox[-1].token}")
    waiting = outbox[-1]
    await reset(ada, outbox)

    answer = await new_browser(ada.auth).get("/verify-email", query=f"token={waiting.token}")

    assert (waiting.to, answer.refusal) == ("thief@example.org", (401, "INVALID_TOKEN"))


async def test_a_confirmed_change_to_an_address_taken_meanwhile_mails_nobody(
    owner, outbox, new_browser
):
    """Its owner asked for nothing, and who asked learns nothing."""
    ada = await owner(ChangeEmail(confirm_with_old_address=True))
    await ada.post("/change-email", {"newEmail": "eve@example.org"})
    await new_browser(ada.auth).sign_up(email="eve@example.org")

    answer = await ada.get("/verify-email", query=f"token={outbox[-1].token}")

    assert (answer.status, [mail.to for mail in outbox]) == (200, ["ada@example.org"])


async def test_attack_a_shared_answer_hands_on_a_session(new_auth, new_browser):
    """A hook may return one `Response` for ever; cookies go to whom they belong."""
    shared = Response.json({"welcome": True})
    hook = EndpointHook(path="/sign-in/email", after=lambda _: shared)
    browser = new_browser(new_auth(hooks=[hook]))
    await browser.sign_up()
    stranger = new_browser(browser.auth)

    mine = await browser.sign_in()
    theirs = await stranger.sign_in(password="not-the-password")

    assert (len(mine.set_cookies), theirs.set_cookies) == (1, [])
    assert (await stranger.session()).json is None


async def test_attack_additional_fields_that_are_none(auth):
    """A form's further fields do not take the place of what the server gives."""
    signed_up = await auth.api.sign_up_email(
        name="Ada",
        email="invited@example.org",
        password="difference-engine",
        additional_fields={"email": "thief@example.org", "password": NEW_PASSWORD, "name": "X"},
    )

    assert (signed_up.user.email, signed_up.user.name) == ("invited@example.org", "Ada")
    with pytest.raises(APIError):
        await auth.api.sign_in_email(email="invited@example.org", password=NEW_PASSWORD)


async def test_attack_leaving_a_cookie_out_to_be_remembered(new_auth, new_browser, clock):
    """A session of one day ends after it, whatever cookies are sent."""
    browser = new_browser(new_auth(session=SessionOptions(update_age=timedelta(0))))
    await browser.sign_up()
    await browser.sign_in(rememberMe=False)
    del browser.cookies["better-auth.dont_remember"]
    clock.advance(hours=23)
    before = (await browser.session()).json

    clock.advance(hours=2)

    assert before["user"]["name"] == "Ada"
    assert (await browser.session()).json is None


async def test_attack_a_reference_tells_who_is_known(new_auth, new_browser):
    """A value that points at nothing is refused for a known address as for an unknown one."""
    fields = {"team_id": Field.reference("team", required=False)}
    auth = new_auth(
        email_password=EmailPassword(hide_existing_users=True),
        plugins=[Teams()],
        user=UserOptions(additional_fields=fields),
    )
    browser = new_browser(auth)
    await browser.sign_up()
    nowhere = "01890000-0000-7000-8000-000000000000"

    known = await browser.sign_up(teamId=nowhere)
    unknown = await browser.sign_up(teamId=nowhere, email="new@example.org")

    assert (known.refusal, unknown.refusal) == ((422, "FAILED_TO_CREATE_USER"),) * 2


async def test_attack_an_additional_field_by_the_name_of_another(auth):
    """What was not given by its own name is not given."""
    api = auth.api.on_behalf_of({})
    await api.sign_up_email(name="Ada", email="ada@example.org", password="difference-engine")
    cookie = dict(api.headers)["set-cookie"].partition(";")[0]

    with pytest.raises(APIError, match="No fields to update"):
        await auth.api.on_behalf_of({"cookie": cookie}).update_user(
            additional_fields={"name": "Mallory"}
        )
