"""`--app`: the application's instance, found by the name of its module and of what holds it."""

import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import click

from watchword.auth import BlockingWatchword, Watchword
from watchword.errors import ConfigurationError

__all__ = ["APP_VARIABLE", "App", "app_option", "load_app"]

App: TypeAlias = Watchword[Any] | BlockingWatchword[Any]

APP_VARIABLE: Final = "WATCHWORD_APP"
_LIKE_THIS: Final = "Write the module, a colon and the name in it, like --app shop.auth:auth"


def app_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--app`: its argument `name`, which `load_app()` takes."""
    return click.option(
        "--app",
        "name",
        envvar=APP_VARIABLE,
        show_envvar=True,
        metavar="MODULE:NAME",
        help="The application's instance, such as shop.auth:auth.",
    )(command)


def load_app(name: str | None) -> App:
    """Return the instance that `module:attribute` names, as seen from the current folder.

    Raises:
        ConfigurationError: There is none, or its module cannot be imported.
    """
    if not name:
        raise ConfigurationError(
            "No application is named.", hint=f"{_LIKE_THIS}, or set {APP_VARIABLE}."
        )
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute) or module_name.startswith("."):
        raise ConfigurationError(f"{name!r} names no application.", hint=f"{_LIKE_THIS}.")
    _look_in_the_current_folder()
    return _instance(_imported(module_name), attribute)


def _look_in_the_current_folder() -> None:
    """Find what `python -m` finds; a script of an installed package starts elsewhere."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


# --- the module ------------------------------------------------------------------------


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ConfigurationError:
        raise  # of the instance that is made there; it says what is wrong
    except BaseException as error:
        # The module is the user's, so anything may come of it. Nothing is swallowed: a failure
        # goes on as one that names the place, and what is none (Ctrl-C) as it is.
        if isinstance(error, Exception | SystemExit):
            raise _failure(name, error) from error
        raise


def _failure(name: str, error: BaseException) -> ConfigurationError:
    if isinstance(error, ModuleNotFoundError) and _leads_to(name, error.name):
        return ConfigurationError(
            f"There is no module {error.name!r}.",
            hint=f"Modules are looked for in {Path.cwd()} and where packages are installed; "
            "go to the application's folder, or correct the name.",
        )
    return ConfigurationError(
        f"{name} cannot be imported: {_words(error)}{_place(error)}.",
        hint=f'python -c "import {name}" shows all of it.',
    )


def _leads_to(name: str, missing: str | None) -> bool:
    """Tell whether the missing module is the named one, or a package around it."""
    return missing is not None and f"{name}.".startswith(f"{missing}.")


def _words(error: BaseException) -> str:
    """Return an error as the last line of a traceback would have it, in one line."""
    if isinstance(error, SystemExit):
        return f"it ended the program with {error.code!r}"
    lines = str(error.msg if isinstance(error, SyntaxError) else error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[:1]]).rstrip(".")


def _place(error: BaseException) -> str:
    """Return where it happened: the last line that is in the current folder, if one is."""
    places = [(it.filename, it.lineno) for it in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    here = Path.cwd()
    own = [(Path(file), line) for file, line in places if Path(file).is_relative_to(here)]
    own = [it for it in own if "site-packages" not in it[0].parts]
    return f" ({own[-1][0].relative_to(here)}, line {own[-1][1]})" if own else ""


# --- the instance ----------------------------------------------------------------------


def _instance(module: ModuleType, attribute: str) -> App:
    name = f"{module.__name__}:{attribute}"
    try:
        found = attrgetter(attribute)(module)
    except AttributeError as error:
        raise ConfigurationError(
            f"{module.__name__} has no {attribute!r}.", hint=_hint(module)
        ) from error
    if isinstance(found, Watchword | BlockingWatchword):
        return found
    kind = "class" if isinstance(found, type) else type(found).__name__
    raise ConfigurationError(
        f"{name} is a {kind}, not a Watchword or BlockingWatchword.", hint=_hint(module)
    )


def _hint(module: ModuleType) -> str:
    """Name the instances that are there."""
    apps = [
        key for key, it in vars(module).items() if isinstance(it, Watchword | BlockingWatchword)
    ]
    if apps:
        return " or ".join(f"--app {module.__name__}:{it}" for it in apps)
    return "Name the instance itself, where the application makes it; a module can import it."
