"""A way to the database that waits until a server is there again."""

from time import monotonic
from typing import Any, Final

from pymongo.errors import AutoReconnect, ConnectionFailure, NetworkTimeout

from watchword.adapters.mongodb.lines import Line, Step
from watchword.concurrency import Backoff

__all__ = ["PatientLine"]

_PATIENCE: Final = 60


class PatientLine:
    """Does a step again if the server went away meanwhile, for a minute.

    Only for what may be done twice. An election takes seconds, and nobody should have to start a
    migration anew for it.

    Args:
        line: The way to the database.
        was_there: It has led to a server before.
        tells_timeouts: What had no answer in time is not done again: it may take long.
    """

    def __init__(
        self, line: Line, *, was_there: bool = False, tells_timeouts: bool = False
    ) -> None:
        self._line = line
        self.needs_loop = line.needs_loop
        self._was_there = was_there
        self._tells_timeouts = tells_timeouts

    @property
    def for_long_work(self) -> "PatientLine":
        """The same way for what may take longer than an answer is waited for: that is told."""
        return PatientLine(self._line, was_there=self._was_there, tells_timeouts=True)

    async def do(self, step: Step, *, at_once: bool = False) -> Any:
        """Do a step. A server that never was there is not waited for."""
        give_up_at = monotonic() + _PATIENCE
        backoff = Backoff(first=0.1, longest=2)
        while True:
            try:
                answer = await self._line.do(step, at_once=at_once)
            except (AutoReconnect, ConnectionFailure) as error:
                is_told = self._tells_timeouts and isinstance(error, NetworkTimeout)
                if is_told or not self._was_there or monotonic() > give_up_at:
                    raise
            else:
                self._was_there = True
                return answer
            await backoff.pause()
