"""What an application that shares its database with us sees; checked by mypy, never run."""

from collections.abc import Mapping
from typing import assert_type

from alembic import context
from sqlalchemy import MetaData, Table

from watchword import BlockingWatchword, Watchword
from watchword.migrations.own_history import alembic_options
from watchword.migrations.sharing import alembic_filters, register_foreign_tables

auth = Watchword("sqlite+aiosqlite:///auth.db")
blocking = BlockingWatchword("sqlite:///auth.db")

assert_type(auth.metadata, MetaData)
assert_type(register_foreign_tables(MetaData(), auth), Mapping[str, Table])
register_foreign_tables(MetaData(), blocking)
register_foreign_tables(MetaData(), blocking.schema)

context.configure(target_metadata=MetaData(), **alembic_filters(auth))
context.configure(target_metadata=[MetaData(), auth.metadata], **alembic_options(blocking))
alembic_filters(auth, **alembic_filters(blocking))
alembic_filters(auth, include_name=lambda name, *_: name != "spatial")
alembic_filters(auth, include_name=True)  # type: ignore[arg-type]  # no hook


async def _an_instance() -> None:
    await auth.dispose()
    blocking.dispose()
