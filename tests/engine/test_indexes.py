"""No request reads a whole table: what it looks for is found by an index, on every database."""

import re

import pytest
from sqlalchemy import Engine, NullPool, create_engine, event

from watchword import DeleteUser, EmailVerification, UserOptions
from watchword.storage.query import F

ADDRESS = "Ada@Example.org"
OLD, NEW, NEWER = "difference-engine", "analytical-engine", "jacquard-loom"


async def journey(page, outbox):
    """Do everything that a user does, once; the address in capitals, as some type it."""
    changed = {"currentPassword": OLD, "newPassword": NEW, "revokeOtherSessions": True}
    answers = [
        await page.sign_up(email=ADDRESS),
        await page.post("/send-verification-email", {"email": ADDRESS}),
        await page.get("/verify-email", query=f"token={outbox[-1].token}"),
        await page.sign_in(email=ADDRESS),
        await page.session(),
        await page.get("/list-sessions"),
        await page.get("/list-accounts"),
        await page.post("/update-user", {"name": "Countess"}),
        await page.post("/revoke-session", {"token": "unknown"}),
        await page.post("/change-password", changed),
        await page.post("/request-password-reset", {"email": ADDRESS}),
    ]
    token = outbox[-1].token
    return [
        *answers,
        await page.post("/reset-password", {"newPassword": NEWER, "token": token}),
        await page.sign_in(email=ADDRESS, password=NEWER),
        await page.post("/revoke-other-sessions", {}),
        await page.post("/delete-user", {"password": NEWER}),
    ]


class Indexes:
    """What every database has to keep."""

    never_loop = True

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database."""
        raise NotImplementedError

    @pytest.fixture
    def outbox(self):
        """The mail that was sent."""
        return []

    @pytest.fixture
    def auth(self, sql_auth, database, outbox):
        """An instance on the database."""
        return sql_auth(
            database,
            mail=outbox.append,
            email_verification=EmailVerification(),
            user=UserOptions(delete_user=DeleteUser()),
        )

    @pytest.fixture
    def executed(self):
        """Every statement that reaches a cursor, with its parameters."""
        executed = []

        def note(_connection, _cursor, statement, parameters, *_):
            executed.append((statement, parameters))

        event.listen(Engine, "before_cursor_execute", note)
        yield executed
        event.remove(Engine, "before_cursor_execute", note)

    @pytest.fixture
    def connection(self, database):
        """A connection past everything, to ask how a statement is executed."""
        with create_engine(database, poolclass=NullPool).connect() as connection:
            yield connection

    def reads_all(self, connection, statement, parameters) -> bool:
        """Tell whether the statement reads a whole table."""
        raise NotImplementedError

    async def test_no_request_reads_a_whole_table(
        self, auth, new_browser, outbox, executed, connection
    ):
        """Otherwise a sign-in costs more with every user there is."""
        page = new_browser(auth)
        await new_browser(auth).sign_up(email="bob@example.org")
        executed.clear()

        answers = await journey(page, outbox)

        assert {it.status for it in answers} == {200}
        looking = [it for it in executed if re.match(r"\s*(SELECT|UPDATE|DELETE)", it[0])]
        assert len(looking) > 20
        await new_browser(auth).sign_up(email=ADDRESS)
        slow = [it for it, given in looking if self.reads_all(connection, it, given)]
        assert slow == []

    async def test_a_whole_table_is_noticed(self, auth, executed, connection):
        """A search without an index is found by this file's own measure."""
        executed.clear()

        await auth.store.find_one("user", F.name == "Ada")

        [(statement, parameters)] = executed
        assert self.reads_all(connection, statement, parameters)


class TestSQLite(Indexes):
    """SQLite: a plan that scans says so."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database

    def reads_all(self, connection, statement, parameters):
        """Read the plan."""
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return any(line[3].startswith("SCAN") for line in plan.all())


class TestPostgreSQL(Indexes):
    """PostgreSQL: told to scan only where there is no other way, for a few rows are scanned."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database

    def reads_all(self, connection, statement, parameters):
        """Read the plan; an index that is walked through without a condition is no help."""
        connection.exec_driver_sql("SET enable_seqscan = off")
        lines = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
        plan = "\n".join(lines)
        return "Seq Scan" in plan or "Index Cond" not in plan


class TestMariaDB(Indexes):
    """MariaDB, or MySQL: of a few rows it says at least by which indexes it could find them."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database

    def reads_all(self, connection, statement, parameters):
        """Read the plan; a table that is known to be empty is not read at all."""
        plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return any(
            line["table"] is not None and line["possible_keys"] is None
            for line in plan.mappings().all()
        )
