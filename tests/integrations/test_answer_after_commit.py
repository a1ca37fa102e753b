"""An answer is sent when what it says is committed, on every database."""

import json
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import NullPool, create_engine, text

from watchword.integrations.asgi import ASGIHandler
from watchword.integrations.fastapi import mount

GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}


class Answers:
    """What every database has to keep."""

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def auth(self, sql_auth, database):
        """An instance on the database."""
        return sql_auth(database)

    @pytest.fixture
    def seen_by_others(self, database):
        """Count the committed users, accounts and sessions, past everything."""

        def seen_by_others() -> list[int]:
            engine = create_engine(database, poolclass=NullPool)
            with engine.connect() as connection:
                tables = ("watchword_users", "watchword_accounts", "watchword_sessions")
                counts = [f"SELECT count(*) FROM {table}" for table in tables]
                return [connection.execute(text(it)).scalar() for it in counts]

        return seen_by_others

    @pytest.fixture
    def post(self, seen_by_others):
        """Post Ada's sign-up to an ASGI application; tell what others saw at each message."""

        async def post(app, path):
            seen = []

            async def receive():
                return {"type": "http.request", "body": json.dumps(GOOD).encode()}

            async def send(message):
                seen.append((message.get("status"), seen_by_others()))

            scope = {
                "type": "http",
                "method": "POST",
                "path": path,
                "query_string": b"",
                "headers": [(b"content-type", b"application/json")],
                "client": ("203.0.113.7", 50_000),
            }
            await app(scope, receive, send)
            return seen

        return post

    async def test_an_endpoint_answers_after_its_commit(self, auth, post):
        """Nobody holds a cookie and a 200 for a user who does not exist yet."""
        seen = await post(ASGIHandler(auth), "/api/auth/sign-up/email")

        assert seen == [(200, [1, 1, 1]), (None, [1, 1, 1])]

    @pytest.mark.needs_loop
    async def test_a_route_with_dependencies_answers_after_our_commit(self, auth, post):
        """FastAPI ends dependencies when the answer is on its way; we wait for none of them."""
        ended = []
        app = FastAPI()
        mount(app, auth)

        async def session():
            yield "a session of the application's"
            ended.append(True)

        @app.post("/register")
        async def register(_: Annotated[str, Depends(session)]) -> str:
            return (await auth.api.sign_up_email(**GOOD)).user.email

        seen = await post(app, "/register")

        assert seen[0] == (200, [1, 1, 1])
        assert ended == [True]


class TestSQLite(Answers):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(Answers):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(Answers):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database
