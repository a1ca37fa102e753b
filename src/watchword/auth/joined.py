"""What both kinds of instance have: an adapter, plugins and options, joined once."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Unpack, cast

from watchword.adapters import Database, adapter_for, own_tables_of
from watchword.auth.brought import Brought
from watchword.auth.user_type import users_of_records
from watchword.clock import Clock, utc_now
from watchword.crypto.passwords import Passwords
from watchword.crypto.sealing import KeyRing
from watchword.endpoints import CORE_ENDPOINTS
from watchword.engine import environment
from watchword.engine.additional_fields import AdditionalFields, ApplicationFields
from watchword.engine.context import Instance
from watchword.engine.handler import Handler
from watchword.engine.identity import identify
from watchword.engine.options import EmailPassword, Options
from watchword.engine.personal_data import erase_user
from watchword.engine.plugin import Plugin
from watchword.engine.rate_limit import CountersInSchema
from watchword.engine.settings import Settings
from watchword.errors import ConfigurationError
from watchword.http.cookies import CookieAttributes, CookieJar
from watchword.http.messages import Request
from watchword.migrations import Aim, Migrated, OnMigration, migrator_for
from watchword.migrations.start import start_tables
from watchword.schema import (
    CORE_MODELS,
    SESSION,
    USER,
    IdType,
    Model,
    Naming,
    Schema,
    SchemaExtension,
    resolve_schema,
)
from watchword.schema.elsewhere import without
from watchword.storage.cached_sessions import CachedSessions, SessionCache
from watchword.storage.contract import Adapter, SchemaAdapter
from watchword.storage.entities import Identity, PublicUser, User
from watchword.storage.hooks import DatabaseHook
from watchword.storage.ids import NewId
from watchword.storage.secondary import SecondaryStorage
from watchword.storage.store import Store
from watchword.storage.stores import (
    AccountStore,
    SessionStore,
    StoredAccounts,
    StoredUsers,
    UserStore,
    VerificationStore,
)
from watchword.storage.stores.blocking import (
    BlockingAccountStore,
    BlockingSessionStore,
    BlockingUserStore,
    BlockingVerificationStore,
)
from watchword.storage.values import accepted

if TYPE_CHECKING:
    from sqlalchemy import MetaData

__all__ = ["Joined"]


class Joined(Generic[PublicUser]):
    """What both instances have: the parts, joined once.

    Args:
        database: A URL, an engine, a session factory, or an adapter.
        secret: At least 32 characters; of several the first signs and the others are still
            accepted. From `WATCHWORD_SECRET` if it is not given.
        base_url: Where browsers reach the application. From `WATCHWORD_BASE_URL` if it is
            not given.
        plugins: Add endpoints, models and hooks.
        database_hooks: Run around writes, after those of plugins.
        user_type: What users are: a subclass of `User` that gives types to what was added to
            the model.
        users: Keeps the users instead of the database, such as a directory. References to them
            are no foreign keys then, and their ids any texts.
        sessions: Keeps the sessions instead of the database; or `CachedSessions`, to read them
            from a secondary storage beside it.
        accounts: Keeps the ways in instead of the database.
        verifications: Keeps what proves something once instead of the database.
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
        database: "Database[PublicUser] | Adapter[User]",
        *,
        secret: str | Sequence[str] | None = None,
        base_url: str | None = None,
        plugins: Sequence[Plugin] = (),
        database_hooks: Sequence[DatabaseHook] = (),
        user_type: type[PublicUser] | None = None,
        users: UserStore[PublicUser] | BlockingUserStore[PublicUser] | None = None,
        sessions: SessionStore | BlockingSessionStore | CachedSessions | None = None,
        accounts: AccountStore[Any] | BlockingAccountStore[Any] | None = None,
        verifications: VerificationStore | BlockingVerificationStore | None = None,
        naming: Naming | None = None,
        ids: IdType = "uuid",
        new_id: NewId | None = None,
        passwords: Passwords | None = None,
        clock: Clock = utc_now,
        **settings: Unpack[Settings],
    ) -> None:
        options = _options(base_url, settings)
        secrets = environment.secrets(secret)
        hooks = [*(hook for it in plugins for hook in it.database_hooks()), *database_hooks]
        self.adapter: Adapter[PublicUser] = self._usable(adapter_for(database))
        brought = Brought(users, sessions, accounts, verifications)
        added = [*self._added_by(options), *plugins]
        own = brought.own(own_tables_of(self.adapter, hooks, new_id))
        schema = resolve_schema(CORE_MODELS, added, naming=naming, ids=ids, own=own)
        _check_ids(schema, options.email_password)
        self.schema = without(schema, brought.models)
        adapter = brought.beside(self.adapter, user_type or User)
        cache = self._session_cache(brought.cached, schema, secrets, clock, options.base_url)
        new_store = partial(Store, adapter, schema, clock=clock, new_id=new_id, hooks=hooks)
        store = new_store(sealer=KeyRing(secrets), session_cache=cache)
        self.instance = Instance(
            options=options,
            secrets=secrets,
            store=store,
            passwords=passwords or Passwords(),
            cookies=_cookie_jar(options),
            clock=clock,
            verifications=brought.verifications_of(store, clock),
            purges=brought.purges,
            user_fields=_fields(schema, USER, hooks),
            session_fields=_fields(schema, SESSION, hooks),
        )
        self.storages = _storages_in(options.rate_limits.store, *brought.stores)
        self._of_record = users_of_records(self.adapter, user_type, schema)
        self._forms = _forms(plugins)
        self._handler = Handler(self.instance, [*CORE_ENDPOINTS, *plugins])

    def _usable(self, adapter: Adapter[PublicUser]) -> Adapter[PublicUser]:
        """Return the adapter, unless this kind of instance cannot use it."""
        return adapter

    def _added_by(self, options: Options) -> list[SchemaExtension]:
        """Return what settings add to the schema, unless this instance cannot use them."""
        self._check_waiting(options.rate_limits.store)
        return [_fields_of(options), CountersInSchema(options.rate_limits)]

    def _session_cache(
        self,
        cached: CachedSessions | None,
        schema: Schema,
        secrets: Sequence[str],
        clock: Clock,
        base_url: str,
    ) -> SessionCache | None:
        if cached is None:
            return None
        self._check_waiting(cached.storage)
        return SessionCache(cached, schema=schema, secrets=secrets, clock=clock, base_url=base_url)

    def _check_waiting(self, store: object) -> None:
        """Refuse what waits in a way in which this kind of instance cannot."""

    @property
    def _users(self) -> StoredUsers[PublicUser]:
        store = self.instance.store
        return StoredUsers(store, self._of_record, forms=self._forms, erase=erase_user)

    @property
    def _accounts(self) -> StoredAccounts[PublicUser]:
        return StoredAccounts(self.instance.store, self._of_record)

    @property
    def options(self) -> Options:
        """The settings."""
        return self.instance.options

    @property
    def metadata(self) -> "MetaData":
        """Our tables for SQLAlchemy, for an application that makes them in its own history.

        Raises:
            ConfigurationError: This is no SQL database.
        """
        tables = getattr(self.adapter, "tables", None)
        if tables is None:
            raise ConfigurationError(
                f"{type(self.adapter).__name__} has no SQLAlchemy metadata.",
                hint="Give the instance the URL or the engine of an SQL database.",
            )
        metadata: MetaData = tables.metadata
        return metadata

    async def _identify(self, request: Request) -> Identity[PublicUser] | None:
        found = await identify(self.instance, request)
        if found is None or self._of_record == User.from_record:
            # The application's users are ours.
            return cast("Identity[PublicUser] | None", found)
        return Identity(found.session, self._of_record(found.user.to_record()))

    async def _drop_cached_sessions(self, user_id: str) -> None:
        cache = self.instance.store.session_cache
        if cache is not None:
            # In its one spelling; and what is no id of a user names nobody to be dropped.
            field = self.instance.store.schema.require_model("user").fields["id"]
            await cache.versions.drop(str(accepted("user", "id", field, user_id)))

    async def _migrate(self, aim: Aim, on_progress: OnMigration | None) -> Migrated:
        migrator = migrator_for(self.adapter, self.schema, clock=self.instance.clock)
        return await migrator.run(aim, on_progress=on_progress)

    async def _create_tables(self) -> None:
        if isinstance(self.adapter, SchemaAdapter):
            await self.adapter.create_schema(self.schema)

    async def _start(self) -> None:
        check = self.options.schema_check
        await start_tables(self.adapter, self.schema, check, create=self._create_tables)

    async def _close(self) -> None:
        async with AsyncExitStack() as last:  # one that fails keeps no other open
            last.push_async_callback(self.adapter.close)
            for storage in self.storages:
                last.push_async_callback(storage.close)
            await self.instance.background.drain()


