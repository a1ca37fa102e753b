"""What tests of the application's own tables share."""

from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter

ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}


@pytest.fixture
def url(database, watchword_mode):
    """The URL of the database, by the driver that fits the test's mode."""
    url = make_url(database)
    if watchword_mode.name == "loop":
        url = url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])
    return url


@pytest.fixture
def engine(database):
    """The application's own way to the database."""
    # An SQLite connection that was open before does not see new foreign keys.
    return create_engine(database, poolclass=NullPool)


@pytest.fixture
def own_auth(url, engine, new_auth, run, clock):
    """Make an instance on tables of the application's, which the application makes."""
    made = []
    clock.now = clock.now.replace(microsecond=0)  # some columns keep no more

    def own_auth(model: Any, *, fields=None, user_mapper=None, **settings: Any):
        metadata = model.metadata
        metadata.drop_all(engine)
        metadata.create_all(engine)
        adapter = SQLAlchemyAdapter(url, user_model=model, fields=fields, user_mapper=user_mapper)
        auth = new_auth(adapter, **settings)
        made.append((auth, metadata))
        return auth

    yield own_auth
    for auth, metadata in made:
        run(auth.close())
        metadata.drop_all(engine)
