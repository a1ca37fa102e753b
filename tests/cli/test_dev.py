"""`watchword dev`: what it starts, what it keeps, and what it says to a mistake."""

import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from html import unescape
from itertools import takewhile
from pathlib import Path
from secrets import token_hex

import httpx
import pytest
from click.testing import CliRunner

from watchword.cli.commands import watchword

ADA = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
PIP_LINE = 'hint  pip install "watchword[dev]"'


@pytest.fixture
def sign_up() -> Iterator[Callable[..., httpx.Client]]:
    """Sign Ada up as a page of an origin would; the client is then signed in."""
    with ExitStack() as open_clients:

        def sign_up(server, origin: str | None = None) -> httpx.Client:
            client = open_clients.enter_context(httpx.Client(base_url=server.url))
            answer = client.post("/sign-up", data=ADA, headers={"origin": origin or server.url})
            assert answer.headers["location"] == "/account", answer.text
            return client

        yield sign_up


@pytest.mark.slow
class TestARunningServer:
    """A real process on a real port, with a real file."""

    def test_it_says_where_it_runs_and_answers_there(self, start_server, tmp_path):
        """Every line of its greeting is true."""
        server = start_server()

        paths = ("/sign-up", "/sign-in", "/outbox")
        pages = [httpx.get(server.url + path) for path in paths]
        endpoint = httpx.get(f"{server.url}/api/auth/get-session")

        assert [page.status_code for page in pages] == [200, 200, 200]
        assert endpoint.json() is None
        assert str(tmp_path / "watchword-demo.db") in server.output
        assert f"+ {tmp_path / 'watchword-demo.db.secret'}" in server.output
        assert f"Next: open {server.url}/sign-up" in server.output
        assert server.errors.read_text("utf-8") == ""

    def test_nobody_else_can_read_the_secret(self, start_server, tmp_path):
        """It is made with mode 0600, and a laxer copy is put right at the next start."""
        start_server().end(signal.SIGINT)
        file = tmp_path / "watchword-demo.db.secret"
        made = stat.S_IMODE(file.stat().st_mode)
        file.chmod(0o644)

        start_server()

        assert made == 0o600
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    @pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
    def test_every_name_of_this_machine_is_the_same_place(self, start_server, sign_up, name):
        """Whoever opens the page by another name than the printed one can sign up."""
        server = start_server()

        client = sign_up(server, origin=f"http://{name}:{server.port}")

        assert "ada@example.org" in client.get("/account").text

    @pytest.mark.parametrize("origin", ["http://localhost:1", "https://localhost:{port}"])
    def test_another_server_of_this_machine_is_another_place(self, start_server, origin):
        """Its pages sign nobody in here: port and scheme count."""
        server = start_server()
        headers = {"origin": origin.format(port=server.port)}

        answer = httpx.post(f"{server.url}/sign-up", data=ADA, headers=headers)

        assert answer.status_code == 403

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_a_restart_keeps_users_and_sessions(self, start_server, sign_up, how):
        """Killed or stopped, the next start finds who was there and knows their cookie."""
        server = start_server()
        client = sign_up(server)
        server.end(how)

        again = start_server("--port", server.port)
        account = client.get("/account")
        fresh = httpx.post(f"{again.url}/sign-in", data=ADA)

        assert again.url == server.url
        assert "+ " not in again.output
        assert "ada@example.org" in account.text
        assert fresh.headers["location"] == "/account"

    def test_ctrl_c_ends_it_without_complaint(self, start_server, sign_up):
        """The exit code is 0, and nothing but a word is printed."""
        server = start_server()
        sign_up(server)

        code = server.end(signal.SIGINT)

        assert code == 0
        assert server.output.endswith("\nStopped.\n")
        assert server.errors.read_text("utf-8") == ""

    def test_a_second_server_on_the_port_is_told_so(self, start_server, here):
        """One sentence, a way out, exit code 1; the first goes on."""
        server = start_server()

        second = run("--port", server.port, "--database", "sqlite+aiosqlite:///other.db")

        assert second.exit_code == 1
        assert f"error  Port {server.port} of 127.0.0.1 is in use." in second.stderr
        assert "watchword dev --port 0" in second.stderr
        assert httpx.get(f"{server.url}/sign-in").status_code == 200

    def test_open_to_every_network_it_is_called_localhost(self, start_server, sign_up):
        """No browser opens 0.0.0.0, and other machines name themselves by --base-url."""
        server = start_server("--host", "0.0.0.0", "--port", "0")

        client = sign_up(server)

        assert server.url.startswith("http://localhost:")
        assert "ada@example.org" in client.get("/account").text

    def test_behind_a_proxy_the_base_url_is_what_counts(self, start_server):
        """Its pages may call, those of the address that it listens at may not."""
        port = free_port()
        start_server("--port", str(port), "--base-url", "https://demo.example")
        send = {"url": f"http://127.0.0.1:{port}/sign-up", "data": ADA}

        inside = httpx.post(**send, headers={"origin": f"http://127.0.0.1:{port}"})
        proxied = httpx.post(**send, headers={"origin": "https://demo.example"})

        assert inside.status_code == 403
        assert proxied.headers["location"] == "/account"
        assert "; Secure;" in proxied.headers["set-cookie"]

    def test_mail_is_in_the_outbox_and_its_link_in_the_terminal(self, start_server, sign_up):
        """Nobody needs a mail server; the link verifies the address."""
        server = start_server()
        client = sign_up(server)

        outbox = httpx.get(f"{server.url}/outbox").text
        server.end(signal.SIGINT)

        assert "ada@example.org" in outbox
        [link] = re.findall(r'class="button" href="([^"]*)"', outbox)
        assert f"mail to {ADA['email']}: Verify your e-mail address" in server.output
        assert f"{server.url}{unescape(link)}\n" in server.output
        start_server("--port", server.port)
        client.get(unescape(link))
        assert client.get("/api/auth/get-session").json()["user"]["emailVerified"] is True

    @pytest.mark.parametrize(
        "options",
        [
            ("--base-url", "https://demo.example"),
            ("--host", "0.0.0.0", "--base-url", "http://192.0.2.1:8000"),
        ],
    )
    def test_reached_by_another_name_the_outbox_is_closed(self, start_server, options):
        """A proxy on this machine asks like a browser on this machine, for anybody."""
        port = free_port()
        server = start_server("--port", str(port), *options)
        origin = {"origin": options[-1]}
        httpx.post(f"http://127.0.0.1:{port}/sign-up", data=ADA, headers=origin)

        answer = httpx.get(f"http://127.0.0.1:{port}/outbox")
        server.end(signal.SIGINT)

        assert answer.status_code == 403
        assert "ada@example.org" not in answer.text
        assert f"{options[-1]}/api/auth/verify-email?token=" in server.output

    def test_what_is_stored_is_of_no_use_to_a_thief(self, start_server, sign_up, tmp_path):
        """The file holds neither the password nor what the browser holds."""
        server = start_server()
        client = sign_up(server)
        token = client.get("/api/auth/get-session").json()["session"]["token"]

        with closing(sqlite3.connect(tmp_path / "watchword-demo.db")) as database:
            dump = "\n".join(database.iterdump())

        assert "ada@example.org" in dump
        assert ADA["password"] not in dump
        assert token not in dump


