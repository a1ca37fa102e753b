"""Runs `python -m MODULE` in this process, which has imported it and ends afterwards."""

import os
import sys
import tempfile
import traceback
from runpy import run_module


def run_main(module: str, *words: str) -> tuple[int, str, str]:
    """Run it with nobody at its terminal; return its exit code, its output and its errors."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # They are closed when the process ends.
    files = {it: tempfile.TemporaryFile("w+") for it in (1, 2)}  # noqa: SIM115
    for number, file in files.items():
        os.dup2(file.fileno(), number)
    sys.argv = [module, *words]
    sys.stdout, sys.stderr = files[1], files[2]
    code = _exit_code(module)
    return code, *(_text_of(it) for it in files.values())


def _exit_code(module: str) -> int:
    try:
        run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        return 1
    return 0


def _text_of(file) -> str:
    file.seek(0)
    return file.read()


def run_in(folder: str, *words: str) -> tuple[int, str, str]:
    """Run it as if it were started in a folder."""
    os.chdir(folder)
    sys.path[0] = folder
    for name in [it for it in os.environ if "WATCHWORD" in it]:
        del os.environ[name]
    os.environ["WATCHWORD_SECRET"] = "correct-horse-battery-staple-0123456789"
    return run_main(*words)
