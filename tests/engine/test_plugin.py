"""A plugin is one class: all that it adds works together, and conflicts are found at start-up."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from watchword import APIError, ConfigurationError, EmailPassword, Field, Plugin
from watchword.engine.context import Context
from watchword.engine.endpoint import collect, get, post
from watchword.engine.hooks import after_write, before_write
from watchword.errors import ErrorCode
from watchword.http.bodies import UNSET, Body, UnsetType
from watchword.schema import Model, Unique
from watchword.storage.contract import Record
from watchword.storage.query import F

KEPT: list[Record] = []


class NoteError(ErrorCode):
    """Refusals of notes."""

    NOTE_TAKEN = 409, "There is a note of this title"
    NOTE_NOT_FOUND = 404, "There is no such note"


class NoteBody(Body, frozen=True):
    """A note."""

    title: str
    text_body: str | UnsetType = UNSET


class NoteQuery(Body, frozen=True):
    """Which note."""

    title: str


@dataclass(frozen=True, kw_only=True)
class Notes(Plugin):
    """Keeps notes."""

    id = "notes"
    errors = NoteError
    models = (
        Model(
            "note",
            {
                "title": Field("string"),
                "text_body": Field("text", required=False),
                "length": Field("integer"),
                "secret": Field("text", required=False, sealed=True, returned=False),
            },
            uniques=(Unique("title"),),
        ),
    )
    extends = {  # noqa: RUF012 - as the style asks: class attributes
        "user": {
            "favourite_note": Field("string", required=False),
            "note_limit": Field("integer", default=3, returned=False),
        }
    }
    prefix: str = ""
    told: list[str] = field(default_factory=list)
    tell: Callable[[str], Awaitable[None] | None] | None = None

    @post("/notes")
    async def write(self, ctx: Context, body: NoteBody) -> dict[str, Any]:
        """Keep a note."""
        title = self.prefix + body.title
        if await ctx.store.count("note", F.title == title):
            raise APIError(NoteError.NOTE_TAKEN)
        text = None if body.text_body is UNSET else body.text_body
        row = await ctx.store.create("note", {"title": title, "text_body": text, "secret": "s"})
        return {"id": str(row["id"]), "length": row["length"]}

    @before_write("note", "create")
    async def count_title(self, row: Record) -> dict[str, Any]:
        """Add what the client does not say."""
        return {"length": len(row["title"])}

    @after_write("note", "create")
    async def keep(self, row: Record) -> None:
        """Remember a note that was kept."""
        KEPT.append(row)

    @get("/notes")
    async def read(self, ctx: Context, query: NoteQuery) -> dict[str, Any]:
        """Show a note."""
        row = await ctx.store.find_one("note", F.title == query.title)
        if row is None:
            raise APIError(NoteError.NOTE_NOT_FOUND)
        return {"textBody": row["text_body"], "secret": ctx.store.unseal("note", row, "secret")}


@pytest.fixture
def notes(new_auth, new_browser):
    """A browser at an instance that keeps notes."""
    KEPT.clear()
    return new_browser(new_auth(plugins=[Notes(prefix="my ")]))


async def test_a_plugin_adds_endpoints_models_and_hooks(notes):
    """Settings, body, query, model, hook and sealing in one round trip."""
    written = await notes.post("/notes", {"title": "shopping", "textBody": "milk"})
    read = await notes.get("/notes", query="title=my+shopping")

    assert (written.status, written.json["length"]) == (200, 11)
    assert read.json == {"textBody": "milk", "secret": "s"}
    [row] = KEPT
    assert (row["title"], row["length"]) == ("my shopping", 11)
    assert row["secret"].startswith("ww1.")


async def test_a_plugins_refusals_are_the_response(notes):
    """Its codes, its statuses, its sentences."""
    await notes.post("/notes", {"title": "a"})

    taken = await notes.post("/notes", {"title": "a"})
    missing = await notes.get("/notes", query="title=b")

    assert (taken.status, taken.json) == (
        409,
        {"message": "There is a note of this title", "code": "NOTE_TAKEN"},
    )
    assert missing.refusal == (404, "NOTE_NOT_FOUND")


async def test_a_plugins_endpoints_are_guarded_like_ours(notes):
    """Origin, validation and forms: a plugin cannot forget them."""
    foreign = await notes.post(
        "/notes", {"title": "a"}, headers={"origin": "https://evil.example", "cookie": "a=b"}
    )
    wrong = await notes.post("/notes", {"title": 1, "textBody": None})
    form = await notes.post(
        "/notes", b"title=a", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    query = await notes.get("/notes")

    assert foreign.refusal == (403, "INVALID_ORIGIN")
    assert wrong.json["message"] == (
        "[body.title] Invalid input: expected string, received number; "
        "[body.textBody] Invalid input: expected string, received null"
    )
    assert form.refusal == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert query.json["message"] == (
        "[query.title] Invalid input: expected string, received undefined"
    )


async def test_fields_added_to_users_are_shown_unless_they_are_not_returned(notes):
    """Null where they are unset, and never absent."""
    answer = await notes.sign_up()

    assert answer.json["user"]["favouriteNote"] is None
    assert "noteLimit" not in answer.json["user"]
    assert (await notes.session()).json["user"] == answer.json["user"]
    [user] = await notes.auth.store.find_many("user")
    assert user["note_limit"] == 3


async def test_without_the_plugin_there_is_nothing_of_it(browser):
    """Neither route nor field."""
    assert (await browser.post("/notes", {"title": "a"})).status == 404
    assert "favouriteNote" not in (await browser.sign_up()).json["user"]


# --- what it answers where a value is taken -------------------------------------------------


class BadgeError(ErrorCode):
    """Refusals of badges."""

    BADGE_TAKEN = 409, "Somebody wears this badge"


@dataclass(frozen=True, kw_only=True)
class Badges(Plugin):
    """Gives every user a badge of their own."""

    id = "badges"
    errors = BadgeError
    taken = {("user", "badge"): BadgeError.BADGE_TAKEN}  # noqa: RUF012 - as the style asks
    extends = {"user": {"badge": Field("string", required=False, unique=True)}}  # noqa: RUF012

    @post("/badges")
    async def wear(self, ctx: Context) -> None:
        """Make a user with Ada's badge, and look at nothing before."""
        user = {"name": "Eve", "email": "eve@example.org", "badge": "1"}
        await ctx.store.create("user", user)

    @before_write("user", "create")
    async def trim(self, user: Record) -> dict[str, Any]:
        """Leave out what nobody sees."""
        return {"badge": user["badge"].strip()} if user.get("badge") else {}


