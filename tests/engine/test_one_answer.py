"""What an answer carries is said once, and what an endpoint refuses is refused as one thing."""

from datetime import timedelta

import pytest

from watchword import (
    APIError,
    ConfigurationError,
    DatabaseHook,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    EndpointCall,
    EndpointHook,
    Plugin,
    RateLimits,
    SessionOptions,
    UserOptions,
)
from watchword.endpoints.sign_in import SignInBody
from watchword.engine.context import Context
from watchword.engine.endpoint import get


async def test_a_cookie_is_set_once_in_an_answer(new_auth, new_browser, clock):
    """A session that is renewed and then handed over again has one cookie."""
    auth = new_auth(session=SessionOptions(update_age=timedelta(hours=1)))
    browser = new_browser(auth)
    await browser.sign_up()
    clock.advance(hours=2)

    answer = await browser.post("/update-user", {"name": "Countess"})

    assert answer.status == 200
    assert len(answer.set_cookies) == 1


async def test_the_last_word_on_a_cookie_counts(new_auth, new_browser, clock):
    """A session that is renewed and then revoked is forgotten, and nothing else is said."""
    auth = new_auth(session=SessionOptions(update_age=timedelta(hours=1)))
    browser = new_browser(auth)
    await browser.sign_up()
    clock.advance(hours=2)

    answer = await browser.post("/revoke-sessions", {})

    assert [it.partition("=")[0] for it in answer.set_cookies] == [
        "better-auth.session_token",
        "better-auth.session_data",
        "better-auth.dont_remember",
    ]
    assert all("Max-Age=0" in it for it in answer.set_cookies)


async def test_a_hook_that_refuses_is_a_refusal_in_python_too(new_auth):
    """Callers catch one class, over HTTP they read one shape."""
    hook = DatabaseHook(model="user", operation="update", before=lambda _: False)
    api = new_auth(database_hooks=[hook]).api.on_behalf_of({})
    await api.sign_up_email(name="Ada", email="ada@example.org", password="difference-engine")
    cookie = dict(api.headers)["set-cookie"].partition(";")[0]

    with pytest.raises(APIError) as refusal:
        await api.on_behalf_of({"cookie": cookie}).update_user(name="Countess")

    assert (refusal.value.status, refusal.value.code.name) == (403, "OPERATION_REFUSED")


async def test_what_does_not_fit_is_a_refusal_in_python_too(new_auth):
    """A name of more characters than are kept is named, and the limit with it."""
    api = new_auth().api

    with pytest.raises(APIError) as refusal:
        await api.sign_up_email(
            name="A" * 256, email="ada@example.org", password="difference-engine"
        )

    assert refusal.value.code.name == "VALIDATION_ERROR"
    assert refusal.value.message.startswith("[body.name] Too big")


async def test_the_environment_adds_to_a_function_of_trusted_origins(
    new_auth, new_browser, monkeypatch
):
    """Neither takes the other's place."""
    monkeypatch.setenv("WATCHWORD_TRUSTED_ORIGINS", "https://added.example")
    auth = new_auth(trusted_origins=lambda _: ["https://given.example"])
    browser = new_browser(auth, {"any": "cookie"})
    origins = ("https://added.example", "https://given.example", "https://other.example")

    answers = [
        await browser.post("/sign-out", {}, headers={"origin": origin}) for origin in origins
    ]

    assert [it.status for it in answers] == [200, 200, 403]


async def test_a_path_with_a_parameter_can_be_disabled(new_auth, new_browser):
    """By the route as it is declared."""
    browser = new_browser(new_auth(disabled_paths=["/reset-password/:token"]))

    answer = await browser.get("/reset-password/some-token", query="callbackURL=/")

    assert (answer.status, answer.body) == (404, b"Not Found")


