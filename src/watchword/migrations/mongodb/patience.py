"""A way to the database that waits until a server is there again."""

from time import monotonic
from typing import Any, Final

from pymongo.errors import AutoReconnect, ConnectionFailure

from watchword.adapters.mongodb.lines import Line, Step
from watchword.concurrency import Backoff

__all__ = ["PatientLine"]

_PATIENCE: Final = 60


class PatientLine:
    """Does a step again if the server went away meanwhile, for a minute.

    Only for what may be done twice. An election takes seconds, and nobody should have to start a
    migration anew for it.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self.needs_loop = line.needs_loop
        self._was_there = False

    async def do(self, step: Step, *, at_once: bool = False) -> Any:
        """Do a step. A server that never was there is not waited for."""
        give_up_at = monotonic() + _PATIENCE
        backoff = Backoff(first=0.1, longest=2)
        while True:
            try:
                answer = await self._line.do(step, at_once=at_once)
            except (AutoReconnect, ConnectionFailure):
                if not self._was_there or monotonic() > give_up_at:
                    raise
            else:
                self._was_there = True
                return answer
            await backoff.pause()
