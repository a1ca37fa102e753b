"""Watchword and BlockingWatchword: an adapter, plugins and options, joined to one instance."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Unpack

from watchword.adapters import Database, adapter_for
from watchword.clock import Clock, utc_now
from watchword.concurrency import call, run_blocking
from watchword.crypto.keys import check_secret
from watchword.crypto.passwords import Passwords
from watchword.crypto.sealing import KeyRing
from watchword.endpoints import API, CORE_ENDPOINTS, BlockingAPI
from watchword.engine.additional_fields import AdditionalFields, ApplicationFields
from watchword.engine.context import Context, Instance
from watchword.engine.handler import Handler
from watchword.engine.identity import signed_in
from watchword.engine.options import EmailPassword, Options
from watchword.engine.plugin import Plugin
from watchword.engine.purge import OnProgress, Purged, purge_expired
from watchword.engine.settings import Settings
from watchword.errors import ConfigurationError
from watchword.http.cookies import CookieAttributes, CookieJar
from watchword.http.messages import Request, Response
from watchword.schema import (
    CORE_MODELS,
    SESSION,
    USER,
    IdType,
    Model,
    Naming,
    Schema,
    resolve_schema,
)
from watchword.storage.contract import Adapter, SchemaAdapter
from watchword.storage.entities import Identity
from watchword.storage.hooks import DatabaseHook
from watchword.storage.ids import NewId
from watchword.storage.store import Store

__all__ = ["BlockingWatchword", "Watchword"]

_SECRET_VARIABLE: Final = "WATCHWORD_SECRET"  # noqa: S105 - its name, not its value
_BASE_URL_VARIABLE: Final = "WATCHWORD_BASE_URL"
_TRUSTED_ORIGINS_VARIABLE: Final = "WATCHWORD_TRUSTED_ORIGINS"


class _Joined:
    """What both instances have: the parts, joined once.

    Args:
        database: A URL, an engine, a session factory, or an adapter.
        secret: At least 32 characters; of several the first signs and the others are still
            accepted. From `WATCHWORD_SECRET` if it is not given.
        base_url: Where browsers reach the application. From `WATCHWORD_BASE_URL` if it is
            not given.
        plugins: Add endpoints, models and hooks.
        database_hooks: Run around writes, after those of plugins.
        naming: Names of tables and columns.
        ids: What ids are.
        new_id: Makes ids, instead of what fits `ids`.
        passwords: How passwords are hashed.
        clock: Tells the time.
        settings: Those of `Options`, by name: `email_password`, `session`, `mail` and others.
            Further trusted origins come from `WATCHWORD_TRUSTED_ORIGINS`, with commas between.

    Raises:
        ConfigurationError: Something of this cannot work; the hint says what to do.
    """

    def __init__(
        self,
        database: Database,
        *,
        secret: str | Sequence[str] | None = None,
        base_url: str | None = None,
        plugins: Sequence[Plugin] = (),
        database_hooks: Sequence[DatabaseHook] = (),
        naming: Naming | None = None,
        ids: IdType = "uuid",
        new_id: NewId | None = None,
        passwords: Passwords | None = None,
        clock: Clock = utc_now,
        **settings: Unpack[Settings],
    ) -> None:
        base_url = base_url or _from_environment(_BASE_URL_VARIABLE, "base_url")
        options = Options(base_url=base_url, **_with_environment(settings))
        secrets = _secrets(secret)
        hooks = [*(hook for it in plugins for hook in it.database_hooks), *database_hooks]
        own_fields = ApplicationFields(
            user=options.user.additional_fields, session=options.session.additional_fields
        )
        self.schema = resolve_schema(
            CORE_MODELS,
            [own_fields, *plugins],
            naming=naming,
            ids=_checked(ids, options.email_password),
        )
        self.adapter = self._usable(adapter_for(database))
        self.store = Store(
            self.adapter,
            self.schema,
            clock=clock,
            new_id=new_id,
            hooks=hooks,
            sealer=KeyRing(secrets),
        )
        self.instance = Instance(
            options=options,
            secrets=secrets,
            store=self.store,
            passwords=passwords or Passwords(),
            cookies=_cookie_jar(options),
            clock=clock,
            user_fields=_fields(self.schema, USER, hooks, given_by_clients=True),
            session_fields=_fields(self.schema, SESSION, hooks, given_by_clients=False),
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
        return await signed_in(Context(self.instance, request))

    async def _create_tables(self) -> None:
        if isinstance(self.adapter, SchemaAdapter):
            await self.adapter.create_schema(self.schema)

    async def _close(self) -> None:
        await self.instance.background.drain()
        await self.adapter.close()


class Watchword(_Joined):
    """Authentication for an application that runs on an event loop."""

    @property
    def api(self) -> API:
        """What the endpoints do, as coroutines."""
        return API(self._handler)

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

    async def purge_expired(
        self, *, batch_size: int = 1000, on_progress: OnProgress | None = None
    ) -> Purged:
        """Delete sessions and verification values that have expired, in short batches.

        Args:
            batch_size: How many rows go at a time at most.
            on_progress: Hears of each batch.
        """
        return await purge_expired(
            self.store, self.instance.clock, batch_size=batch_size, on_progress=on_progress
        )

    async def drain(self) -> None:
        """Wait until the mail that was begun is sent."""
        await self.instance.background.drain()

    async def close(self) -> None:
        """Send what mail is under way, and close the connections that were opened."""
        await self._close()

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

    @property
    def api(self) -> BlockingAPI:
        """What the endpoints do, as functions."""
        return BlockingAPI(self._handler)

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

    def purge_expired(
        self, *, batch_size: int = 1000, on_progress: OnProgress | None = None
    ) -> Purged:
        """Delete sessions and verification values that have expired, in short batches.

        Args:
            batch_size: How many rows go at a time at most.
            on_progress: Hears of each batch.
        """
        return run_blocking(
            purge_expired(
                self.store, self.instance.clock, batch_size=batch_size, on_progress=on_progress
            )
        )

    def drain(self) -> None:
        """Wait until the mail that was begun is sent."""
        run_blocking(self.instance.background.drain())

    def close(self) -> None:
        """Send what mail is under way, and close the connections that were opened."""
        run_blocking(self._close())


def _from_environment(variable: str, argument: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ConfigurationError(
            f"There is no {argument}.", hint=f"Pass {argument}=…, or set {variable}."
        )
    return value


def _with_environment(settings: Settings) -> Settings:
    """Add the trusted origins of the environment to those that are given."""
    listed = (it.strip() for it in os.environ.get(_TRUSTED_ORIGINS_VARIABLE, "").split(","))
    added = tuple(filter(None, listed))
    given = settings.get("trusted_origins", ())
    if not added or isinstance(given, str):
        return settings
    if callable(given):
        return {**settings, "trusted_origins": partial(_with_added, given, added)}
    return {**settings, "trusted_origins": (*given, *added)}


async def _with_added(
    ask: Callable[[Request], Any], added: tuple[str, ...], request: Request
) -> tuple[str, ...]:
    return (*added, *await call(ask, request))


def _checked(ids: IdType, options: EmailPassword | None) -> IdType:
    if options is not None and not options.signs_in_at_sign_up and ids == "bigint":
        raise ConfigurationError(
            "With integer ids a sign-up tells whether the address was known: nobody can invent "
            "the number that the database would have given.",
            hint='Use ids="uuid" or ids="string", or let sign-ups sign in.',
        )
    return ids


def _fields(
    schema: Schema, core: Model, hooks: Sequence[DatabaseHook], *, given_by_clients: bool
) -> AdditionalFields:
    filling = any(
        it.before is not None and (it.model, it.operation) == (core.name, "create") for it in hooks
    )
    return AdditionalFields(
        schema, core, given_by_clients=given_by_clients, given_by_hooks=filling
    )


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
