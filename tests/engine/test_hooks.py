"""Hooks around endpoints: what they see, what they may change, and in which order they run."""

from dataclasses import dataclass

import pytest

from watchword import (
    APIError,
    ConfigurationError,
    CoreError,
    EndpointCall,
    EndpointHook,
    Plugin,
    RateLimits,
)
from watchword.engine.context import Context
from watchword.engine.hooks import after, before
from watchword.http.messages import Response

REFUSAL = APIError(CoreError.OPERATION_REFUSED, message="Not on Sundays")
TEAPOT = Response(418, [("content-type", "application/json")], b'{"pot":"tea"}')


@pytest.fixture
def calls() -> list[EndpointCall]:
    """What hooks were told."""
    return []


@pytest.fixture
def hooked(new_auth, new_browser):
    """Return a browser at an instance with hooks."""
    return lambda *hooks, **settings: new_browser(new_auth(hooks=hooks, **settings))


async def test_hooks_see_the_call(hooked, calls):
    """Before it what was sent, unchecked; after it what came of it, and who was signed in."""
    browser = hooked(EndpointHook(path="/sign-up/email", before=calls.append, after=calls.append))

    answer = await browser.sign_up(more="x", callbackURL="/")

    before, after = calls
    assert before.path == after.path == "/sign-up/email"
    assert before.body["more"] == "x"
    assert (before.new_session, before.returned) == (None, None)
    assert before.request.header("origin") == "http://localhost:8000"
    assert after.new_session.user.email == "ada@example.org"
    assert after.new_session.session.token == answer.json["token"]
    assert after.returned.token == answer.json["token"]


async def test_hooks_are_asked_per_route(hooked, calls):
    """Exactly theirs; nobody is asked about paths that are no route."""
    browser = hooked(EndpointHook(path="/sign-in/email", before=calls.append))

    await browser.sign_up()
    await browser.get("/sign-in/email")
    await browser.post("/sign-in/unknown", {})
    unasked = list(calls)
    await browser.sign_in()

    assert unasked == []
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("*", ["/sign-up/email", "/sign-in/email", "/get-session", "/sign-out"]),
        ("/sign-*", ["/sign-up/email", "/sign-in/email", "/sign-out"]),
        ("/sign-??/email", ["/sign-up/email", "/sign-in/email"]),
        ("/SIGN-IN/*", []),
        ("/sign-in", []),
    ],
)
async def test_wildcards_name_several_routes(hooked, calls, path, asked):
    """As paths are compared: with their case."""
    browser = hooked(EndpointHook(path=path, after=calls.append))

    await browser.sign_up()
    await browser.sign_in()
    await browser.session()
    await browser.post("/sign-out", {})

    assert [call.path for call in calls] == asked


@pytest.mark.parametrize("path", ["", "sign-in/email", "https://example.org"])
def test_a_hook_for_no_route_is_refused(path):
    """It would never run."""
    with pytest.raises(ConfigurationError, match="does not begin with a slash") as error:
        EndpointHook(path=path)

    assert "/sign-in/*" in error.value.hint


# --- before -------------------------------------------------------------------------------


async def test_a_hook_changes_the_body(hooked, calls):
    """Later hooks and the endpoint see it; what it returns is checked as a body is."""

    async def add_name(call):
        return {"name": call.body["email"].partition("@")[0].upper()}

    browser = hooked(
        EndpointHook(path="/sign-up/*", before=add_name),
        EndpointHook(path="/sign-up/*", before=calls.append, after=calls.append),
    )

    answer = await browser.sign_up(name="x")

    assert answer.json["user"]["name"] == "ADA"
    assert [call.body["name"] for call in calls] == ["ADA", "ADA"]


async def test_what_a_hook_puts_in_is_checked(hooked):
    """It cannot reach the endpoint with another type."""
    browser = hooked(EndpointHook(path="/sign-up/email", before=lambda _call: {"name": 5}))

    answer = await browser.sign_up()

    assert answer.refusal == (400, "VALIDATION_ERROR")