@pytest.mark.slow
def test_it_starts_where_nothing_is_imported(here):
    """Not a fork of a process that is ready, as the others are."""
    with subprocess.Popen(
        [sys.executable, "-m", "watchword", "dev", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        greeting = "".join(takewhile(lambda line: "Ctrl-C" not in line, process.stdout))
        process.send_signal(signal.SIGINT)
        last = process.stdout.read()

    assert "Watchword runs at http://127.0.0.1:" in greeting
    assert (process.returncode, last) == (0, "\nStopped.\n")


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def run(*options: str):
    """Run the command in this process; it must end by itself."""
    return CliRunner(catch_exceptions=False).invoke(watchword, ["dev", *options])


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder that commands run in, with nothing set for them."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WATCHWORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("uvicorn.Server.run", fail_to_fail)
    return tmp_path


def fail_to_fail(*arguments, **options):
    """Stand where the server would start to answer, and never end."""
    pytest.fail("the server started")


class TestMistakes:
    """Each is a sentence, a hint and an exit code; nothing is left behind."""

    @pytest.mark.parametrize(
        ("database", "sentence"),
        [
            ("nonsense", "The database URL cannot be read."),
            ("sqlite+nonsense:///x.db", "There is no database driver 'sqlite+nonsense'."),
            ("sqlite+aiosqlite:///missing/x.db", "There is no folder"),
            ("sqlite+aiosqlite:///.", "is a folder."),
        ],
    )
    def test_a_bad_database_url(self, here, database, sentence):
        """Wrong use: exit code 2."""
        result = run("--port", "0", "--database", database)

        assert result.exit_code == 2
        assert sentence in result.stderr
        assert "hint  " in result.stderr
        assert list(here.iterdir()) == []
        assert not here.with_name(f"{here.name}.secret").exists()

    @pytest.mark.parametrize("url", ["nonsense", "http://host:port", "ftp://example.org"])
    def test_a_bad_base_url(self, here, url):
        """Wrong use: exit code 2."""
        result = run("--port", "0", "--base-url", url)

        assert result.exit_code == 2
        assert f"The base URL {url!r}" in result.stderr

    def test_a_host_that_does_not_exist(self, here):
        """Wrong use: exit code 2."""
        result = run("--host", "nobody.invalid")

        assert result.exit_code == 2
        assert "There is no host 'nobody.invalid'." in result.stderr

    def test_an_address_of_another_machine(self, here):
        """Not ours to listen at: exit code 1, in the system's words."""
        result = run("--host", "203.0.113.1", "--port", "0")

        assert result.exit_code == 1
        assert "Cannot assign requested address" in result.stderr

    @pytest.mark.parametrize("missing", ["uvicorn", "sqlalchemy", "aiosqlite"])
    def test_a_missing_extra(self, here, monkeypatch, missing):
        """The line to install it: exit code 2."""
        monkeypatch.setitem(sys.modules, missing, None)

        result = run("--port", "0")

        assert result.exit_code == 2
        assert f"error  This command needs {missing}, which is not installed." in result.stderr
        assert PIP_LINE in result.stderr
        assert list(here.iterdir()) == []

    @pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
    def test_a_file_that_is_no_database(self, here, driver):
        """Something to do: exit code 1, in the database's words; the file stays as it is."""
        (here / "notes.db").write_text("to do: " * 1000)

        result = run("--port", "0", "--database", f"{driver}:///notes.db")

        assert result.exit_code == 1
        assert f"{here / 'notes.db'} cannot be used: file is not a database." in result.stderr
        assert (here / "notes.db").read_text().startswith("to do: ")

    def test_a_database_server_that_is_not_there_is_named_without_its_password(self, here):
        """Output is read by many."""
        url = "postgresql+asyncpg://ada:se:c/r?et@127.0.0.1:1/shop?ssl=disable"

        result = run("--port", "0", "--database", url)

        assert result.exit_code == 1
        assert "The database postgresql+asyncpg://127.0.0.1:1/shop cannot be used" in result.stderr
        assert "et@" not in result.output
        assert "ada" not in result.output

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql+asyncpg://ada:secret@127.0.0.1:1/shop?sslmode=require",
            "postgresql+asyncpg://ada:half@other?half=1@127.0.0.1:1/shop",
        ],
    )
    def test_a_url_that_its_driver_does_not_understand(self, here, url):
        """A parameter of another driver, a password that is not escaped: exit code 2."""
        result = run("--port", "0", "--database", url)

        assert result.exit_code == 2
        assert "The driver does not take all that the database URL says." in result.stderr
        assert "half" not in result.output

    @pytest.mark.parametrize("content", ["", "too short", "x" * 64, b"\xff" * 64])
    def test_a_secret_that_is_none(self, here, content):
        """It is not replaced behind the user's back: exit code 1."""
        file = here / "watchword-demo.db.secret"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

        result = run("--port", "0")

        assert result.exit_code == 1
        assert f"There is no good secret in {file}." in result.stderr

    def test_a_secret_that_cannot_be_read(self, here):
        """Exit code 1, in the system's words."""
        (here / "watchword-demo.db.secret").mkdir()

        result = run("--port", "0")

        assert result.exit_code == 1
        assert "cannot be read or made: Is a directory." in result.stderr

    def test_a_secret_in_the_environment_that_could_be_guessed(self, here, monkeypatch):
        """The variable is used, so it is looked at like any other secret: exit code 2."""
        monkeypatch.setenv("WATCHWORD_SECRET", "changeme")

        result = run("--port", "0")

        assert result.exit_code == 2
        assert "The secret is shorter than 32 characters." in result.stderr

    def test_a_port_that_is_none(self, here):
        """Wrong use: exit code 2."""
        result = run("--port", "70000")

        assert result.exit_code == 2
        assert "70000" in result.stderr


