"""What a type checker says about instances, plugins and FastAPI: checked by mypy, never run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_type

from fastapi import FastAPI

from watchword import (
    BlockingWatchword,
    DatabaseHook,
    EmailPassword,
    EndpointCall,
    Identity,
    Plugin,
    Session,
    User,
    Watchword,
)
from watchword.engine.context import Context
from watchword.engine.endpoint import get, post
from watchword.engine.hooks import after_write, before, before_write
from watchword.http.bodies import UNSET, Body, UnsetType
from watchword.http.messages import Request, Response
from watchword.integrations.asgi import ASGIHandler
from watchword.integrations.fastapi import (
    CurrentSession,
    CurrentUser,
    OptionalSession,
    current_session,
    mount,
    require_session,
    require_user,
)
from watchword.integrations.wsgi import WSGIHandler
from watchword.storage.query import F

auth = Watchword("sqlite+aiosqlite:///auth.db", email_password=EmailPassword())
blocking = BlockingWatchword("sqlite:///auth.db")
app = FastAPI(lifespan=auth.lifespan)
mount(app, auth)
mount(app, blocking)  # type: ignore[arg-type]  # FastAPI has a loop
ASGIHandler(blocking)  # type: ignore[arg-type]  # the same
WSGIHandler(auth)  # type: ignore[arg-type]  # and WSGI has none


async def _an_instance(request: Request) -> None:
    assert_type(await auth.handle(request), Response)
    assert_type(await auth.identify(request), Identity | None)
    assert_type(blocking.handle(request), Response)
    assert_type(blocking.identify(request), Identity | None)


@app.get("/me")
async def _me(user: CurrentUser, session: CurrentSession, maybe: OptionalSession) -> str:
    assert_type(user, User)
    assert_type(session, Identity)
    assert_type(session.session, Session)
    assert_type(maybe, Identity | None)
    assert_type(user.id, str)
    assert_type(user.image, str | None)
    assert_type(user.email_verified, bool)
    assert_type(session.session.expires_at, datetime)
    user.email = "eve@example.org"  # type: ignore[misc]  # a value
    user.password  # type: ignore[attr-defined]  # noqa: B018 - not shown to anybody
    assert_type(session.session.token, str)
    maybe.user  # type: ignore[union-attr]  # noqa: B018 - perhaps nobody
    return user.email


async def _dependencies(identity: Identity | None, session: Identity) -> None:
    assert_type(await require_session(identity), Identity)
    assert_type(await require_user(session), User)
    await require_user(identity)  # type: ignore[arg-type]  # perhaps nobody
    await current_session()  # type: ignore[call-arg]  # it needs the connection


class _Note(Body, frozen=True):
    title: str
    text: str | UnsetType = UNSET


def _refuse(_row: dict[str, Any]) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class _Notes(Plugin):
    id = "notes"

    limit: int = 3

    @after_write("note", "create")
    async def announce(self, row: dict[str, Any]) -> None:
        assert_type(row, dict[str, Any])

    @before_write("note", "read")  # type: ignore[arg-type]  # no write
    async def refuse(self, row: dict[str, Any]) -> bool:
        return bool(row)

    @before("/sign-up/email")
    async def look(self, ctx: Context, about: EndpointCall) -> None:
        assert_type(ctx.user_agent, str)
        assert_type(about.path, str)

    @post("/notes", form=True)
    async def write(self, ctx: Context, body: _Note) -> dict[str, Any]:
        assert_type(ctx.user_agent, str)
        assert_type(body.text, str | UnsetType)
        assert_type(await ctx.store.count("note", F.title == body.title), int)
        return {}

    @get("/notes")  # type: ignore[type-var]  # an endpoint is a coroutine
    def read(self, ctx: Context) -> None:
        ctx.request.header(b"origin")  # type: ignore[arg-type]  # headers are texts


_Notes(limit=5)
_Notes(5)  # type: ignore[call-arg]  # settings are named
Watchword("sqlite://", plugins=[_Notes()])
Watchword("sqlite://", plugins=[_Notes])  # type: ignore[list-item]  # the class is no plugin
Watchword("sqlite://", email_password=True)  # type: ignore[arg-type]  # its settings are
Watchword("sqlite://", ids="uuid4")  # type: ignore[arg-type]  # uuid, string or bigint
Watchword("sqlite://", nonsense=1)  # type: ignore[call-arg]  # there is no such setting
DatabaseHook(model="note", operation="read")  # type: ignore[arg-type]  # no write
DatabaseHook(model="note", operation="create", before=_refuse)  # type: ignore[arg-type]  # False, or values
