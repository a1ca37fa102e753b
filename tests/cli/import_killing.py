"""Kills a process that imports users, at one point after the other, and runs the same again.

    python import_killing.py URL FOLDER STEP

Kills at every STEP-th point until an import comes through: before and after each statement and
commit, and before each file is opened or renamed. Prints a line of JSON for each point.
"""

import gc
import json
import os
import signal
import sys
from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import Engine, create_engine, event, text

from watchword.cli.commands import watchword
from watchword.cli.loading import load_app

HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
# Two are refused before anything is written, and two by a unique key that a hook fills.
REFUSED = {4: "invalid_email", 11: "invalid_password_hash", 8: "value_taken", 14: "value_taken"}
PEOPLE = 14
OPTIONS = ["--app", "killed:auth", "--batch-size", "4", "--report", "refused.jsonl"]
IMPORT = ["users", "import", "users.jsonl", *OPTIONS]
APP = """
import os
from watchword import BlockingWatchword, DatabaseHook, EmailPassword, Field, UserOptions

def nick(user):
    return {"nick": "same" if user["name"] in {"P1", "P8", "P14"} else user["name"]}

auth = BlockingWatchword(
    os.environ["IMPORT_INTO"],
    secret="correct-horse-battery-staple-0123456789",
    base_url="http://localhost:8000",
    email_password=EmailPassword(),
    user=UserOptions(additional_fields={"nick": Field("string", unique=True, required=False)}),
    database_hooks=[DatabaseHook(model="user", operation="create", before=nick)],
)
"""


def main() -> None:
    """Kill, run again, and tell."""
    url, folder, step = sys.argv[1:]
    os.environ["IMPORT_INTO"] = url
    os.chdir(folder)
    Path("killed.py").write_text(APP, encoding="utf-8")
    Path("users.jsonl").write_text("\n".join(map(line, range(1, PEOPLE + 1))), encoding="utf-8")
    auth = load_app("killed:auth")
    auth.create_tables()
    auth.close()
    gc.freeze()  # or each child would copy what is imported, to look for what is of no use
    point, was_killed = 1, True
    while was_killed:
        empty(url)
        was_killed = run(point)[0]
        # Killed once more, later by as much, and then left to itself.
        run(point) if was_killed else None
        code = run(None)[1] if was_killed else 1
        found = {"point": point, "killed": was_killed, "flaws": flaws(url, code)}
        sys.stdout.write(json.dumps(found) + "\n")
        point += int(step)


def line(number: int) -> str:
    """Return the line of a user, in which something may be wrong."""
    reason = REFUSED.get(number)
    address = "nobody" if reason == "invalid_email" else f"p{number}@example.org"
    password = "secret" if reason == "invalid_password_hash" else HASH
    return json.dumps({"email": address, "name": f"P{number}", "password": password})


def run(point: int | None) -> tuple[bool, int]:
    """Import in a child that is killed at a point; return whether it was, and its exit code."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        if point is not None:
            die_at(point)
        os._exit(CliRunner().invoke(watchword, IMPORT).exit_code)
    status = os.waitpid(pid, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status >> 8


def die_at(point: int) -> None:
    """Be killed at the n-th of all points."""
    passed = 0

    def count(*_) -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, name, count)
    ours = ("refused.jsonl", "import-checkpoint")

    def hear(what, args) -> None:
        if what in {"open", "os.rename", "os.remove"} and any(it in str(args[0]) for it in ours):
            count()

    sys.addaudithook(hear)


def flaws(url: str, code: int) -> list[str]:
    """Say what is not as it should be."""
    users, accounts = rows(url)
    expected = sorted(f"P{it}" for it in range(1, PEOPLE + 1) if it not in REFUSED)
    report = [json.loads(it) for it in Path("refused.jsonl").read_text("utf-8").splitlines()]
    told = sorted((it["line"], it["code"]) for it in report)
    wrong = [
        ("users", users, expected),
        ("with accounts", accounts, expected),
        ("report", told, sorted(REFUSED.items())),
        ("exit code", code, 1),
        ("files", sorted(it.name for it in Path().glob("*checkpoint*")), []),
    ]
    return [f"{what}: {found}" for what, found, wanted in wrong if found != wanted]


def rows(url: str) -> tuple[list[str], list[str]]:
    """Return the names of all users, and of those by their accounts."""
    joined = "FROM watchword_users u JOIN watchword_accounts a ON a.user_id = u.id"
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [
            sorted(connection.execute(text(f"SELECT name {it}")).scalars())
            for it in ("FROM watchword_users", joined)
        ]
    engine.dispose()
    return found[0], found[1]


def empty(url: str) -> None:
    """Begin as if nobody had ever imported anything."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM watchword_accounts"))
        connection.execute(text("DELETE FROM watchword_users"))
    engine.dispose()
    for file in (*Path().glob("*checkpoint*"), Path("refused.jsonl")):
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
