"""What one blocking `users.get()` costs, beside the same statement written by hand.

By hand: a connection of the same kind of pool, one `select` of SQLAlchemy Core that was built
once, and its row. Both take turns in one process, on each database; the ratio is what counts.

    python bench/blocking_get.py [--rounds 9] [--reads 2000]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from uuid import UUID

from sqlalchemy import Engine, NullPool, bindparam, create_engine, make_url, select

from watchword import BlockingWatchword, User

POSTGRESQL = os.environ.get("WATCHWORD_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432")
MYSQL = os.environ.get("WATCHWORD_MYSQL_URL", "mysql://root@127.0.0.1:3306")


@contextmanager
def database(server: str, driver: str, maintenance: str) -> Iterator[str]:
    """Make a database, and drop it."""
    name = f"bench_{token_hex(4)}"
    url = make_url(server).set(drivername=driver)
    engine = create_engine(
        url.set(database=maintenance), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")


@contextmanager
def sqlite() -> Iterator[str]:
    """Make a file, and delete it."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/bench.db"


def by_hand(auth: BlockingWatchword, engine: Engine) -> Callable[[str], tuple[object, ...]]:
    """Return a read as people write it who need nothing else."""
    table = next(it for it in auth.metadata.sorted_tables if it.name == "watchword_users")
    statement = select(table).where(table.c.id == bindparam("key"))
    is_uuid = table.c.id.type.python_type is UUID

    def read(key: str) -> tuple[object, ...]:
        with engine.connect() as connection:
            found = connection.execute(statement, {"key": UUID(key) if is_uuid else key})
            return tuple(found.one())

    return read


def seconds(read: Callable[[str], object], key: str, reads: int) -> float:
    """Return how long so many reads take."""
    start = time.perf_counter()
    for _ in range(reads):
        read(key)
    return time.perf_counter() - start


def measure(name: str, url: str, *, rounds: int, reads: int) -> None:
    """Take turns, and say what the middle round took."""
    auth: BlockingWatchword[User] = BlockingWatchword(
        url, secret=token_hex(32), base_url="http://localhost"
    )
    auth.create_tables()
    key = auth.users.create(email="ada@example.org", name="Ada").id
    # One statement is one transaction, as it is for the other one.
    engine = create_engine(url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True)
    users, hand = auth.users, by_hand(auth, engine)
    assert users.get(key) is not None
    hand(key)
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(seconds(hand, key, reads))
        ours.append(seconds(users.get, key, reads))
    auth.close()
    engine.dispose()
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    a, b = (statistics.median(it) / reads * 1e6 for it in (ours, theirs))
    print(f"{name:12} by hand {b:7.1f} µs   users.get() {a:7.1f} µs   ratio {ratio:.2f}")


def main() -> None:
    """Measure on each database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--reads", type=int, default=2000)
    arguments = parser.parse_args()
    places = {
        "SQLite": sqlite(),
        "PostgreSQL": database(POSTGRESQL, "postgresql+psycopg", "postgres"),
        "MariaDB": database(MYSQL, "mysql+pymysql", ""),
    }
    for name, place in places.items():
        with place as url:
            measure(name, url, rounds=arguments.rounds, reads=arguments.reads)


if __name__ == "__main__":
    main()
