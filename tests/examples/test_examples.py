"""The examples of the other frameworks run, and do what they say."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from watchword import ConfigurationError

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
SECRET: Final = "a-secret-for-the-example-0123456789"
ADA: Final = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
ORIGIN: Final = {"origin": "http://localhost:8000"}
SIGN_UP: Final = "/api/auth/sign-up/email"


@pytest.fixture
def load(monkeypatch):
    """Run an example's file and return its module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)  # where Litestar looks for its names
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder, and a secret."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WATCHWORD_SECRET", SECRET)
    return tmp_path


@pytest.mark.needs_loop
@pytest.mark.parametrize("name", ["starlette_app", "litestar_app"])
async def test_signing_up_and_out_on_a_loop(elsewhere, load, name):
    """`/me` greets who is signed in, and nobody else."""
    app = load(name).app
    lifespan = app.lifespan() if name == "litestar_app" else app.router.lifespan_context(app)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lifespan)
        page = await stack.enter_async_context(page_of(app))
        stranger = await page.get("/me")
        await page.post(SIGN_UP, json=ADA)
        signed_up = await page.get("/me")
        await page.post("/api/auth/sign-out")
        signed_out = await page.get("/me")

    assert stranger.status_code == signed_out.status_code == 401
    assert signed_up.json() == {"hello": "ada@example.org"}


def page_of(app) -> httpx.AsyncClient:
    """Call an application as a page of it would."""
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN["origin"], headers=ORIGIN)


def test_signing_up_and_out_on_flask(elsewhere, load):
    """`/me` greets who is signed in, and nobody else."""
    module = load("flask_app")
    page = module.app.test_client()

    stranger = page.get("/me")
    page.post(SIGN_UP, json=ADA, headers=ORIGIN)
    signed_up = page.get("/me")
    page.post("/api/auth/sign-out", headers=ORIGIN)
    signed_out = page.get("/me")
    module.auth.close()

    assert stranger.status_code == signed_out.status_code == 401
    assert signed_up.json == {"hello": "ada@example.org"}


# In a process of its own: a process has one Django project.
DJANGO: Final = f"""
import json
import django_app
from django.test import Client

page = Client(enforce_csrf_checks=True, headers={ORIGIN!r}, SERVER_NAME="localhost")
answers = [page.get("/me")]
page.post({SIGN_UP!r}, {ADA!r}, content_type="application/json")
answers += [page.get("/me"), page.get("/me-too")]
page.post("/api/auth/sign-out", {{}}, content_type="application/json")
answers += [page.get("/me"), page.get("/me-too")]
print(json.dumps([(answer.status_code, answer.json().get("hello")) for answer in answers]))
"""


def test_signing_up_and_out_on_django(elsewhere):
    """`/me` and `/me-too` greet who is signed in, and nobody else."""
    greeted, refused = [200, "ada@example.org"], [401, None]

    said = python("-W", "error", "-c", DJANGO)

    assert json.loads(said) == [refused, greeted, greeted, refused, refused]


def test_the_django_example_is_a_program(elsewhere):
    """Its commands are those of a project, and it has no fault that Django finds."""
    said = python(str(EXAMPLES / "django_app.py"), "check")

    assert "no issues" in said


def python(*arguments) -> str:
    """Run Python where the examples can be imported; return what it says."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES), *sys.path])}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


@pytest.mark.parametrize("name", ["starlette_app", "litestar_app", "flask_app"])
def test_without_a_secret_it_says_what_to_do(tmp_path, monkeypatch, load, name):
    """No example holds a secret that somebody could take over with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WATCHWORD_SECRET", raising=False)

    with pytest.raises(ConfigurationError, match="set WATCHWORD_SECRET"):
        load(name)


GUIDE: Final = (ROOT / "docs" / "guides" / "frameworks.md").read_text(encoding="utf-8")
SECTIONS: Final = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE))
FRAMEWORKS: Final = ["FastAPI", "Starlette", "Litestar", "Flask", "Django"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_guide_shows_what_runs(framework):
    """Each of its programs stands in the example, line by line."""
    program = (EXAMPLES / f"{framework.lower()}_app.py").read_text(encoding="utf-8")

    blocks = re.findall(r"```python\n(.*?)```", SECTIONS[framework], re.DOTALL)

    assert blocks
    assert [block for block in blocks if block not in program] == []


def test_every_example_is_in_the_guide():
    """Nobody looks for one that is not told of."""
    examples = {file.stem.removesuffix("_app") for file in EXAMPLES.glob("*_app.py")}

    assert {framework.lower() for framework in FRAMEWORKS} == examples
