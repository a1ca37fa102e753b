"""The application's own metadata beside ours: create_all, drop_all, foreign keys and mapping."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from watchword import BlockingWatchword, Watchword
from watchword.adapters.memory import MemoryAdapter
from watchword.errors import ConfigurationError
from watchword.migrations.sharing import alembic_filters, register_foreign_tables
from watchword.schema import CORE_MODELS, Naming, resolve_schema

NEEDED = {
    "secret": "correct-horse-battery-staple-0123456789",
    "base_url": "http://localhost:8000",
}
OURS = {f"watchword_{name}" for name in ("users", "sessions", "accounts", "verifications")}
ADA = {"name": "Ada", "email": "ada@example.org"}


def orders_of(metadata: MetaData, target: str = "watchword_users.id") -> Table:
    """Define a table of the application's that points at our users."""
    return Table(
        "orders",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("user_id", ForeignKey(target, ondelete="CASCADE")),
    )


def changes_sent_by(engine: Engine, work) -> list[str]:
    """Run work, and return the first line of each statement that changes the schema."""
    sent = []

    def hear(_connection, _cursor, statement, *_):
        first = statement.strip().splitlines()[0]
        if first.startswith(("CREATE", "DROP", "ALTER", "COMMENT")):
            sent.append(first)

    event.listen(engine, "before_cursor_execute", hear)
    work(engine)
    event.remove(engine, "before_cursor_execute", hear)
    return sent


class SharedDatabase:
    """What every database has to keep."""

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def engine(self, database) -> Iterator[Engine]:
        """The application's engine, on a database without tables."""
        engine = create_engine(database, poolclass=NullPool)
        everything = MetaData()
        everything.reflect(engine)
        everything.drop_all(engine)
        yield engine
        engine.dispose()

    @pytest.fixture
    def new_auth(self, database, engine) -> Iterator:
        """Make instances, with their own connections to the database."""
        made = []

        def new_auth(**settings) -> BlockingWatchword:
            made.append(BlockingWatchword(database, **NEEDED, **settings))
            return made[-1]

        yield new_auth
        for auth in made:
            auth.close()

    @pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
    def test_create_all_and_drop_all_pass_over_our_tables(self, new_auth, engine, ids):
        """Neither makes, changes or drops one, whether or not it looks first."""
        auth = new_auth(ids=ids)
        auth.create_tables()
        metadata = MetaData()
        register_foreign_tables(metadata, auth)
        orders_of(metadata)

        sent = [
            changes_sent_by(engine, metadata.create_all),
            changes_sent_by(engine, metadata.create_all),
            changes_sent_by(engine, metadata.drop_all),
            changes_sent_by(engine, lambda it: metadata.create_all(it, checkfirst=False)),
            changes_sent_by(engine, lambda it: metadata.drop_all(it, checkfirst=False)),
        ]

        made, dropped = ["CREATE TABLE orders ("], ["DROP TABLE orders"]
        assert sent == [made, [], dropped, made, dropped]
        assert set(inspect(engine).get_table_names()) == OURS

    def test_a_foreign_key_to_our_users_is_kept_by_the_database(self, new_auth, engine):
        """An order of nobody is refused, and orders go with their user."""
        auth = new_auth()
        auth.create_tables()
        metadata = MetaData()
        register_foreign_tables(metadata, auth)
        orders = orders_of(metadata)
        metadata.create_all(engine)
        ada = auth.store.create("user", ADA)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", lambda it, _: it.execute("PRAGMA foreign_keys = ON"))

        with engine.begin() as connection:
            connection.execute(insert(orders).values(user_id=ada["id"]))
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(insert(orders).values(user_id="0" * 32))
        auth.store.delete_many("user", None)

        with engine.connect() as connection:
            assert connection.execute(select(orders)).all() == []

    def test_a_table_that_points_at_missing_ones_is_an_error_with_a_hint(self, new_auth, engine):
        """Nothing is made, neither of ours nor of the application's; afterwards it works."""
        auth = new_auth()
        metadata = MetaData()
        register_foreign_tables(metadata, auth)
        orders_of(metadata)

        with pytest.raises(ConfigurationError) as refusal:
            metadata.create_all(engine)

        assert "watchword_users" in refusal.value.message
        assert "create_tables()" in refusal.value.hint
        assert inspect(engine).get_table_names() == []
        auth.create_tables()
        metadata.create_all(engine)
        assert set(inspect(engine).get_table_names()) == {*OURS, "orders"}

    def test_tables_that_do_not_point_at_ours_need_none(self, new_auth, engine):
        """What has nothing to do with us does not wait for us."""
        metadata = MetaData()
        register_foreign_tables(metadata, new_auth())
        Table("articles", metadata, Column("id", Integer, primary_key=True))

        metadata.create_all(engine)

        assert inspect(engine).get_table_names() == ["articles"]

    def test_our_table_can_be_mapped_and_related_to(self, new_auth, engine):
        """Models read names and addresses of the people that they belong to."""
        auth = new_auth()
        auth.create_tables()

        class Base(DeclarativeBase):
            """The application's models."""

        tables = register_foreign_tables(Base.metadata, auth)

        class Person(Base):
            """Somebody who can sign in, to be read alone."""

            __table__ = tables["user"]

        class Order(Base):
            """Something that a person wants."""

            __tablename__ = "orders"
            id: Mapped[int] = mapped_column(primary_key=True)
            user_id: Mapped[str] = mapped_column(ForeignKey("watchword_users.id"))
            person: Mapped[Person] = relationship(viewonly=True)

        Base.metadata.create_all(engine)
        ada = auth.store.create("user", ADA)
        with Session(engine) as session:
            session.add(Order(user_id=ada["id"]))
            session.commit()

            [order] = session.scalars(select(Order).join(Order.person))

            assert order.person.email == "ada@example.org"
            assert order.person.email_verified is False
            assert order.person.created_at == ada["created_at"]

    def test_a_naming_convention_of_the_application_is_not_for_our_tables(self, new_auth, engine):
        """Constraints of the registered tables are called as those in the database."""
        auth = new_auth()
        rules = {"uq": "unique_%(table_name)s_%(constraint_name)s", "pk": "key_%(table_name)s"}
        metadata = MetaData(naming_convention={**rules, "fk": "%(constraint_name)s_points"})

        tables = register_foreign_tables(metadata, auth)

        for name, table in tables.items():
            own = auth.adapter.tables.require(name).table
            assert {it.name for it in table.constraints} == {it.name for it in own.constraints}
            assert {it.name for it in table.indexes} == {it.name for it in own.indexes}


