"""What a type checker says about users of the application's own: checked by mypy, never run."""

from dataclasses import dataclass
from typing import Annotated, assert_type

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine

from watchword import BlockingWatchword, EmailPassword, Identity, User, Watchword
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.http.messages import Request
from watchword.integrations.fastapi import mount, require_user


@dataclass(frozen=True)
class PublicUser:
    """What the application shows of a user."""

    handle: str


class AppUser:
    """Stands for a mapped class."""


def _public(user: User) -> PublicUser:
    return PublicUser(user.id)


def _of_a_row(row: dict[str, str]) -> PublicUser:
    return PublicUser(row["id"])


adapter = SQLAlchemyAdapter("sqlite://", user_model=AppUser, user_mapper=_public)
assert_type(adapter, SQLAlchemyAdapter[PublicUser])
assert_type(SQLAlchemyAdapter("sqlite://"), SQLAlchemyAdapter[User])
SQLAlchemyAdapter("sqlite://", user_mapper=_of_a_row)  # type: ignore[arg-type]  # it gets a User

auth = Watchword(adapter, email_password=EmailPassword())
assert_type(auth, Watchword[PublicUser])
blocking = BlockingWatchword(adapter)
assert_type(blocking, BlockingWatchword[PublicUser])
Watchword(5)  # type: ignore[arg-type]  # no database

plain = Watchword(SQLAlchemyAdapter("sqlite+aiosqlite://", user_model=AppUser))
assert_type(plain, Watchword[User])
assert_type(Watchword("sqlite+aiosqlite://"), Watchword[User])
assert_type(Watchword(MemoryAdapter()), Watchword[User])
assert_type(BlockingWatchword(create_engine("sqlite://")), BlockingWatchword[User])


async def _identities(request: Request) -> None:
    found = await auth.identify(request)
    assert_type(found, Identity[PublicUser] | None)
    assert found is not None
    assert_type(found.user, PublicUser)
    found.user.email  # type: ignore[attr-defined]  # noqa: B018 - the application's has none
    known = blocking.identify(request)
    assert known is not None
    assert_type(known.user, PublicUser)
    ours = await plain.identify(request)
    assert ours is not None
    assert_type(ours.user, User)


app = FastAPI(lifespan=auth.lifespan)
mount(app, auth)


@app.get("/me")
async def _me(user: Annotated[PublicUser, Depends(require_user)]) -> str:
    return user.handle
