"""What others have in the database is left alone, or the change is refused."""

import pytest
from sqlalchemy import make_url

from watchword import Naming
from watchword.errors import MigrationFailed, MigrationRefused
from watchword.schema import Field

UNIQUE = {"code": Field("string", required=False, unique=True)}
PLAIN = {"code": Field("string", required=False)}
ADA = "INSERT INTO watchword_users (id, name, email) VALUES ('1', 'Ada', 'a@b.example')"


class TestOnPostgreSQL:
    """Names are shared by everybody there, and half an index can be left behind."""

    async def test_an_index_that_has_our_name_is_not_ours(
        self, emptied_postgresql, application, execute
    ):
        """The step fails for the name, and the other table's index is still there."""
        await application(emptied_postgresql, PLAIN).migrate()
        execute(emptied_postgresql, "CREATE TABLE shop (city text)")
        execute(emptied_postgresql, "CREATE INDEX uq_watchword_users_code ON shop (city)")

        with pytest.raises(MigrationFailed, match="already exists"):
            await application(emptied_postgresql, UNIQUE).migrate()

        found = "SELECT tablename FROM pg_indexes WHERE indexname = 'uq_watchword_users_code'"
        assert execute(emptied_postgresql, found) == [("shop",)]

    @pytest.mark.parametrize("schema", [None, "Auth", "my-schema"])
    async def test_half_an_index_is_not_taken_for_one(
        self, emptied_postgresql, application, execute, schema
    ):
        """An invalid one that somebody left behind is made again, whatever the schema's name."""
        naming, place = Naming(schema=schema), f'"{schema}".' if schema else ""
        if schema:
            execute(emptied_postgresql, f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
            execute(emptied_postgresql, f'CREATE SCHEMA "{schema}"')
        await application(emptied_postgresql, PLAIN, naming=naming).migrate()
        for number in (1, 2):
            execute(
                emptied_postgresql,
                f"INSERT INTO {place}watchword_users (id, name, email, code) "
                f"VALUES ('0000000{number}-0000-0000-0000-000000000000', 'A', '{number}', 'x')",
            )
        index = f"CREATE UNIQUE INDEX CONCURRENTLY uq_watchword_users_code ON {place}"
        with pytest.raises(Exception, match="could not create unique index"):
            execute(emptied_postgresql, f"{index}watchword_users (code)")
        execute(emptied_postgresql, f"UPDATE {place}watchword_users SET code = email")

        await application(emptied_postgresql, UNIQUE, naming=naming).migrate()

        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = '{}'::regclass"
        name = f"{place}uq_watchword_users_code"
        assert execute(emptied_postgresql, valid.format(name)) == [(True,)]

    async def test_checks_of_others_stay(self, emptied_postgresql, application, execute):
        """A constraint is not ours for ending like one of ours."""
        await application(emptied_postgresql).migrate()
        execute(
            emptied_postgresql,
            "ALTER TABLE watchword_users ADD CONSTRAINT watchword_users_name_not_null "
            "CHECK (name <> '') NOT VALID",
        )

        await application(emptied_postgresql, UNIQUE).migrate()

        found = "SELECT 1 FROM pg_constraint WHERE conname = 'watchword_users_name_not_null'"
        assert execute(emptied_postgresql, found) == [(1,)]


class TestOnSQLite:
    """A table is made anew there, and others may point at the old one."""

    async def test_an_order_of_an_index_stays(self, sqlite_database, application, execute):
        """An index of somebody else's is as it was, to the letter."""
        await application(sqlite_database).migrate()
        written = "CREATE INDEX latest ON watchword_users (created_at DESC)"
        execute(sqlite_database, written)

        await application(sqlite_database, UNIQUE).migrate()

        found = "SELECT sql FROM sqlite_master WHERE name = 'latest'"
        assert execute(sqlite_database, found) == [(written,)]

    async def test_a_reference_of_others_in_our_table_is_not_changed(
        self, sqlite_database, application, execute
    ):
        """Its ON DELETE would be lost, so the change is refused."""
        await application(sqlite_database).migrate()
        execute(sqlite_database, "CREATE TABLE teams (id INTEGER PRIMARY KEY)")
        execute(
            sqlite_database,
            "ALTER TABLE watchword_users ADD COLUMN team INTEGER "
            "REFERENCES teams (id) ON DELETE SET NULL",
        )

        with pytest.raises(MigrationRefused, match=r"watchword_users\.team of somebody else's"):
            await application(sqlite_database, UNIQUE).migrate()

    async def test_a_table_that_others_point_at_stays(self, sqlite_database, application, execute):
        """Going back to nothing would break their table, so it is refused as a whole."""
        auth = application(sqlite_database)
        await auth.migrate()
        execute(sqlite_database, "CREATE TABLE orders (u TEXT REFERENCES watchword_users (id))")

        with pytest.raises(MigrationFailed, match="orders points at watchword_users"):
            await auth.migrate(to=0)

        assert await auth.store.count("session") == 0

    async def test_a_column_that_others_point_at_keeps_its_name(
        self, sqlite_database, application, execute
    ):
        """A rename under their reference is refused as a whole."""
        await application(sqlite_database).migrate()
        execute(sqlite_database, "CREATE TABLE orders (e TEXT REFERENCES watchword_users (email))")
        renamed = application(sqlite_database, naming=Naming(columns={"user.email": "mail"}))

        with pytest.raises(MigrationFailed, match="foreign key mismatch"):
            await renamed.migrate()

        execute(sqlite_database, ADA)


@pytest.fixture
def users(emptied, execute):
    """A users table of the application's, with a person in it."""
    execute(
        emptied,
        "CREATE TABLE users (id CHAR(32) PRIMARY KEY, name VARCHAR(255), "
        "email VARCHAR(254), secret VARCHAR(20))",
    )
    execute(emptied, "INSERT INTO users VALUES ('1', 'Ada', 'a@b.example', 'her own')")
    return emptied


async def test_a_table_that_has_our_name_by_chance_is_not_ours(users, application, execute):
    """Without a prefix the application's users might be meant: it is asked."""
    auth = application(users, naming=Naming(prefix=""))

    with pytest.raises(MigrationRefused, match="not ours: secret"):
        await auth.migrate()

    assert execute(users, "SELECT secret FROM users") == [("her own",)]


async def test_a_table_with_columns_of_others_does_not_go(emptied, application, execute):
    """What would be lost with it is named, and nothing is done."""
    auth = application(emptied)
    await auth.migrate()
    execute(emptied, "ALTER TABLE watchword_users ADD COLUMN secret VARCHAR(20)")

    with pytest.raises(MigrationRefused, match="not ours: secret"):
        await auth.migrate(to=0)

    assert await auth.store.count("user") == 0


@pytest.mark.parametrize("emptied", ["mysql"], indirect=True)
async def test_a_renamed_column_keeps_what_others_added_to_it(emptied, application, execute):
    """On MariaDB a check of the column's own goes with it under the new name."""
    await application(emptied, PLAIN).migrate()
    execute(
        emptied,
        "ALTER TABLE watchword_users MODIFY code VARCHAR(255) COLLATE utf8mb4_nopad_bin "
        "CHECK (code <> 'root')",
    )

    fields = {"nick": Field("string", required=False)}
    await application(emptied, fields).migrate(renames={"user.code": "nick"})

    database = make_url(emptied).database
    found = (
        "SELECT check_clause FROM information_schema.check_constraints "
        f"WHERE constraint_schema = '{database}' AND table_name = 'watchword_users'"
    )
    assert execute(emptied, found) == [("`nick` <> 'root'",)]