def test_a_port_below_the_users_reach(here, monkeypatch):
    """The system's refusal is passed on, whatever it is."""

    def refuse(*arguments, **options):
        raise PermissionError(13, "no")

    monkeypatch.setattr(socket, "create_server", refuse)

    result = run("--port", "80")

    assert result.exit_code == 1
    assert "cannot listen on port 80 of 127.0.0.1: Permission denied." in result.stderr


# --- on MongoDB ------------------------------------------------------------------------------


@pytest.fixture
def alone_place(mongodb_alone_client, mongodb_alone_url) -> Iterator[str]:
    """The URL of a database on a server that has no transactions."""
    name = f"watchword_{token_hex(6)}"
    yield f"{mongodb_alone_url}/{name}"
    mongodb_alone_client.drop_database(name)


@pytest.mark.slow
class TestARunningServerOnMongoDB:
    """The same demo, with its users on a server."""

    def test_it_works_on_a_replica_set(self, start_server, sign_up, mongodb_place, tmp_path):
        """Who signs up there signs in after a restart; no file is made."""
        server = start_server("--port", "0", "--database", mongodb_place)
        client = sign_up(server)
        server.end(signal.SIGINT)
        again = start_server("--port", "0", "--database", mongodb_place)

        fresh = httpx.post(f"{again.url}/sign-in", data=ADA)

        assert f"database   {mongodb_place.partition('?')[0]}\n" in server.output
        assert "transactions" not in server.output
        assert fresh.headers["location"] == "/account"
        assert client.cookies
        assert not list(tmp_path.glob("watchword-demo*"))

    @pytest.mark.skipif(
        "WATCHWORD_MONGODB_URL" in os.environ, reason="it needs a server that is alone"
    )
    def test_it_works_on_a_server_that_is_alone(self, start_server, sign_up, alone_place):
        """It does without transactions, and says so."""
        server = start_server("--port", "0", "--database", alone_place)

        client = sign_up(server)

        assert "it has no transactions, as it is no replica set" in server.output
        assert "ada@example.org" in client.get("/account").text