class TestOnSQLite(SharedDatabase):
    """In a file."""

    @pytest.fixture
    def database(self, sqlite_database):
        """A new file."""
        return sqlite_database


class TestOnPostgreSQL(SharedDatabase):
    """On a server with schemas."""

    @pytest.fixture
    def database(self, postgresql_database):
        """A database of this module."""
        return postgresql_database

    @pytest.mark.parametrize("ours", ["auth", None])
    @pytest.mark.parametrize("theirs", ["shop", None])
    def test_either_side_may_have_a_schema_of_its_own(self, new_auth, engine, ours, theirs):
        """A table that is returned is found wherever both are."""
        with engine.begin() as connection:
            for name in ("auth", "shop"):
                connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {name} CASCADE")
                connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        auth = new_auth(naming=Naming(schema=ours))
        auth.create_tables()
        metadata = MetaData(schema=theirs)
        tables = register_foreign_tables(metadata, auth)
        orders_of(metadata, tables["user"].c.id)

        metadata.create_all(engine)

        [key] = inspect(engine).get_foreign_keys("orders", schema=theirs)
        assert (key["referred_schema"], key["referred_table"]) == (ours, "watchword_users")
        assert inspect(engine).get_table_names(schema=theirs).count("orders") == 1
        metadata.drop_all(engine)
        assert set(inspect(engine).get_table_names(schema=ours)) == OURS


class TestOnMariaDB(SharedDatabase):
    """On a server where schemas are databases, and text has a collation."""

    @pytest.fixture
    def database(self, mysql_database):
        """A database of this module."""
        return mysql_database

    @pytest.mark.parametrize("default", ["utf8mb4_unicode_ci", "latin1_swedish_ci"])
    @pytest.mark.parametrize("ids", ["uuid", "string"])
    def test_a_foreign_key_fits_whatever_the_collation_is_by_default(
        self, new_auth, engine, ids, default
    ):
        """A column takes our collation with its type; with another one it could not point."""
        name = make_url(engine.url).database
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} COLLATE {default}")
        auth = new_auth(ids=ids)
        auth.create_tables()
        metadata = MetaData()
        register_foreign_tables(metadata, auth)
        orders_of(metadata)

        metadata.create_all(engine)

        [key] = inspect(engine).get_foreign_keys("orders")
        assert key["referred_table"] == "watchword_users"


# --- what needs no database -----------------------------------------------------------------


@pytest.fixture
def schema():
    """The core's models, by their usual names."""
    return resolve_schema(CORE_MODELS)


