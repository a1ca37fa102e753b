"""What a type checker says about calls of endpoints: checked by mypy, never run."""

from typing import Any, assert_type

from watchword import BlockingWatchword, Plugin, User, Watchword
from watchword.endpoints import API, BlockingAPI
from watchword.endpoints.accounts import LinkedAccount
from watchword.endpoints.delete_user import Deletion
from watchword.endpoints.get_session import CurrentSession
from watchword.endpoints.passwords import PasswordChanged
from watchword.endpoints.sign_out import SignedOut
from watchword.endpoints.sign_up import SignedUp
from watchword.endpoints.verify_email import Verified
from watchword.engine.api import AsyncCalls, BlockingCalls, Call
from watchword.engine.context import Context
from watchword.engine.endpoint import post
from watchword.engine.password_sign_in import SignedIn
from watchword.http.bodies import Body, Done, UnsetType
from watchword.http.messages import Request, Response
from watchword.storage.entities import Session

auth = Watchword("sqlite+aiosqlite:///auth.db")
blocking = BlockingWatchword("sqlite:///auth.db")
assert_type(auth.api, API)
assert_type(blocking.api, BlockingAPI)


async def _calls(request: Request) -> None:
    api = auth.api.on_behalf_of(request)
    assert_type(api, API)
    assert_type(api.headers, list[tuple[str, str]])
    assert_type(auth.api.on_behalf_of({"cookie": "a=b"}), API)

    signed_in = await api.sign_in_email(email="ada@example.org", password="x", remember_me=False)
    assert_type(signed_in, SignedIn)
    assert_type(signed_in.user, User)
    assert_type(signed_in.url, str | UnsetType)
    signed_up = await api.sign_up_email(
        name="Ada", email="ada@example.org", password="x", additional_fields={"nickName": "x"}
    )
    assert_type(signed_up, SignedUp)
    assert_type(signed_up.token, str | None)
    assert_type(await api.sign_out(), SignedOut)
    assert_type(await api.get_session(), CurrentSession | None)
    assert_type(await api.list_sessions(), list[Session])
    assert_type(await api.list_accounts(), list[LinkedAccount])
    assert_type(await api.revoke_session(token="x"), Done)
    assert_type(await api.update_user(name="Ada", image=None), Done)
    assert_type(await api.delete_user(), Deletion)
    assert_type(await api.change_email(new_email="new@example.org"), Done)
    assert_type(await api.verify_email(token="x"), Verified | Response)
    assert_type(await api.change_password(new_password="x", current_password="y"), PasswordChanged)
    assert_type(await api.set_password(new_password="x"), Done)


async def _mistakes() -> None:
    api = auth.api
    await api.sign_in_email(email="ada@example.org")  # type: ignore[call-arg]  # no password
    await api.sign_in_email(email=5, password="x")  # type: ignore[arg-type]  # texts
    await api.sign_in_email(user="ada", password="x")  # type: ignore[call-arg]  # no such key
    await api.sign_in_email(email="a", password="x", remember_me="no")  # type: ignore[arg-type]  # a bool
    await api.sign_up_email("Ada")  # type: ignore[call-arg]  # all are named
    await api.list_accounts(limit=5)  # type: ignore[call-arg]  # it takes nothing
    await api.change_email(new_email=None)  # type: ignore[arg-type]  # it may not be null
    await api.sign_in_passkey()  # type: ignore[attr-defined]  # there is no such call
    api.on_behalf_of("cookie")  # type: ignore[arg-type]  # a request, or its headers
    signed_in = await api.sign_in_email(email="a", password="x")
    signed_in.session  # type: ignore[attr-defined]  # noqa: B018 - not told
    session = await api.get_session()
    session.user  # type: ignore[union-attr]  # noqa: B018 - perhaps nobody


def _blocking_calls() -> None:
    api = blocking.api.on_behalf_of({})
    assert_type(api, BlockingAPI)
    assert_type(api.sign_in_email(email="ada@example.org", password="x"), SignedIn)
    assert_type(api.get_session(), CurrentSession | None)
    assert_type(api.list_sessions(), list[Session])
    assert_type(api.verify_email(token="x", callback_url="/"), Verified | Response)
    api.sign_in_email(password="x")  # type: ignore[call-arg]  # no address
    api.revoke_session(token=5)  # type: ignore[arg-type]  # a text


async def _a_coroutine_is_awaited() -> None:
    auth.api.get_session().user  # type: ignore[attr-defined]  # noqa: B018 - not awaited
    await blocking.api.get_session()  # type: ignore[misc]  # done already


# --- calls of a plugin ----------------------------------------------------------------------


class _Greeting(Body, frozen=True):
    first_name: str


class _Greeter(Plugin):
    id = "greeter"

    @post("/greet")
    async def greet(self, ctx: Context, body: _Greeting) -> list[int]:
        return [len(body.first_name)]

    @post("/plain")
    async def plain(self, ctx: Context) -> None:
        return None


class _GreeterCalls(AsyncCalls):
    greet = Call(_Greeting, _Greeter.greet)


class _BlockingGreeterCalls(BlockingCalls):
    greet = Call(_Greeting, _Greeter.greet)


async def _greet(calls: _GreeterCalls, others: _BlockingGreeterCalls) -> Any:
    assert_type(await calls.greet(first_name="Ada"), list[int])
    assert_type(others.greet(first_name="Ada"), list[int])
    assert_type(auth.calls(_GreeterCalls), _GreeterCalls)
    assert_type(blocking.calls(_BlockingGreeterCalls), _BlockingGreeterCalls)
    auth.calls(_BlockingGreeterCalls)  # type: ignore[type-var]  # it has a loop
    await calls.greet(name="Ada")  # type: ignore[call-arg]  # no such key
    return await calls.call(_Greeter.greet, _Greeting(first_name="Ada"))


Call(_Greeting, len)  # type: ignore[arg-type]  # no endpoint
Call(str, _Greeter.greet)  # type: ignore[arg-type]  # no body
