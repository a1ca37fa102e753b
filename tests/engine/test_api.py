"""Endpoints as Python calls: what they return, on whose behalf, and what still guards them."""

import pytest

from watchword import (
    APIError,
    BlockingWatchword,
    CoreError,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    Identity,
    Plugin,
    UserOptions,
)
from watchword.endpoints import API, BlockingAPI
from watchword.endpoints.sign_up import SignedUp
from watchword.engine.api import Call
from watchword.engine.context import Context
from watchword.engine.endpoint import post
from watchword.engine.password_sign_in import SignedIn
from watchword.errors import ConfigurationError
from watchword.http.bodies import Answer, Body, Done
from watchword.http.messages import Request
from watchword.schema import Field
from watchword.storage.query import F

ADA = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
KNOWN = {key: ADA[key] for key in ("email", "password")}
# Called by browsers that follow a link, or by our own client alone.
ROUTES_WITHOUT_A_CALL = {
    ("GET", "/reset-password/:token"),
    ("GET", "/delete-user/callback"),
    ("GET", "/error"),
    ("POST", "/get-session"),
}


def cookies_of(headers):
    """Return the Cookie header of a browser that was sent these headers."""
    pairs = [value.partition(";")[0] for name, value in headers if name == "set-cookie"]
    return "; ".join(pairs)


async def refused(awaitable):
    """Return the error that a call raises."""
    with pytest.raises(APIError) as error:
        await awaitable
    return error.value


@pytest.fixture
def signed_in(auth):
    """Sign Ada up in Python; return the calls on her behalf."""

    async def signed_in(auth=auth):
        nobody = auth.api.on_behalf_of({})
        await nobody.sign_up_email(**ADA)
        return auth.api.on_behalf_of({"Cookie": cookies_of(nobody.headers)})

    return signed_in


# --- what there is ------------------------------------------------------------------------


def test_every_route_of_the_core_has_a_call(auth):
    """But for links that browsers follow; and every call has an endpoint."""
    calls = [it for it in vars(API.__mro__[1]).values() if isinstance(it, Call)]

    called = {auth._handler.endpoint_of(it._function) for it in calls}

    core = {it for it in auth.instance.endpoints if it.declaration.routed}
    assert {(it.method, it.path) for it in core - called} == ROUTES_WITHOUT_A_CALL
    assert {it.path for it in called - core} == {"/set-password"}
    assert len(called) == len(calls)


def test_both_kinds_of_instance_have_the_same_calls():
    """Each documented as its endpoint is."""
    calls = {name: getattr(API, name) for name in dir(API) if isinstance(getattr(API, name), Call)}

    assert all(getattr(BlockingAPI, name) is it for name, it in calls.items())
    assert [name for name, it in calls.items() if not it.__doc__] == []


# --- answers ------------------------------------------------------------------------------


async def test_a_call_returns_what_the_endpoint_returns(auth, count_rows):
    """As a value, with the user as one; the rows are those of a request."""
    made = await auth.api.sign_up_email(**ADA, image="https://example.org/a.png")

    found = await auth.api.sign_in_email(**KNOWN)

    assert isinstance(made, SignedUp)
    assert isinstance(found, SignedIn)
    assert (made.user.email, made.user.image) == ("ada@example.org", "https://example.org/a.png")
    assert found.user == made.user
    assert made.token != found.token
    assert (await count_rows(auth))["session"] == 2


async def test_refusals_are_raised(auth):
    """With their code, status and sentence."""
    await auth.api.sign_up_email(**ADA)

    wrong = await refused(auth.api.sign_in_email(email="ada@example.org", password="wrong"))
    taken = await refused(auth.api.sign_up_email(**ADA))

    assert (wrong.code, wrong.status) == (CoreError.INVALID_EMAIL_OR_PASSWORD, 401)
    assert wrong.message == "Invalid email or password"
    assert taken.code is CoreError.USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"email": "ada"}, "[body.email] Invalid email address"),
        ({"name": 5}, "[body.name] Invalid input: expected string, received number"),
        ({"image": None}, "[body.image] Invalid input: expected string, received null"),
        ({"password": ""}, "[body.password] Too small: expected string to have >=1 characters"),
        ({"name": "\0"}, "[body.name] Invalid input"),
    ],
)
async def test_what_is_given_is_checked_as_a_body_is(auth, change, message):
    """A program passes on what somebody typed."""
    error = await refused(auth.api.sign_up_email(**{**ADA, **change}))

    assert (error.code, error.message) == (CoreError.VALIDATION_ERROR, message)
    assert await auth.store.count("user") == 0