async def test_a_link_renews_no_session_where_renewal_is_deferred(new_auth, new_browser, clock):
    """It verifies the address; what is asked for by POST alone is left to that."""
    outbox = []
    auth = new_auth(
        session=SessionOptions(defer_refresh=True),
        email_verification=EmailVerification(send_on_sign_up=True, expires_in=timedelta(days=3)),
        mail=outbox.append,
    )
    browser = new_browser(auth)
    await browser.sign_up()
    [before] = await auth.store.find_many("session")
    clock.advance(days=2)

    answer = await browser.get("/verify-email", query=f"token={outbox[0].token}")

    assert answer.status == 200
    assert await auth.store.find_many("session") == [before]


@pytest.mark.parametrize("path", ["/verify-password", "/delete-user"])
async def test_attack_guessing_a_password_with_a_stolen_session(new_auth, new_browser, path):
    """As few tries as at the sign-in."""
    auth = new_auth(
        email_password=EmailPassword(),
        user=UserOptions(delete_user=DeleteUser()),
        rate_limits=RateLimits(),
    )
    browser = new_browser(auth)
    await browser.sign_up()

    answers = [await browser.post(path, {"password": f"guess-{it}"}) for it in range(4)]

    assert [it.status for it in answers] == [400, 400, 400, 429]


# --- what goes wrong --------------------------------------------------------------------


class Failing(Plugin):
    """An endpoint whose path carries a token, and that fails."""

    id = "failing"

    @get("/failing/:token")
    async def fail(self, ctx: Context, token: str) -> None:
        """Fail without saying why."""
        raise ZeroDivisionError


async def test_attack_reading_a_token_in_a_log(new_auth, new_browser, caplog):
    """The path is told as it is declared."""
    browser = new_browser(new_auth(plugins=[Failing()]))

    answer = await browser.get("/failing/a-secret-token")

    assert answer.status == 500
    assert "GET /failing/:token failed" in caplog.text
    assert "a-secret-token" not in caplog.text


async def test_a_header_that_cannot_be_sent_is_left_out(new_auth, new_browser, caplog):
    """The mistake is the hook's; the answer is still the endpoint's."""

    def add(call: EndpointCall) -> None:
        call.headers.append(("x-name", "Ada\r\nset-cookie: stolen=1"))

    browser = new_browser(new_auth(hooks=[EndpointHook(path="/ok", after=add)]))

    answer = await browser.get("/ok")

    assert (answer.status, answer.header("x-name"), answer.set_cookies) == (200, None, [])
    assert "a hook's header is left out" in caplog.text


async def test_attack_thousands_of_parts_of_a_cookie(browser):
    """As many are cleared as a cookie was ever divided into."""
    browser.cookies.update({f"better-auth.session_data.{it}": "x" for it in range(2000)})

    answer = await browser.post("/sign-out", {})

    assert (answer.status, len(answer.set_cookies)) == (200, 103)


async def test_attack_a_mail_of_megabytes(new_auth, new_browser):
    """What is sent on to whomever the caller names is short."""
    browser = new_browser(new_auth(mail=lambda _: None))
    body = {"email": "ada@example.org", "redirectTo": f"/{'é' * 2000}"}

    answer = await browser.post("/request-password-reset", body)

    assert answer.refusal == (403, "INVALID_REDIRECT_URL")


def test_a_body_in_a_log_shows_nothing_that_was_sent():
    """Passwords are among it."""
    body = SignInBody(email="ada@example.org", password="difference-engine")

    assert repr(body) == "SignInBody(…)"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"disabled_paths": ["sign-up/email"]}, "does not begin with a slash"),
        (
            {
                "email_password": EmailPassword(require_email_verification=True),
                "mail": lambda _: None,
            },
            "no mail that verifies one is sent",
        ),
    ],
)
def test_what_would_silently_do_nothing_is_refused(new_auth, settings, said):
    """At start-up, with a hint."""
    with pytest.raises(ConfigurationError, match=said):
        new_auth(**settings)
