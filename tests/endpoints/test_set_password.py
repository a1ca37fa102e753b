"""The first password of who signs in without one: given from Python, never over HTTP."""

import pytest

from watchword import APIError, CoreError
from watchword.storage.query import F

OLD, NEW = "difference-engine", "analytical-engine"
SHORT, LONG = "x" * 7, "x" * 129


async def may_sign_in(new_browser, auth, password):
    """Tell whether a password is Ada's."""
    return (await new_browser(auth).sign_in(password=password)).status == 200


async def without_password(auth):
    """Let Ada sign in at a provider alone."""
    [account] = await auth.store.find_many("account")
    await auth.store.delete_many("account", None)
    await auth.store.create(
        "account",
        {"user_id": account["user_id"], "provider_id": "github", "account_id": "4242"},
    )


async def with_empty_password(auth):
    """Leave Ada an account for a password, and none in it."""
    await auth.store.update("account", F.provider_id == "credential", {"password": None})


def calls_of(auth, browser):
    """Call endpoints from Python for who is signed in at a browser."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return auth.api.on_behalf_of({"Cookie": cookie})


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_attack_a_password_set_over_http(auth, browser, method):
    """There is no such route: who borrows a session for a minute must not keep it for ever."""
    await browser.sign_up()
    await without_password(auth)

    answer = await browser.send(method, "/set-password", body={"newPassword": NEW})

    assert (answer.status, answer.body) == (404, b"")
    assert await auth.store.count("account", F.provider_id == "credential") == 0


@pytest.mark.parametrize("prepare", [without_password, with_empty_password])
async def test_a_first_password_is_set_from_python(auth, browser, new_browser, prepare):
    """On behalf of who is signed in; they sign in with it from then on."""
    await browser.sign_up()
    await prepare(auth)
    calls = calls_of(auth, browser)

    done = await calls.set_password(new_password=NEW)

    assert (done.status, calls.headers) == (True, [])
    assert await may_sign_in(new_browser, auth, NEW)
    assert await auth.store.count("account", F.provider_id == "credential") == 1
    assert (await browser.session()).json["user"]["email"] == "ada@example.org"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        (SHORT, CoreError.PASSWORD_TOO_SHORT),
        (LONG, CoreError.PASSWORD_TOO_LONG),
        (NEW, CoreError.PASSWORD_ALREADY_SET),
    ],
)
async def test_a_present_password_is_not_overwritten(auth, browser, new_browser, password, code):
    """The first of these reasons is raised."""
    await browser.sign_up()

    with pytest.raises(APIError) as refusal:
        await calls_of(auth, browser).set_password(new_password=password)

    assert (refusal.value.code, refusal.value.status) == (code, 400)
    assert await may_sign_in(new_browser, auth, OLD)


async def test_nobody_sets_no_password(auth, browser):
    """A call on nobody's behalf, or with a session that has ended, is refused."""
    await browser.sign_up()
    await auth.store.delete_many("session", None)

    for calls in (auth.api, calls_of(auth, browser)):
        with pytest.raises(APIError) as refusal:
            await calls.set_password(new_password=NEW)

        assert refusal.value.code is CoreError.UNAUTHORIZED
