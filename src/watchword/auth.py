"""Watchword and BlockingWatchword: an adapter, plugins and options, joined to one instance."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from watchword.adapters import Database, adapter_for
from watchword.clock import Clock, utc_now
from watchword.concurrency import run_blocking
from watchword.crypto.keys import check_secret
from watchword.crypto.passwords import Passwords
from watchword.crypto.sealing import KeyRing
from watchword.endpoints import CORE_ENDPOINTS
from watchword.engine.context import Context, Instance
from watchword.engine.handler import Handler
from watchword.engine.options import CookieOptions, EmailPassword, Options, SessionOptions
from watchword.engine.output import Output
from watchword.engine.plugin import Plugin
from watchword.engine.sessions import Sessions
from watchword.errors import ConfigurationError
from watchword.http.cookies import CookieAttributes, CookieJar
from watchword.http.messages import Request, Response
from watchword.schema import CORE_MODELS, IdType, Naming, resolve_schema
from watchword.storage.contract import Adapter, SchemaAdapter
from watchword.storage.entities import Identity, Session, User
from watchword.storage.hooks import DatabaseHook
from watchword.storage.store import Store

__all__ = ["BlockingWatchword", "Watchword"]

_SECRET_VARIABLE: Final = "WATCHWORD_SECRET"  # noqa: S105 - its name, not its value
_BASE_URL_VARIABLE: Final = "WATCHWORD_BASE_URL"


class _Joined:
    """What both instances have: the parts, joined once.

    Args:
        database: A URL, an engine, a session factory, or an adapter.
        secret: At least 32 characters; of several the first signs and the others are still
            accepted. From `WATCHWORD_SECRET` if it is not given.
        base_url: Where browsers reach the application. From `WATCHWORD_BASE_URL` if it is
            not given.
        base_path: Where the endpoints are below it.
        email_password: None switches sign-up and sign-in by password off.
        session: How long sessions live.
        cookies: How cookies are named and sent.
        trusted_origins: Other origins whose pages may call and be redirected to.
        plugins: Add endpoints, models and hooks.
        database_hooks: Run around writes, after those of plugins.
        naming: Names of tables and columns.
        ids: What ids are.
        passwords: How passwords are hashed.
        clock: Tells the time.
        max_body_size: In bytes.

    Raises:
        ConfigurationError: Something of this cannot work; the hint says what to do.
    """

    def __init__(
        self,
        database: Database,
        *,
        secret: str | Sequence[str] | None = None,
        base_url: str | None = None,
        base_path: str = "/api/auth",
        email_password: EmailPassword | None = None,
        session: SessionOptions | None = None,
        cookies: CookieOptions | None = None,
        trusted_origins: Sequence[str] = (),
        plugins: Sequence[Plugin] = (),
        database_hooks: Sequence[DatabaseHook] = (),
        naming: Naming | None = None,
        ids: IdType = "uuid",
        passwords: Passwords | None = None,
        clock: Clock = utc_now,
        max_body_size: int = 1_048_576,
    ) -> None:
        options = Options(
            base_url=base_url or _from_environment(_BASE_URL_VARIABLE, "base_url"),
            base_path=base_path,
            email_password=email_password,
            session=session or SessionOptions(),
            cookies=cookies or CookieOptions(),
            trusted_origins=tuple(trusted_origins),
            max_body_size=max_body_size,
        )
        secrets = _secrets(secret)
        ids = _checked(ids, email_password)
        self.schema = resolve_schema(CORE_MODELS, plugins, naming=naming, ids=ids)
        self.adapter = self._usable(adapter_for(database))
        self.store = Store(
            self.adapter,
            self.schema,
            clock=clock,
            hooks=[*(hook for it in plugins for hook in it.database_hooks), *database_hooks],
            sealer=KeyRing(secrets),
        )
        self.instance = Instance(
            options=options,
            secrets=secrets,
            store=self.store,
            sessions=Sessions(self.store, options.session, clock),
            passwords=passwords or Passwords(),
            output=Output(self.schema),
            cookies=_cookie_jar(options),
            clock=clock,
        )
        self._handler = Handler(self.instance, [*CORE_ENDPOINTS, *plugins])

    def _usable(self, adapter: Adapter) -> Adapter:
        """Return the adapter, unless this kind of instance cannot use it."""
        return adapter

    @property
    def options(self) -> Options:
        """The settings."""
        return self.instance.options

    async def _identify(self, request: Request) -> Identity | None:
        ctx = Context(self.instance, request)
        token = ctx.session_token
        row = None if token is None else await self.instance.sessions.find(token)
        if row is None or self.instance.sessions.is_expired(row):
            return None
        return Identity(Session.from_record(row), User.from_record(row["user"]))

    async def _create_tables(self) -> None:
        if isinstance(self.adapter, SchemaAdapter):
            await self.adapter.create_schema(self.schema)


class Watchword(_Joined):
    """Authentication for an application that runs on an event loop."""

    async def handle(self, request: Request) -> Response:
        """Answer a request to an endpoint; whatever happens, the answer is a response."""
        return await self._handler.handle(request)

    async def identify(self, request: Request) -> Identity | None:
        """Return who sends a request, or None; reads one row and writes nothing.

        Raises:
            StorageUnavailable: The database cannot tell.
        """
        return await self._identify(request)

    async def create_tables(self) -> None:
        """Make the tables that are missing; safe on every start."""
        await self._create_tables()

    async def close(self) -> None:
        """Close the connections that were opened for this instance."""
        await self.adapter.close()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Make the tables at the start of an application and close connections at its end."""
        await self.create_tables()
        try:
            yield
        finally:
            await self.close()


