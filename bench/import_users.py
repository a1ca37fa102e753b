"""How many users a second does `watchword users import` bring in, and in how much memory?

    python bench/import_users.py [--users 1000000] [--driver psycopg] [--batch-size 1000]

Makes a database on PostgreSQL and a file of users, each with a password's hash; imports it in a
process of its own, and counts what is there. The memory is that process's at its largest, told
at a tenth of the users too: it must not grow with the file.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from secrets import token_hex

from sqlalchemy import create_engine, make_url

from watchword import BlockingWatchword

SERVER = os.environ.get("WATCHWORD_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432")
HASH = "pbkdf2_sha256$870000$c2FsdHNhbHRz$" + "A" * 43 + "="
APP = """
import os
from watchword import {kind}
auth = {kind}(os.environ["BENCH_URL"])
"""


def write_users(file: Path, users: int) -> None:
    """Write as many lines."""
    with file.open("w", encoding="utf-8") as lines:
        for number in range(users):
            person = {
                "email": f"user{number}@example.org",
                "name": f"User {number}",
                "emailVerified": True,
                "createdAt": "2024-01-01T00:00:00Z",
                "password": HASH,
            }
            lines.write(f"{json.dumps(person)}\n")


def measure(folder: Path, url: str, users: int, batch_size: int) -> tuple[float, float, int]:
    """Import; return the seconds, those of the processor, and the largest memory in KiB."""
    write_users(folder / "users.jsonl", users)
    command = [sys.executable, "-m", "watchword", "users", "import", "users.jsonl"]
    environment = {
        **os.environ,
        "BENCH_URL": url,
        "WATCHWORD_SECRET": token_hex(32),
        "WATCHWORD_BASE_URL": "http://localhost:8000",
    }
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [*command, "--app", "bench_app:auth", "--batch-size", str(batch_size)],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    taken = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken, used.ru_utime - before.ru_utime, used.ru_maxrss


def run_on(name: str, users: int, options: argparse.Namespace) -> None:
    """Import into a new database, and print a line."""
    blocking = make_url(SERVER).set(drivername="postgresql+psycopg", database=name)
    kind = "Watchword" if options.driver == "asyncpg" else "BlockingWatchword"
    url = blocking.set(drivername=f"postgresql+{options.driver}")
    auth = BlockingWatchword(blocking, secret=token_hex(32), base_url="http://localhost:8000")
    auth.create_tables()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench_app.py").write_text(APP.format(kind=kind), encoding="utf-8")
        text = url.render_as_string(hide_password=False)
        taken, processor, memory = measure(Path(folder), text, users, options.batch_size)
    engine = create_engine(blocking)
    with engine.connect() as connection:
        counts = [
            connection.exec_driver_sql(f"SELECT count(*) FROM watchword_{it}").scalar()
            for it in ("users", "accounts")
        ]
    engine.dispose()
    auth.close()
    if counts != [users, users]:
        raise SystemExit(f"{counts} users and accounts instead of {users}")
    print(
        f"{users:>9,} users  {taken:7.1f} s  {users / taken:7,.0f} users/s  "
        f"processor {processor:6.1f} s  memory {memory / 1024:5.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Measure a tenth, and then all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--driver", choices=["psycopg", "asyncpg"], default="psycopg")
    parser.add_argument("--batch-size", type=int, default=1000)
    options = parser.parse_args()
    admin = create_engine(
        make_url(SERVER).set(drivername="postgresql+psycopg", database="postgres"),
        isolation_level="AUTOCOMMIT",
    )
    for users in (options.users // 10, options.users):
        name = f"watchword_bench_{token_hex(4)}"
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            run_on(name, users, options)
        finally:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    main()
