"""What hangs on a table of SQLite survives its being made anew."""

import pytest

from watchword.errors import ConfigurationError
from watchword.schema import NOW, Field

# Needs the table to be made anew; the second does not.
ANEW = {"nick": Field("string", required=False, unique=True)}
TRIGGER = """
CREATE TRIGGER heard AFTER INSERT ON watchword_users
BEGIN INSERT INTO log VALUES (new.email); END
"""
IN_PLACE = {"plan": Field("string", default="it's: 100%"), "beta": Field("boolean", default=True)}


@pytest.fixture
def there(execute, sqlite_database):
    """Tell what there is in the database, by the names."""

    def there():
        return {name for (name,) in execute(sqlite_database, "SELECT name FROM sqlite_master")}

    return there


async def test_triggers_and_indexes_of_others_stay(application, sqlite_database, execute, there):
    """A trigger still fires, an index by an expression and a partial one are still there."""
    await application(sqlite_database).migrate()
    for sql in (
        "CREATE TABLE log (email TEXT)",
        TRIGGER,
        "CREATE INDEX lowered ON watchword_users (lower(email))",
        "CREATE INDEX unverified ON watchword_users (email) WHERE email_verified = 0",
        "CREATE VIEW emails AS SELECT email FROM watchword_users",
    ):
        execute(sqlite_database, sql)

    await application(sqlite_database, ANEW).migrate()

    assert {"heard", "lowered", "unverified", "emails"} <= there()
    insert = "INSERT INTO watchword_users (id, name, email) VALUES ('1', 'Ada', 'a@b.example')"
    execute(sqlite_database, insert)
    assert execute(sqlite_database, "SELECT * FROM log") == [("a@b.example",)]


async def test_what_cannot_be_carried_over_is_refused(application, sqlite_database, execute):
    """A CHECK of somebody else's is not lost: the change is refused, and nothing is done."""
    await application(sqlite_database).migrate()
    execute(sqlite_database, "ALTER TABLE watchword_users ADD COLUMN age INTEGER CHECK (age > 0)")

    with pytest.raises(ConfigurationError, match="watchword_users has a CHECK"):
        await application(sqlite_database, ANEW).migrate()

    columns = execute(sqlite_database, "SELECT name FROM pragma_table_info('watchword_users')")
    assert ("age",) in columns
    assert ("nick",) not in columns


async def test_a_word_in_quotes_is_no_check(application, sqlite_database):
    """A default that only speaks of a check is carried over."""
    talking = {"note": Field("string", default='CHECK "COLLATE" it')}
    await application(sqlite_database, talking).migrate()

    migrated = await application(sqlite_database, {**talking, **ANEW}).migrate()

    assert "+ column watchword_users.nick" in migrated.changes


async def test_a_column_is_added_in_place(application, sqlite_database, execute):
    """A constant default needs no copy of the table, so nothing stands against it."""
    await application(sqlite_database).migrate()
    execute(sqlite_database, "ALTER TABLE watchword_users ADD COLUMN age INTEGER CHECK (age > 0)")

    await application(sqlite_database, IN_PLACE).migrate()

    insert = "INSERT INTO watchword_users (id, name, email) VALUES ('1', 'Ada', 'a@b.example')"
    execute(sqlite_database, insert)
    rows = execute(sqlite_database, "SELECT plan, beta FROM watchword_users")
    assert rows == [("it's: 100%", 1)]
    again = await application(sqlite_database, IN_PLACE).migrate()
    assert again.changes == ()


async def test_the_clock_as_a_default_needs_a_copy(application, sqlite_database, execute):
    """SQLite adds no column with a default that is not a constant; rows that are there get one."""
    await application(sqlite_database).migrate()
    insert = "INSERT INTO watchword_users (id, name, email) VALUES ('1', 'Ada', 'a@b.example')"
    execute(sqlite_database, insert)

    await application(sqlite_database, {"seen_at": Field("datetime", default=NOW)}).migrate()

    [(seen,)] = execute(sqlite_database, "SELECT seen_at FROM watchword_users")
    assert seen is not None