def test_arguments_that_no_endpoint_takes_are_a_mistake(auth):
    """Found where Python finds them."""
    with pytest.raises(TypeError):
        auth.api.sign_in_email(username="ada").send(None)


async def test_additional_fields_are_given_by_their_wire_names(new_auth):
    """And guarded like those of a body."""
    fields = {"nick_name": Field("string"), "role": Field("string", default="", input=False)}
    auth = new_auth(user=UserOptions(additional_fields=fields))

    made = await auth.api.sign_up_email(
        **ADA, additional_fields={"nickName": "Countess", "role": "admin"}
    )
    missing = await refused(auth.api.sign_up_email(**{**ADA, "email": "eve@example.org"}))

    assert made.user.extra == {"nick_name": "Countess", "role": ""}
    assert (missing.code, missing.message) == (CoreError.MISSING_FIELD, "nickName is required")


# --- on whose behalf ----------------------------------------------------------------------


async def test_nobody_is_signed_in_unless_it_is_said(auth, signed_in):
    """The calls of an instance are on nobody's behalf, whatever others did."""
    await signed_in()

    assert await auth.api.get_session() is None
    assert (await refused(auth.api.list_accounts())).code is CoreError.UNAUTHORIZED


async def test_calls_are_on_behalf_of_who_sends_a_request(auth, browser):
    """Its cookies tell who; its headers and address go into a new session."""
    await browser.sign_up()
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = (("cookie", cookie), ("user-agent", "Analytical/1.0"))
    request = Request(method="GET", path="/me", headers=headers, client_address="198.51.100.9")

    calls = auth.api.on_behalf_of(request)
    found = await calls.get_session()
    made = await calls.sign_in_email(**KNOWN)

    assert found.user.email == "ada@example.org"
    sessions = await auth.store.find_many("session", F.ip_address == "198.51.100.9")
    assert [it["user_agent"] for it in sessions] == ["Analytical/1.0"]
    assert made.token in dict(calls.headers)["set-cookie"]


@pytest.mark.parametrize("name", ["cookie", "Cookie", "COOKIE"])
async def test_a_mapping_of_headers_is_enough(auth, signed_in, name):
    """However their names are spelt."""
    cookie = (await signed_in())._request.header("cookie")

    found = await auth.api.on_behalf_of({name: cookie}).get_session()

    assert found.user.name == "Ada"


async def test_attack_forged_cookie(auth):
    """A signature is checked here too; cookies that lead nowhere are cleared."""
    calls = auth.api.on_behalf_of({"cookie": "better-auth.session_token=forged.signature"})

    assert await calls.get_session() is None
    assert (await refused(calls.delete_user())).code is CoreError.UNAUTHORIZED


async def test_cookies_gather_for_who_was_named(auth):
    """Of several calls in order, and of a call that fails; others' calls see none of them."""
    first, second = auth.api.on_behalf_of({}), auth.api.on_behalf_of({})
    await first.sign_up_email(**ADA)
    await first.sign_in_email(**KNOWN, remember_me=False)
    after = [value.partition("=")[0] for name, value in first.headers if name == "set-cookie"]

    ended = first.on_behalf_of({"cookie": cookies_of(first.headers)})
    await auth.store.delete_many("session", None)
    await refused(ended.list_accounts())

    assert after == [
        "better-auth.session_token",
        "better-auth.session_token",
        "better-auth.dont_remember",
    ]
    assert sum("Max-Age=0" in value for _, value in ended.headers) == 3
    assert (second.headers, len(first.headers)) == ([], 3)


async def test_calls_on_nobodys_behalf_gather_nothing(auth):
    """One `api` may serve a whole program: cookies of all its users would meet there."""
    api = auth.api

    await api.sign_up_email(**ADA)
    await api.sign_in_email(**KNOWN)

    assert api.headers == []
    assert auth.api.headers == []


# --- guards -------------------------------------------------------------------------------


async def test_a_recent_sign_in_is_asked_for_as_over_http(auth, signed_in, clock):
    """A day later it is not."""
    calls = await signed_in()
    listed = await calls.list_sessions()
    clock.advance(days=1)

    error = await refused(calls.list_sessions())

    assert [it.user_id for it in listed] == [(await calls.get_session()).user.id]
    assert error.code is CoreError.SESSION_NOT_FRESH