async def test_a_hook_answers_instead(hooked, calls):
    """The endpoint does not run, nor do the hooks behind it; its headers go out."""

    def answer_instead(call):
        call.headers.append(("x-hook", "first"))
        return TEAPOT

    browser = hooked(
        EndpointHook(path="*", before=answer_instead),
        EndpointHook(path="*", before=calls.append, after=calls.append),
    )

    answer = await browser.sign_up()

    assert (answer.status, answer.json, answer.header("x-hook")) == (418, {"pot": "tea"}, "first")
    assert (calls, await browser.auth.store.count("user")) == ([], 0)


async def test_a_hook_refuses(hooked, calls):
    """Before the body is looked at; hooks after the endpoint hear of it."""

    def refuse(_call):
        raise REFUSAL

    browser = hooked(
        EndpointHook(path="*", before=refuse), EndpointHook(path="*", after=calls.append)
    )

    answer = await browser.post("/sign-up/email", {"name": 1})

    assert (answer.refusal, answer.json["message"]) == (
        (403, "OPERATION_REFUSED"),
        REFUSAL.message,
    )
    assert [call.returned for call in calls] == [REFUSAL]
    assert await browser.auth.store.count("user") == 0


async def test_a_body_that_is_no_object_is_shown_as_empty(hooked, calls):
    """And stays what it is if no hook changes it."""
    browser = hooked(EndpointHook(path="/sign-up/email", before=calls.append))

    answer = await browser.post("/sign-up/email", ["a"])

    assert [call.body for call in calls] == [{}]
    assert answer.json["message"] == "[body] Invalid input: expected object, received array"


async def test_attack_calls_that_are_refused_reach_no_hook(hooked, calls):
    """Another site's page, a body of another type, and who calls too often."""
    limits = RateLimits(enabled=True)
    hook = EndpointHook(path="*", before=calls.append, after=calls.append)
    browser = hooked(hook, rate_limits=limits)
    evil = {"origin": "https://evil.example", "cookie": "a=b"}

    answers = [
        await browser.post("/sign-in/email", {}, headers=evil),
        await browser.post("/sign-in/email", b"{}", headers={"content-type": "text/plain"}),
        await browser.post("/sign-in/email", {"callbackURL": "https://evil.example"}),
        await browser.post("/sign-in/email", {}),
    ]

    assert [it.status for it in answers] == [403, 415, 403, 429]
    assert calls == []


async def test_a_hook_that_fails_is_a_failure_of_ours(hooked, caplog):
    """An empty 500, and the reason in the log alone."""

    def fail(_call):
        raise RuntimeError("secret")

    browser = hooked(EndpointHook(path="*", before=fail))

    answer = await browser.sign_up()

    assert (answer.status, answer.body) == (500, b"")
    assert "secret" in caplog.text


# --- after --------------------------------------------------------------------------------


async def test_a_hook_replaces_the_answer(hooked):
    """Of several the last; cookies that were set go out all the same."""
    first = Response.json({"first": True})
    browser = hooked(
        EndpointHook(path="/sign-up/email", after=lambda _call: first),
        EndpointHook(path="/sign-up/email", after=lambda _call: TEAPOT),
        EndpointHook(path="/sign-up/email", after=lambda _call: None),
    )

    answer = await browser.sign_up()

    assert (answer.status, answer.json) == (418, {"pot": "tea"})
    assert list(answer.cookies) == ["better-auth.session_token"]
    assert (await browser.session()).json["user"]["name"] == "Ada"


async def test_hooks_hear_of_refusals_and_may_answer_otherwise(hooked, calls):
    """The error itself is what the endpoint returned."""

    def soften(call):
        calls.append(call)
        wrong = isinstance(call.returned, APIError) and call.returned.status == 401
        return Response.json({"hint": "Try again"}) if wrong else None

    browser = hooked(EndpointHook(path="/sign-in/email", after=soften))
    await browser.sign_up()

    wrong = await browser.sign_in(password="analytical-engine")
    invalid = await browser.sign_in(email="ada")

    assert (wrong.status, wrong.json) == (200, {"hint": "Try again"})
    assert invalid.refusal == (400, "INVALID_EMAIL")
    assert [call.returned.code for call in calls] == [
        CoreError.INVALID_EMAIL_OR_PASSWORD,
        CoreError.INVALID_EMAIL,
    ]
    assert [call.new_session for call in calls] == [None, None]