def test_registering_again_changes_nothing(schema):
    """Two modules that both need it, or two instances, get the same tables."""
    metadata = MetaData()
    first = register_foreign_tables(metadata, schema)
    orders = orders_of(metadata)

    again = register_foreign_tables(metadata, resolve_schema(CORE_MODELS))

    assert again == first
    assert [key.column for key in orders.foreign_keys] == [first["user"].c.id]


def test_two_instances_share_one_metadata(schema):
    """Customers and staff, each with tables of their own."""
    metadata = MetaData()
    staff = resolve_schema(CORE_MODELS, naming=Naming(prefix="staff_"))

    register_foreign_tables(metadata, schema)
    register_foreign_tables(metadata, staff)

    assert {"watchword_users", "staff_users"} <= set(metadata.tables)
    [key] = metadata.tables["staff_sessions"].foreign_keys
    assert key.column.table.name == "staff_users"


def test_a_table_of_the_application_under_our_name_is_refused(schema):
    """A stub with a single column would be made as it is."""
    metadata = MetaData()
    Table("watchword_users", metadata, Column("id", BigInteger, primary_key=True))

    with pytest.raises(ConfigurationError) as refusal:
        register_foreign_tables(metadata, schema)

    assert "watchword_users" in refusal.value.message
    assert "register_foreign_tables() first" in refusal.value.hint


def test_a_user_table_of_the_application_is_not_registered(schema):
    """It is the application's to define, to make and to drop."""
    models = {**schema.models, "user": replace(schema.models["user"], ours=False)}
    metadata = MetaData()
    Table("watchword_users", metadata, Column("id", String(32), primary_key=True))

    tables = register_foreign_tables(metadata, replace(schema, models=models))

    assert set(tables) == {"session", "account", "verification"}
    [key] = tables["session"].foreign_keys
    assert key.column is metadata.tables["watchword_users"].c.id


def test_metadata_is_that_of_our_tables(sqlite_database):
    """Whoever wants them in a history of their own needs nothing else."""
    auth = BlockingWatchword(sqlite_database, **NEEDED)

    assert set(auth.metadata.tables) == OURS


@pytest.mark.parametrize("kind", [Watchword, BlockingWatchword])
def test_metadata_of_what_is_no_sql_database_is_an_error(kind):
    """There is none, and the hint says what has one."""
    auth = kind(MemoryAdapter(), **NEEDED)

    with pytest.raises(ConfigurationError, match="MemoryAdapter has no SQLAlchemy metadata"):
        _ = auth.metadata


# --- which tables the filters take for ours -------------------------------------------------


def is_dropped(schema, name: str, *, in_schema: str | None = None) -> bool:
    """Tell whether a table that is in the database and in no model would be dropped."""
    filters = alembic_filters(schema)
    table = Table(name, MetaData(), schema=in_schema)
    visible = filters["include_name"](name, "table", {"schema_name": in_schema})
    return visible and filters["include_object"](
        table, name, "table", reflected=True, compare_to=None
    )


def test_names_folded_by_the_server_are_ours(schema):
    """MariaDB on Windows and macOS answers in lower case."""
    camel = resolve_schema(CORE_MODELS, naming=Naming(prefix="", tables={"user": "AuthUsers"}))

    assert not is_dropped(camel, "authusers")
    assert not is_dropped(schema, "WATCHWORD_USERS")
    assert is_dropped(schema, "orders")


def test_without_a_prefix_only_full_names_are_ours():
    """Everything begins with nothing."""
    bare = resolve_schema(CORE_MODELS, naming=Naming.wire())

    assert not is_dropped(bare, "user")
    assert not is_dropped(bare, "watchword_migrations")
    assert is_dropped(bare, "users")


def test_another_schema_is_not_ours(schema):
    """Tables of the same name may be somebody else's there; in our own all are left alone."""
    own = resolve_schema(CORE_MODELS, naming=Naming(schema="auth", prefix=""))

    assert is_dropped(schema, "watchword_users", in_schema="archive")
    assert not is_dropped(own, "users", in_schema="auth")
    assert not is_dropped(own, "passkeys", in_schema="auth")
    assert is_dropped(own, "passkeys")
    # By default schema a connection may mean ours.
    assert not is_dropped(own, "users")


def test_a_user_table_of_the_application_is_never_filtered(schema):
    """Not even if its name begins as ours do."""
    models = {**schema.models, "user": replace(schema.models["user"], ours=False)}
    shared = replace(schema, models=models)

    assert is_dropped(shared, "watchword_users")
    assert not is_dropped(shared, "watchword_sessions")
