"""What a process that was forked does with the clients that its parent used."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SERVER: Final = Path(__file__).with_name("forking.py")
# PyMongo says so of a client that it finds in a child; of a URL's there is none.
WARNED: Final = "{}:MongoClient opened before fork:UserWarning"

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    pytest.mark.never_loop,
]


@pytest.mark.parametrize("kind", ["blocking", "own-blocking", "loop", "own-loop"])
def test_everybody_gets_their_own_answers(mongodb_url, empty, kind):
    """By a URL's client and by one of the application's, with an event loop and without one."""
    warned = WARNED.format("ignore" if kind == "own-blocking" else "error")
    command = [sys.executable, "-W", warned, SERVER, kind, f"{mongodb_url}/{empty.name}"]

    run = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
