"""Migrations beside a user table of the application's own."""

from datetime import datetime

import pytest
from sqlalchemy import (
    BigInteger,
    DateTime,
    Integer,
    NullPool,
    String,
    Text,
    Uuid,
    create_engine,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.errors import ConfigurationError

KEYS = {
    "text": String(40),
    "number": Integer(),
    "long-number": BigInteger(),
    "uuid": Uuid(as_uuid=False),
}


def new_user_model(key):
    """Make a mapped class whose key has a name and a type of its own."""

    class Base(DeclarativeBase):
        """The application's models."""

    class Customer(Base):
        """The application's own user."""

        __tablename__ = "customers"
        number: Mapped[str] = mapped_column(key, primary_key=True)
        name: Mapped[str] = mapped_column(String(100))
        email: Mapped[str] = mapped_column(String(200), unique=True)
        email_verified: Mapped[bool]
        image: Mapped[str | None] = mapped_column(Text)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
        updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    return Customer


@pytest.fixture(params=KEYS)
def customer(request):
    """A user model for each kind of key."""
    return new_user_model(KEYS[request.param])


@pytest.fixture
def shop(new_auth, emptied, customer, run):
    """Make applications on the table, which is there unless the test says otherwise."""
    made = []

    def shop(*, is_made=True, **settings):
        if is_made:
            engine = create_engine(emptied, poolclass=NullPool)
            customer.metadata.create_all(engine, tables=[customer.__table__])
        adapter = SQLAlchemyAdapter(emptied, user_model=customer, fields={"id": "number"})
        made.append(new_auth(adapter, new_id=lambda: "made-by-us", **settings))
        return made[-1]

    yield shop
    for auth in made:
        run(auth.close())


async def test_ours_point_at_theirs(shop, emptied):
    """Our tables are made with references to the key, of its type; a second run finds them."""
    auth = shop()

    first = await auth.migrate()
    second = await auth.migrate()

    there = inspect(create_engine(emptied, poolclass=NullPool))
    [reference] = there.get_foreign_keys("watchword_sessions")
    assert (reference["referred_table"], reference["referred_columns"]) == (
        "customers",
        ["number"],
    )
    assert "+ table watchword_sessions" in first.changes
    assert second.changes == ()


async def test_theirs_is_left_alone(shop, emptied):
    """Neither bringing it up to date nor going back to nothing touches their table."""
    auth = shop()
    there = inspect(create_engine(emptied, poolclass=NullPool))
    before = repr(there.get_columns("customers"))

    await auth.migrate()
    await auth.migrate(to=0)

    after = inspect(create_engine(emptied, poolclass=NullPool))
    assert repr(after.get_columns("customers")) == before
    assert [it for it in after.get_table_names() if it.startswith("watchword")] == []


async def test_theirs_is_missing(shop):
    """A sentence says whose table it is; nothing was made."""
    auth = shop(is_made=False)

    with pytest.raises(ConfigurationError, match="no table customers"):
        await auth.migrate()