async def test_no_origin_is_asked_for(auth, signed_in):
    """The caller is our own program, whatever page the cookies came from."""
    cookie = (await signed_in())._request.header("cookie")
    evil = {"cookie": cookie, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}

    calls = auth.api.on_behalf_of(evil)

    assert await calls.update_user(name="Countess") == Done()
    assert (await calls.sign_in_email(**KNOWN)).user.name == "Countess"


async def test_a_first_password_is_set_from_python_alone(auth, signed_in, browser):
    """There is no route to it, and it needs who is signed in."""
    calls = await signed_in()
    await auth.store.delete_many("account", None)

    over_http = await browser.post("/set-password", {"newPassword": "analytical-engine"})
    nobody = await refused(auth.api.set_password(new_password="analytical-engine"))
    short = await refused(calls.set_password(new_password="x"))
    done = await calls.set_password(new_password="analytical-engine")
    again = await refused(calls.set_password(new_password="analytical-engine"))

    assert (over_http.status, over_http.body) == (404, b"")
    assert nobody.code is CoreError.UNAUTHORIZED
    assert short.code is CoreError.PASSWORD_TOO_SHORT
    assert done == Done()
    assert again.code is CoreError.PASSWORD_ALREADY_SET
    assert (await browser.sign_in(password="analytical-engine")).status == 200


async def test_links_are_opened_from_python(new_auth, signed_in):
    """The whole way, from the sign-up to the deletion."""
    outbox = []
    auth = new_auth(
        mail=outbox.append,
        email_password=EmailPassword(),
        email_verification=EmailVerification(send_on_sign_up=True),
        user=UserOptions(delete_user=DeleteUser(confirm_by_mail=True)),
    )
    calls = await signed_in(auth)
    await auth.drain()

    verified = await auth.api.verify_email(token=outbox[0].token)
    led = await auth.api.verify_email(token=outbox[0].token, callback_url="/welcome")
    asked = await calls.delete_user()
    await auth.drain()
    deleted = await calls.delete_user(token=outbox[1].token)

    assert (verified.status, verified.user) == (True, None)
    assert (led.status, dict(led.headers)["location"]) == (302, "/welcome")
    assert [asked.message, deleted.message] == ["Verification email sent", "User deleted"]
    assert await auth.store.count("user") == 0


# --- blocking -----------------------------------------------------------------------------


def test_a_blocking_instance_has_functions(sqlite_database, cheap_passwords):
    """The same calls, done when they return."""
    auth = BlockingWatchword(
        sqlite_database,
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        email_password=EmailPassword(),
        passwords=cheap_passwords,
    )
    auth.create_tables()
    calls = auth.api.on_behalf_of({})

    made = calls.sign_up_email(**ADA)
    signed_in = auth.api.on_behalf_of({"cookie": cookies_of(calls.headers)})
    found = signed_in.get_session()

    assert isinstance(made, SignedUp)
    assert Identity(found.session, found.user).user == made.user
    with pytest.raises(APIError) as error:
        auth.api.sign_in_email(email="ada@example.org", password="wrong")
    assert error.value.code is CoreError.INVALID_EMAIL_OR_PASSWORD
    assert signed_in.sign_out().success is True
    assert signed_in.get_session() is None
    auth.close()


# --- plugins ------------------------------------------------------------------------------


class Greeting(Body, frozen=True):
    """Whom to greet."""

    first_name: str


class Greeted(Answer, frozen=True):
    """The greeting."""

    text: str


class Greeter(Plugin):
    """Greets."""

    id = "greeter"

    @post("/greet")
    async def greet(self, ctx: Context, body: Greeting) -> Greeted:
        """Say hello to somebody."""
        return Greeted(text=f"Hello {body.first_name}, from {ctx.user_agent}")


async def test_endpoints_of_plugins_are_called_by_their_method(new_auth, auth):
    """Where the plugin is enabled; elsewhere that is a mistake with a hint."""
    enabled = new_auth(plugins=[Greeter()]).api.on_behalf_of({"user-agent": "Analytical/1.0"})

    answer = await enabled.call(Greeter.greet, Greeting(first_name="Ada"))

    assert answer == Greeted(text="Hello Ada, from Analytical/1.0")
    with pytest.raises(ConfigurationError, match=r"no endpoint Greeter\.greet") as error:
        await auth.api.call(Greeter.greet, Greeting(first_name="Ada"))
    assert "Enable the plugin" in error.value.hint
