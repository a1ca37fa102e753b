"""Runs `killing`, `racing` and modules, each time in a process that does not have to import them.

Reads a line of JSON for each: the name and the arguments. What they print comes out, and at the
end a line with the status of the process.
"""

import json
import os
import signal
import sys
import traceback

import killing
import racing
import running

PATIENCE = 600


def run_module_in(*words: str) -> None:
    """Run `python -m MODULE` in a folder, and tell what came of it as the other programs do."""
    [told] = racing.run_at_once([lambda: json.dumps(running.run_in(*words))])
    sys.stdout.write(f"{told}\n")


PROGRAMS = {"killing": killing.main, "racing": racing.main, "python -m": run_module_in}


def main() -> None:
    """Run what is asked for, until nobody asks."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(name, arguments)
        sys.stdout.write(json.dumps({"ended": os.waitpid(pid, 0)[1]}) + "\n")
        sys.stdout.flush()


def run(name: str, arguments: list[str]) -> None:
    """Run a program, and end the process."""
    signal.alarm(PATIENCE)
    try:
        PROGRAMS[name](*arguments)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - it is told, and the process ends here
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
