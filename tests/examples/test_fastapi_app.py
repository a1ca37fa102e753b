"""The first example of the documentation runs, and does what it says."""

import importlib.util
import re
from pathlib import Path
from typing import Final

import httpx
import pytest

from watchword import ConfigurationError

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "fastapi_app.py"
ADA: Final = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
ORIGIN: Final = {"origin": "http://localhost:8000"}


def load():
    """Run the example's file and return its application."""
    spec = importlib.util.spec_from_file_location("fastapi_app", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


@pytest.fixture
def app(tmp_path, monkeypatch):
    """The application, in an empty folder, with a secret."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WATCHWORD_SECRET", "a-secret-for-the-example-0123456789")
    return load()


def client_of(app) -> httpx.AsyncClient:
    """Call an application as a page of it would."""
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN["origin"], headers=ORIGIN)


@pytest.mark.needs_loop
async def test_signing_up_in_and_out(app):
    """`/me` greets who is signed in, and nobody else."""
    async with app.router.lifespan_context(app), client_of(app) as client:
        stranger = await client.get("/me")
        await client.post("/api/auth/sign-up/email", json=ADA)
        signed_up = await client.get("/me")
        await client.post("/api/auth/sign-out")
        signed_out = await client.get("/me")
        await client.post("/api/auth/sign-in/email", json=ADA)
        signed_in = await client.get("/me")

    assert stranger.status_code == signed_out.status_code == 401
    assert signed_up.json() == signed_in.json() == {"hello": "ada@example.org"}


@pytest.mark.needs_loop
async def test_users_and_sessions_stay_after_a_restart(app):
    """They are in the file."""
    async with app.router.lifespan_context(app), client_of(app) as client:
        await client.post("/api/auth/sign-up/email", json=ADA)
        cookies = client.cookies

    again = load()
    async with again.router.lifespan_context(again), client_of(again) as client:
        client.cookies = cookies
        greeting = await client.get("/me")

    assert greeting.json() == {"hello": "ada@example.org"}


def test_without_a_secret_it_says_what_to_do(tmp_path, monkeypatch):
    """The example holds no secret that somebody could take over with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WATCHWORD_SECRET", raising=False)

    with pytest.raises(ConfigurationError, match="set WATCHWORD_SECRET"):
        load()


def test_it_is_the_example_of_the_readme():
    """What is shown is what runs, but for the secret and the lines' breaks."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    shown = next(block for block in blocks if "mount(app, auth)" in block)
    program = EXAMPLE.read_text(encoding="utf-8")

    assert statements(shown) <= statements(program) | {'secret="…",'}


def statements(program: str) -> set[str]:
    """Take the lines that do something apart from how they are written."""
    lines = (line.partition("#")[0].strip() for line in program.splitlines())
    return {
        line
        for line in lines
        if line.startswith(
            ("auth", "database", "secret", "base_url", "email_password", "app", "mount", "@app")
        )
    }