class TestMistakesWithMongoDB:
    """Each is a sentence, a hint and an exit code; no password is shown."""

    def test_a_server_that_is_not_there(self, here):
        """Exit code 1, in a line of the driver's words."""
        url = "mongodb://ada:se%40cret@127.0.0.1:1/shop?serverSelectionTimeoutMS=100"

        result = run("--port", "0", "--database", url)

        assert result.exit_code == 1
        assert (
            "error  The database mongodb://127.0.0.1:1/shop cannot be used: "
            "127.0.0.1:1: [Errno 111] Connection refused.\n"
        ) in result.stderr
        assert "cret" not in result.output
        assert "ada" not in result.output
        assert list(here.iterdir()) == []

    @pytest.mark.parametrize("url", ["mongodb://ada:secret@x:y:z/shop", "mongodb://"])
    def test_a_url_that_cannot_be_read(self, here, url):
        """Wrong use: exit code 2."""
        result = run("--port", "0", "--database", url)

        assert result.exit_code == 2
        assert "The MongoDB URL cannot be read." in result.stderr
        assert "secret" not in result.output

    def test_a_missing_driver(self, here):
        """The line to install it: exit code 2."""
        hidden = "import sys; sys.modules['pymongo'] = None; sys.argv[1:] = "
        arguments = ["dev", "--port", "0", "--database", "mongodb://127.0.0.1/shop"]
        program = f"{hidden}{arguments}; from watchword.cli.main import main; sys.exit(main())"

        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )

        assert result.returncode == 2
        assert "error  MongoDBAdapter needs pymongo, which is not installed." in result.stderr
        assert 'hint  pip install "watchword[mongodb]"' in result.stderr

    @pytest.mark.parametrize("missing", ["sqlalchemy", "aiosqlite"])
    def test_nothing_of_sql_is_needed(self, here, monkeypatch, missing):
        """Without it, the next thing in the way is the server."""
        monkeypatch.setitem(sys.modules, missing, None)
        url = "mongodb://127.0.0.1:1/shop?serverSelectionTimeoutMS=100"

        result = run("--port", "0", "--database", url)

        assert result.exit_code == 1
        assert "Connection refused" in result.stderr
