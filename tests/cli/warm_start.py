"""Starts `watchword` as often as it is asked to, in forks of itself: all is imported already.

    python warm_start.py SOCKET

Who asks sends arguments, folder and environment through the socket, with four descriptors:
standard input, output and errors, and one on which the process's id and later its exit code
are told. A fork becomes a `python -m watchword` with a process, terminal, signals and an end of
its own; only the second that importing takes is not spent again.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys
from importlib import import_module

IMPORTED = (
    *("watchword.cli.commands", "watchword.adapters.sqlalchemy", "watchword.plugins"),
    *("alembic.autogenerate", "alembic.operations", "rich.progress", "sqlalchemy.ext.asyncio"),
    *("aiosqlite", "sqlalchemy.dialects.sqlite.aiosqlite", "anyio._backends._asyncio"),
    *("uvicorn", "uvicorn.lifespan.on", "uvicorn.loops.auto", "uvicorn.protocols.http.auto"),
)


def main() -> None:
    """Fork at every request, until nobody can ask any more."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    for name in IMPORTED:
        import_module(name)
    gc.freeze()  # or each fork would copy what is imported, to look for what is of no use
    while True:
        message, descriptors, *_ = socket.recv_fds(asked, 65_536, 4)
        if not message:
            return
        while not message.endswith(b"\n"):
            message += asked.recv(65_536)
        watcher = os.fork()
        if watcher == 0:
            asked.close()
            watch(json.loads(message), descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        os.waitpid(watcher, 0)


def watch(request: dict, descriptors: list[int]) -> None:
    """Start the command in a process, tell its id, and how it ended when it did."""
    *streams, told = descriptors
    if os.fork():
        os._exit(0)  # whoever forked this one need not wait for the command
    command = os.fork()
    if command == 0:
        os.close(told)
        become(request, streams)
        return
    for descriptor in (*streams, 0, 1, 2):
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(told, f"{command}\n".encode())
    status = os.waitpid(command, 0)[1]
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(request: dict, streams: list[int]) -> None:
    """Be the program that was asked for."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["folder"]
    sys.argv[1:] = request["arguments"]
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    runpy.run_module("watchword", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
