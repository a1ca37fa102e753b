"""What an event loop has to itself."""

from watchword.concurrency import PerLoop


class EndedLoop:
    """A loop that has ended; while it is asked, another thread brings one of its own."""

    def __init__(self, bring) -> None:
        self._bring = bring

    def is_closed(self) -> bool:
        """Let another one come, and say that this one is over."""
        self._bring()
        return True


def test_loops_come_while_ended_ones_are_forgotten() -> None:
    """Nobody is in anybody's way."""
    of_loops = PerLoop(object)
    made = of_loops._of_process.here
    made[EndedLoop(lambda: made.setdefault("another loop", object()))] = object()

    mine = of_loops.current()

    assert of_loops.current() is mine
    assert set(made) == {None, "another loop"}