def _options(base_url: str | None, settings: Settings) -> Options:
    return Options(base_url=base_url or environment.base_url(), **environment.completed(settings))


def _storages_in(*stores: object) -> list[SecondaryStorage]:
    """Return the secondary storages among what was given, or below it, each once."""
    found = [part for it in stores for part in (it, getattr(it, "storage", None))]
    return list({id(it): it for it in found if isinstance(it, SecondaryStorage)}.values())


def _check_ids(schema: Schema, options: EmailPassword | None) -> None:
    generated = schema.models["user"].fields["id"].generated
    if options is not None and not options.signs_in_at_sign_up and generated:
        raise ConfigurationError(
            "With ids that the database makes a sign-up tells whether the address was known: "
            "nobody can invent the one that it would have given.",
            hint='Use ids="uuid" or ids="string", or let sign-ups sign in.',
        )


def _forms(plugins: Sequence[Plugin]) -> dict[str, Callable[[str], str]]:
    return {field: form for it in plugins for field, form in it.user_forms.items()}


def _fields_of(options: Options) -> ApplicationFields:
    return ApplicationFields(
        user=options.user.additional_fields, session=options.session.additional_fields
    )


def _fields(schema: Schema, core: Model, hooks: Sequence[DatabaseHook]) -> AdditionalFields:
    filling = any(
        it.before is not None and (it.model, it.operation) == (core.name, "create") for it in hooks
    )
    # Only a new user is somebody's to describe, at the sign-up.
    return AdditionalFields(schema, core, given_by_clients=core is USER, given_by_hooks=filling)


def _cookie_jar(options: Options) -> CookieJar:
    attributes = CookieAttributes(
        secure=options.secure_cookies,
        domain=options.cookies.domain,
        same_site=options.cookies.same_site,
    )
    return CookieJar(attributes=attributes, prefix=options.cookies.prefix)