class BlockingWatchword(_Joined):
    """Authentication for an application without an event loop."""

    def _usable(self, adapter: Adapter) -> Adapter:
        if adapter.capabilities.needs_loop:
            raise ConfigurationError(
                f"{type(adapter).__name__} needs an event loop here, "
                "but this instance is blocking.",
                hint="Use a blocking driver (sqlite, postgresql+psycopg, mysql+pymysql), "
                "or Watchword instead of BlockingWatchword.",
            )
        return adapter

    def handle(self, request: Request) -> Response:
        """Answer a request to an endpoint; whatever happens, the answer is a response."""
        return run_blocking(self._handler.handle(request))

    def identify(self, request: Request) -> Identity | None:
        """Return who sends a request, or None; reads one row and writes nothing.

        Raises:
            StorageUnavailable: The database cannot tell.
        """
        return run_blocking(self._identify(request))

    def create_tables(self) -> None:
        """Make the tables that are missing; safe on every start."""
        run_blocking(self._create_tables())

    def close(self) -> None:
        """Close the connections that were opened for this instance."""
        run_blocking(self.adapter.close())


def _from_environment(variable: str, argument: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ConfigurationError(
            f"There is no {argument}.", hint=f"Pass {argument}=…, or set {variable}."
        )
    return value


def _checked(ids: IdType, options: EmailPassword | None) -> IdType:
    if options is not None and not options.signs_in_at_sign_up and ids == "bigint":
        raise ConfigurationError(
            "With integer ids a sign-up tells whether the address was known: nobody can invent "
            "the number that the database would have given.",
            hint='Use ids="uuid" or ids="string", or let sign-ups sign in.',
        )
    return ids


def _secrets(given: str | Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        given = _from_environment(_SECRET_VARIABLE, "secret")
    secrets = (given,) if isinstance(given, str) else tuple(given)
    if not secrets:
        raise ConfigurationError("There is no secret.", hint="`watchword secret` makes one.")
    check_secret(secrets[0])  # a weak one may stand behind it, to be rotated away
    return secrets


def _cookie_jar(options: Options) -> CookieJar:
    attributes = CookieAttributes(
        secure=options.secure_cookies,
        domain=options.cookies.domain,
        same_site=options.cookies.same_site,
    )
    return CookieJar(attributes=attributes, prefix=options.cookies.prefix)