async def test_a_hook_afterwards_may_refuse(hooked):
    """What was written stays: it was committed."""

    async def refuse(_call):
        raise REFUSAL

    browser = hooked(EndpointHook(path="/sign-up/email", after=refuse))

    answer = await browser.sign_up()

    assert answer.refusal == (403, "OPERATION_REFUSED")
    assert await browser.auth.store.count("user") == 1


async def test_what_a_hook_sees_afterwards_is_committed(new_auth, new_browser):
    """Another reader sees it too."""
    seen = []

    async def look(_call):
        seen.append(await browser.auth.store.count("user"))

    browser = new_browser(new_auth(hooks=[EndpointHook(path="/sign-up/email", after=look)]))

    await browser.sign_up()

    assert seen == [1]


# --- of plugins ---------------------------------------------------------------------------

ORDER: list[str] = []


@dataclass(frozen=True, kw_only=True)
class Watchful(Plugin):
    """Has hooks, which know the instance and the settings."""

    id = "watchful"

    most: int = 1

    @before("/sign-up/*")
    async def limit(self, ctx: Context, about: EndpointCall) -> dict[str, str]:
        """Let nobody in any more."""
        ORDER.append("plugin before")
        if await ctx.store.count("user") >= self.most:
            raise REFUSAL
        return {"name": about.body["name"].upper()}

    @after("/sign-up/email")
    @after("/get-session")
    async def tell(self, ctx: Context, about: EndpointCall) -> None:
        """Say how many there are."""
        ORDER.append(f"plugin after {about.path}")
        about.headers.append(("x-users", str(await ctx.store.count("user"))))


async def test_hooks_of_plugins_run_after_the_applications(hooked):
    """Before the endpoint and after it."""
    ORDER.clear()
    browser = hooked(
        EndpointHook(
            path="*",
            before=lambda _call: ORDER.append("before"),
            after=lambda _call: ORDER.append("after"),
        ),
        plugins=[Watchful()],
    )

    await browser.sign_up()

    assert ORDER == ["before", "plugin before", "after", "plugin after /sign-up/email"]


async def test_hooks_of_plugins_know_the_instance_and_the_settings(hooked):
    """They read rows, change the body, refuse, and add headers."""
    browser = hooked(plugins=[Watchful(most=1)])

    first = await browser.sign_up()
    second = await browser.sign_up(email="eve@example.org")

    assert first.json["user"]["name"] == "ADA"
    assert first.header("x-users") == "1"
    assert second.refusal == (403, "OPERATION_REFUSED")


async def test_a_method_may_run_around_several_endpoints(hooked):
    """Each mark counts."""
    ORDER.clear()
    browser = hooked(plugins=[Watchful()])

    await browser.sign_up()
    answer = await browser.session()

    assert ORDER[1:] == ["plugin after /sign-up/email", "plugin after /get-session"]
    assert answer.header("x-users") == "1"


def test_a_hook_of_a_plugin_for_no_route_is_refused():
    """Where it is declared."""
    with pytest.raises(ConfigurationError, match="does not begin with a slash"):
        before("sign-up/email")


async def test_hooks_see_calls_from_python(hooked, calls):
    """With the same path and body; a refusal is raised there."""
    browser = hooked(EndpointHook(path="/sign-in/email", before=calls.append, after=calls.append))

    with pytest.raises(APIError) as error:
        await browser.auth.api.sign_in_email(email="ada@example.org", password="x")

    before, after = calls
    assert before.body == {"email": "ada@example.org", "password": "x", "rememberMe": True}
    assert after.returned is error.value
