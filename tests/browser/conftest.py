"""A real Chromium, and the servers that it visits."""

import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, sync_playwright

# Tests are no package, so the fixtures that start servers are taken from their file.
OF_COMMANDS: Final = runpy.run_path(str(Path(__file__).parents[1] / "cli" / "conftest.py"))
start_command, start_server = OF_COMMANDS["start_command"], OF_COMMANDS["start_server"]

FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FAILED: Final = "Failed to load resource: "


def is_expected(message: ConsoleMessage) -> bool:
    """Tell whether a message is about what a test does, and not about the page.

    A form that is refused is written to the console like a missing picture, and the window's
    icon is fetched when the browser likes, also from a server that a test has just killed. The
    form for a new password has no field for the user's name: the page does not know it, for a
    link tells nothing but its token.
    """
    refused = message.text.startswith(f"{FAILED}the server responded with a status of 4")
    of_icon = message.location["url"].endswith("/static/icon.svg")
    without_name = "Password forms should have (optionally hidden) username" in message.text
    return refused or without_name or (of_icon and message.text.startswith(f"{FAILED}net::ERR_"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of this machine; without one the tests fail, for nobody looked at the pages.

    It is started once for a module, and each test opens windows without memory in it. Not once
    for all: while it runs, no test of this process could have an event loop of its own.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail(
            "There is no chromium on the path. Install it (apt-get install chromium); "
            "`make quick` runs the tests that need none.",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_window(chromium) -> Iterator[Callable[..., BrowserContext]]:
    """Open windows without memory of one another; at the end nothing may be on their consoles."""
    windows: list[BrowserContext] = []
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if not is_expected(message):
            complaints.append(f"{message.type}: {message.text} {message.location}")

    def open_window(**options) -> BrowserContext:
        window = chromium.new_context(**options)
        window.on("console", listen)
        window.on("weberror", lambda error: complaints.append(str(error.error)))
        windows.append(window)
        return window

    yield open_window
    for window in windows:
        window.close()
    assert complaints == []
