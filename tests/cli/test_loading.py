"""The application's instance is found by its name, and every mistake is a sentence."""

import sys
from pathlib import Path

import pytest

from watchword import BlockingWatchword, ConfigurationError, Watchword
from watchword.cli.loading import load_app

SETTINGS = "secret='correct-horse-battery-staple-0123456789', base_url='http://localhost:8000'"
AUTH = f"""\
from watchword import BlockingWatchword, Watchword
from watchword.adapters.memory import MemoryAdapter

auth = Watchword(MemoryAdapter(), {SETTINGS})
blocking = BlockingWatchword(MemoryAdapter(), {SETTINGS})
number = 7
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write modules of an application into the current folder, forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WATCHWORD_SECRET", raising=False)
    monkeypatch.setattr(sys, "path", [it for it in sys.path if it not in {"", str(tmp_path)}])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(**modules: str) -> Path:
        for name, code in modules.items():
            file = tmp_path / f"{name.replace('__', '/')}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(code, encoding="utf-8")
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"shop", "store", "auth"}:
            del sys.modules[name]


def refused(name: str | None) -> tuple[str, str]:
    """Return the sentence and the hint that a name gets."""
    with pytest.raises(ConfigurationError) as refusal:
        load_app(name)
    return refusal.value.message, refusal.value.hint


@pytest.mark.parametrize(
    ("attribute", "kind"), [("auth", Watchword), ("blocking", BlockingWatchword)]
)
def test_an_instance_is_found_in_the_current_folder(write, attribute, kind):
    """Of both kinds, in a package, though the folder was not on the path."""
    write(shop__auth=AUTH)

    app = load_app(f"shop.auth:{attribute}")

    assert type(app) is kind
    assert app is getattr(sys.modules["shop.auth"], attribute)


def test_an_instance_may_hang_on_something_else(write):
    """An application's state, for one."""
    write(shop=f"{AUTH}\nclass app:\n    class state:\n        auth = auth\n")

    assert type(load_app("shop:app.state.auth")) is Watchword


def test_the_current_folder_comes_first_and_once(write):
    """As with `python -m`; asking twice adds nothing."""
    here = str(write(shop=AUTH))

    load_app("shop:auth")
    load_app("shop:auth")

    assert sys.path[0] == here
    assert sys.path.count(here) == 1


@pytest.mark.parametrize("name", [None, ""])
def test_no_name(write, name):
    """Both ways to say it are told."""
    sentence, hint = refused(name)

    assert sentence == "No application is named."
    assert "--app shop.auth:auth" in hint
    assert "WATCHWORD_APP" in hint


@pytest.mark.parametrize("name", ["shop.auth", "shop.auth:", ":auth", ".auth:auth", "..:auth"])
def test_half_a_name(write, name):
    """It is quoted, and the right form is shown."""
    sentence, hint = refused(name)

    assert sentence == f"{name!r} names no application."
    assert "--app shop.auth:auth" in hint


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("shop:auth", "shop"),
        ("shop.auth:auth", "shop"),
        ("store.auth:auth", "store.auth"),
        ("store.auth.py:auth", "store.auth"),
    ],
)
def test_a_module_that_is_not_there(write, name, missing):
    """The part that is missing is named, and where it was looked for."""
    here = write(store__other="")

    sentence, hint = refused(name)

    assert sentence == f"There is no module {missing!r}."
    assert str(here) in hint


def test_a_file_name_instead_of_a_module(write):
    """`auth.py` is read as a part of `auth` that is not there."""
    write(auth=AUTH)

    assert refused("auth.py:auth")[0] == "There is no module 'auth.py'."


def test_an_attribute_that_is_not_there(write):
    """Those that would do are offered."""
    write(shop=AUTH)

    sentence, hint = refused("shop:auht")

    assert sentence == "shop has no 'auht'."
    assert hint == "--app shop:auth or --app shop:blocking"


@pytest.mark.parametrize(
    ("attribute", "kind"), [("number", "int"), ("Watchword", "class"), ("MemoryAdapter", "class")]
)
def test_an_attribute_of_another_kind(write, attribute, kind):
    """It is named, and those that would do are offered."""
    write(shop=AUTH)

    sentence, hint = refused(f"shop:{attribute}")

    assert sentence == f"shop:{attribute} is a {kind}, not a Watchword or BlockingWatchword."
    assert hint.startswith("--app shop:auth")


def test_a_module_without_an_instance(write):
    """Where to look instead is told."""
    write(shop="number = 7")

    assert "where the application makes it" in refused("shop:number")[1]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import nothing_of_this_name",
            "No module named 'nothing_of_this_name' (shop.py, line 2)",
        ),
        ("from watchword import Nothing", "ImportError: cannot import name 'Nothing'"),
        ("import os; os.environ['SHOP_URL']", "KeyError: 'SHOP_URL' (shop.py, line 2)"),
        ("class Odd(Exception): pass\nraise Odd('no\\nway.')", "Odd: no (shop.py, line 3)"),
        ("raise LookupError", "LookupError (shop.py, line 2)"),
        ("def (:", "SyntaxError: invalid syntax (shop.py, line 2)"),
        ("raise SystemExit('set SHOP_URL')", "it ended the program with 'set SHOP_URL'"),
    ],
)
def test_a_module_that_fails(write, code, words):
    """In its own words, with the place, and with the way to the whole of it."""
    write(shop=f"'''The shop.'''\n{code}\n")

    sentence, hint = refused("shop:auth")

    assert sentence.startswith("shop cannot be imported: ")
    assert words in sentence
    assert sentence.endswith(").")
    assert hint == 'python -c "import shop" shows all of it.'


def test_a_failure_in_a_module_that_the_named_one_imports(write):
    """A module that is missing there is no mistake in the name; the inner place is told."""
    write(shop__auth="from shop import settings", shop__settings="\nimport nothing_at_all")

    sentence, _ = refused("shop.auth:auth")

    assert "shop.auth cannot be imported: " in sentence
    assert "No module named 'nothing_at_all'" in sentence
    assert "settings.py, line 2)" in sentence


def test_a_failure_deep_in_a_library_is_told_at_the_line_that_led_there(write):
    """Also where its environment is a folder of the application's."""
    here = write(shop="import sys\nsys.path.append('site-packages')\nimport store")
    (here / "site-packages").mkdir()
    (here / "site-packages" / "store.py").write_text("\n" * 40 + "1 / 0")

    sentence, _ = refused("shop:auth")

    assert sentence.endswith("ZeroDivisionError: division by zero (shop.py, line 3).")


def test_a_mistake_in_the_settings_is_told_as_it_is(write):
    """The instance says what is wrong with it, better than we could."""
    write(shop=AUTH.replace("secret='correct-horse-battery-staple-0123456789'", "secret='x'"))

    sentence, hint = refused("shop:auth")

    assert "secret" in sentence
    assert "cannot be imported" not in sentence
    assert hint


def test_an_interruption_goes_on(write):
    """Ctrl-C while a slow module is imported is no mistake of the module."""
    write(shop="raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        load_app("shop:auth")
