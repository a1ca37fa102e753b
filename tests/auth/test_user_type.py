"""user_type: what the application's code gets for a user, and what is refused at start."""

from datetime import datetime
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from sqlalchemy import Boolean as SQLBoolean
from sqlalchemy import Column, DateTime, MetaData, String, Table

from watchword import ConfigurationError, Field, Request, User, UserOptions
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.integrations import fastapi, flask

ADA = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
ORIGIN = "http://localhost:8000"


def request_of(calls) -> Request:
    """Return a request of who was signed in by these calls."""
    cookies = [value.partition(";")[0] for name, value in calls.headers if name == "set-cookie"]
    return Request(method="GET", path="/", headers=(("cookie", "; ".join(cookies)),))


# --- what users are ------------------------------------------------------------------------


async def test_users_have_the_fields_that_were_added(everywhere, app_auth, app_user):
    """Filled from the row, with their types, wherever a user comes from."""
    auth = await app_auth(everywhere)
    made = await auth.users.create(email="Ada@Example.org", name="Ada", username="Ada", age=36)
    await auth.accounts.create(made.id, "google", "117")

    found = [
        await auth.users.get(made.id),
        await auth.users.get_by_email("ADA@example.org"),
        await auth.accounts.get_by_provider("google", "117"),
        (await auth.users.list_users())[0][0],
        *(await auth.users.page()),
        *[it async for it in auth.users.all()],
        await auth.users.update(made.id, plan="free"),
    ]

    assert type(made) is app_user
    assert (made.plan, made.age, made.username) == ("free", 36, "ada")
    assert {type(it) for it in found} == {app_user}
    assert found == [made] * len(found)


async def test_extra_has_them_too(everywhere, app_auth):
    """By their logical names; code that knows no types goes on working."""
    auth = await app_auth(everywhere)

    made = await auth.users.create(email=ADA["email"], name="Ada", username="Ada")

    assert made.extra == {
        "plan": "free",
        "age": None,
        "username": "ada",
        "display_username": "Ada",
    }
    assert made.to_record()["plan"] == "free"


async def test_who_asks_is_such_a_user(everywhere, app_auth, app_user):
    """Through `identify()`, with what is in the row."""
    auth = await app_auth(everywhere)
    calls = auth.api.on_behalf_of({})
    signed_up = await calls.sign_up_email(**ADA, additional_fields={"age": 36})
    await auth.users.update(signed_up.user.id, plan="gold")

    identity = await auth.identify(request_of(calls))

    assert type(identity.user) is app_user
    assert (identity.user.plan, identity.user.age) == ("gold", 36)
    assert identity.user == await auth.users.get(signed_up.user.id)
    assert identity.session.user_id == identity.user.id


async def test_without_a_type_users_are_ours(new_auth):
    """`User`, with what was added in `extra` alone."""
    auth = new_auth()

    assert type(await auth.users.create(email=ADA["email"], name="Ada")) is User


@pytest.mark.needs_loop
async def test_fastapi_s_dependencies_give_such_users(app_auth, app_user):
    """To routes that ask for the user, for the session, or for either."""
    auth = await app_auth(MemoryAdapter())
    app, seen = FastAPI(), []
    fastapi.mount(app, auth)

    @app.get("/me")
    async def me(
        user: fastapi.CurrentUser,
        identity: fastapi.CurrentSession,
        maybe: fastapi.OptionalSession,
    ) -> None:
        seen.extend([user, identity.user, maybe.user if maybe else None])

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        await client.post("/api/auth/sign-up/email", json=ADA, headers={"origin": ORIGIN})
        await client.get("/me")

    assert [type(it) for it in seen] == [app_user] * 3
    assert [it.plan for it in seen] == ["free"] * 3


def test_flask_s_functions_give_such_users(blocking_auth, app_user):
    """In a view, by each of the functions."""
    app, seen = Flask("shop"), []
    flask.mount(app, blocking_auth(MemoryAdapter()))

    @app.get("/me")
    def me() -> str:
        maybe = flask.current_session()
        seen.extend([flask.require_user(), flask.require_session().user, maybe.user])
        return ""

    client = app.test_client()
    client.post("/api/auth/sign-up/email", json=ADA, headers={"Origin": ORIGIN})
    client.get("/me")

    assert [type(it) for it in seen] == [app_user] * 3
    assert [it.plan for it in seen] == ["free"] * 3