@pytest.fixture
def worn(new_auth, new_browser):
    """Return a browser at an instance where Ada, who is not signed in, has the first badge."""

    async def worn(**settings):
        adapter = new_auth(plugins=[Badges()]).adapter
        await new_browser(new_auth(adapter, plugins=[Badges()])).sign_up(badge="1")
        return new_browser(new_auth(adapter, plugins=[Badges()], **settings))

    return worn


async def test_a_plugin_says_what_is_answered_where_its_value_is_taken(worn):
    """At the sign-up, at an update, and wherever else somebody writes it."""
    browser = await worn()

    answers = [
        await browser.sign_up(email="eve@example.org", badge="1"),
        await browser.post("/badges", {}),
    ]
    await browser.sign_up(email="eve@example.org", badge="2")
    answers.append(await browser.post("/update-user", {"badge": "1"}))

    assert [it.refusal for it in answers] == [(409, "BADGE_TAKEN")] * 3
    assert await browser.auth.store.count("user") == 2


async def test_attack_learning_an_address_by_a_value_that_is_taken(worn):
    """Also where a hook makes of it what is taken, and whatever the database names first."""
    browser = await worn(email_password=EmailPassword(hide_existing_users=True))

    known = await browser.sign_up(badge=" 1 ")
    unknown = await browser.sign_up(email="eve@example.org", badge=" 1 ")

    assert known == unknown
    assert known.refusal == (409, "BADGE_TAKEN")


