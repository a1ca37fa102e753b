"""What a process has to itself: a child that is forked gets another."""

import os
import subprocess
import sys
from typing import Final

import pytest

from watchword.concurrency import PerProcess

FORKS: Final = """
import gc, os, signal, sys, threading
from watchword.concurrency import PerProcess

class Connection:
    def __init__(self):
        for _ in range(100_000):  # others come meanwhile
            self.made_in = os.getpid()
    def __del__(self):
        if os.getpid() != self.made_in:
            os.write(1, b"the parent's is destroyed; ")

left = []
own = PerProcess(Connection, leave=left.append)
parents = own.here
del parents
if os.fork() == 0:
    signal.alarm(20)
    sys.setswitchinterval(1e-6)
    start, found = threading.Barrier(8), []
    def ask():
        start.wait()
        found.append(own.here)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    [it] = left
    assert it.made_in == os.getppid()
    assert {one.made_in for one in found} == {os.getpid()}
    assert len(set(found)) == 1
    del it, left[:]
    gc.collect()
    os._exit(0)
assert os.wait()[1] == 0
assert own.here.made_in == os.getpid()
assert left == []
"""


def test_one_process_has_one() -> None:
    """It is made at once, and stays."""
    made: list[object] = []

    own = PerProcess(lambda: made.append(object()) or made[-1])

    assert [own.here, own.here] == [made[0], made[0]]
    assert len(made) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_child_makes_one_of_its_own() -> None:
    """Once for all its threads; the parent's is left, not destroyed, and still the parent's."""
    run = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60, check=False
    )

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