def test_a_blocking_instance_gives_such_users(everywhere, blocking_auth, app_user):
    """From its stores and from `identify()`, without `await`."""
    auth = blocking_auth(everywhere)
    calls = auth.api.on_behalf_of({})
    signed_up = calls.sign_up_email(**ADA)

    identity = auth.identify(request_of(calls))
    found = [auth.users.get(signed_up.user.id), *auth.users.all(), *auth.users.list_users()[0]]

    assert type(identity.user) is app_user
    assert found == [identity.user] * 3


# --- what is refused -----------------------------------------------------------------------


FIELDS = {
    "plan": Field("string"),
    "age": Field("integer", required=False),
    "seen_at": Field("datetime", required=False),
    "prefs": Field("json", required=False),
}


def declared(**annotations: Any) -> type[User]:
    """Return a type of users that declares these fields."""
    return type(User)(
        "AppUser", (User,), {"__annotations__": annotations}, frozen=True, kw_only=True
    )


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"plan": str, "age": int | None, "seen_at": datetime | None},
        {"plan": str | None},
        {"plan": Annotated[str, []]},
        {"plan": Any, "age": Any},
        {"prefs": dict[str, int] | None},
        {"extra": dict[str, Any]},
        {"id": str},
    ],
    ids=str,
)
async def test_what_a_row_can_keep_may_be_declared(new_auth, annotations):
    """All fields, some of them or none, and wider than they are."""
    auth = new_auth(
        user=UserOptions(additional_fields=FIELDS | {"plan": Field("string", default="free")}),
        user_type=declared(**annotations),
    )

    made = await auth.users.create(email=ADA["email"], name="Ada")

    assert [getattr(made, it) for it in annotations if it == "plan"] in ([], ["free"])
    assert await auth.users.get(made.id) == made


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"tier": str}, "Users have no field for AppUser.tier."),
        ({"seenAt": datetime | None}, "Users have no field for AppUser.seenAt."),
        ({"plan": int}, "AppUser.plan is declared as int, but the field holds str."),
        (
            {"plan": Literal["free", "gold"]},
            "AppUser.plan is declared as typing.Literal['free', 'gold'], but the field holds str.",
        ),
        ({"plan": list[str]}, "AppUser.plan is declared as list[str], but the field holds str."),
        ({"age": int}, "AppUser.age can be null, which its type does not say."),
        ({"seen_at": str | None}, "AppUser.seen_at is declared as str | None"),
        ({"image": str}, "AppUser.image can be null, which its type does not say."),
        ({"id": int}, "AppUser.id is declared as int, but the field holds str."),
        ({"plan": "Plan"}, "The types of AppUser cannot be read: name 'Plan' is not defined."),
    ],
    ids=lambda it: str(it) if isinstance(it, dict) else "",
)
def test_a_type_that_promises_what_no_row_keeps_is_refused(new_auth, annotations, said):
    """When the instance is built, with what to do; not at the first user."""
    with pytest.raises(ConfigurationError) as error:
        new_auth(
            ids="bigint",
            user=UserOptions(additional_fields=FIELDS),
            user_type=declared(**annotations),
        )

    assert error.value.message.startswith(said)
    assert error.value.hint.endswith(".")


def test_a_type_that_forgets_kw_only_is_read_by_names(new_auth, app_settings):
    """Its fields then stand before ours."""

    class Positional(User):
        plan: str

    new_auth(**{**app_settings, "user_type": Positional})


@pytest.mark.parametrize(
    "wrong",
    [
        dict,
        str,
        "AppUser",
        User(
            **dict.fromkeys(
                ("id", "name", "email", "email_verified", "image", "created_at", "updated_at")
            )
        ),
    ],
    ids=["dict", "str", "name", "user"],
)
def test_what_is_no_type_of_users_is_refused(new_auth, wrong):
    """With the line to write."""
    with pytest.raises(ConfigurationError, match="is no type of users") as error:
        new_auth(user_type=wrong)

    assert "class AppUser(User" in error.value.hint


def test_a_mapper_and_a_type_are_refused(new_auth, app_user):
    """Nobody could tell which of them users are."""
    members = Table(
        "members",
        MetaData(),
        Column("id", String(36), primary_key=True),
        Column("name", String(100), nullable=False),
        Column("email", String(120), nullable=False, unique=True),
        Column("email_verified", SQLBoolean, nullable=False),
        Column("image", String(100)),
        Column("created_at", DateTime, nullable=False),
        Column("updated_at", DateTime, nullable=False),
    )
    adapter = SQLAlchemyAdapter("sqlite://", user_model=members, user_mapper=lambda user: user.id)

    with pytest.raises(ConfigurationError, match="There are two kinds of users") as error:
        new_auth(adapter, user_type=app_user)

    assert error.value.hint == "Give one of them."