# --- what is collected ----------------------------------------------------------------------


def test_endpoints_know_what_they_ask_for():
    """From the annotations of the methods, in the order of the class."""
    write, read = collect(Notes(), "notes")

    assert (write.method, write.path, write.body, write.query) == (
        "POST",
        "/notes",
        NoteBody,
        None,
    )
    assert (read.method, read.path, read.body, read.query) == ("GET", "/notes", None, NoteQuery)
    assert (write.declaration.form, read.declaration.form) == (False, False)


@dataclass(frozen=True, kw_only=True)
class MoreNotes(Notes):
    """Inherits endpoints and adds one."""

    id = "more-notes"

    @post("/more-notes", form=True)
    async def more(self, _ctx: Context) -> None:
        """Do nothing."""


def test_a_subclass_keeps_its_bases_endpoints():
    """Those of the base come first."""
    collected = collect(MoreNotes(), "more-notes")

    assert [(it.path, it.declaration.form) for it in collected] == [
        ("/notes", False),
        ("/notes", False),
        ("/more-notes", True),
    ]


# --- conflicts ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OtherNotes(Plugin):
    """Wants a route that somebody has."""

    id = "other-notes"

    @post("/notes")
    async def write(self, _ctx: Context) -> None:
        """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class OwnSignOut(Plugin):
    """Wants a route of the core."""

    id = "own-sign-out"

    @post("/sign-out")
    async def sign_out(self, _ctx: Context) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("plugins", "sides"),
    [
        ((Notes(), OtherNotes()), ("notes", "other-notes", "POST /notes")),
        ((OwnSignOut(),), ("sign-out", "own-sign-out", "POST /sign-out")),
        ((Notes(), Notes()), ("notes",)),
        ((Notes(), MoreNotes()), ("notes", "more-notes")),
    ],
    ids=["route", "core", "twice", "model"],
)
def test_conflicts_are_found_at_start_up_and_name_both_sides(new_auth, plugins, sides):
    """Never at the first request, and never silently the last one's."""
    with pytest.raises(ConfigurationError) as error:
        new_auth(plugins=plugins)

    assert [side for side in sides if side not in error.value.message] == []
    assert error.value.hint


@pytest.mark.parametrize("path", ["notes", "/notes/", "/", ""])
def test_a_malformed_path_is_found_where_it_is_declared(path):
    """Such a route could never be reached."""

    async def endpoint(_ctx: Context) -> None:
        """Do nothing."""

    with pytest.raises(ConfigurationError, match="malformed"):
        post(path)(endpoint)
    with pytest.raises(ConfigurationError, match="malformed"):
        get(path)(endpoint)


READ = (
    *("/get-session", "/list-sessions", "/list-accounts", "/delete-user/callback"),
    *("/reset-password/:token", "/verify-email", "/ok", "/error"),
)
ACTING = (
    *("/sign-up/email", "/sign-in/email", "/sign-out", "/get-session", "/update-session"),
    *("/revoke-session", "/revoke-sessions", "/revoke-other-sessions", "/update-user"),
    *("/delete-user", "/change-email", "/send-verification-email", "/change-password"),
    *("/verify-password", "/request-password-reset", "/reset-password", "/unlink-account"),
)


def test_all_routes_of_an_instance_can_be_listed(new_auth):
    """By method and full path, without those of Python alone; the view cannot be written to."""
    auth = new_auth(plugins=[Notes()], base_path="/login/")

    routes = auth._handler.router.endpoints

    core = {
        *(("GET", path) for path in READ),
        *(("POST", path) for path in ACTING),
    }
    assert set(routes) == {
        (method, f"/login{path}")
        for method, path in {*core, ("GET", "/notes"), ("POST", "/notes")}
    }
    with pytest.raises(TypeError):
        routes["GET", "/login/x"] = None
