"""The search for schedules leaves out none that matters, and finds what goes wrong in few."""

from functools import partial

import pytest
from tests.storage.cached_sessions.interleaving import Schedules, Step
from tests.storage.cached_sessions.scene import STATES, Scene


class Walk:
    """Actors of a given number of steps, each at a place, and the orders in which they went."""

    def __init__(self, **steps: list[tuple[str, bool]]) -> None:
        self._steps = steps
        self.orders: list[tuple[str, ...]] = []

    def play(self, schedules: Schedules) -> None:
        """Go until nobody has a step left."""
        gone: list[str] = []
        while able := self._able(gone):
            gone.append(schedules.choose(able))
        self.orders.append(tuple(gone))

    def _able(self, gone: list[str]) -> dict[str, Step]:
        left = {name: steps[gone.count(name) :] for name, steps in self._steps.items()}
        return {name: Step(name, *it[0]) for name, it in left.items() if it}


def test_without_reduction_every_order_is_played_once():
    """Of three steps and two there are ten."""
    walk = Walk(a=[("/x", True)] * 3, b=[("/y", True)] * 2)

    schedules = Schedules(reduced=False).play_all(walk.play)

    assert len(set(walk.orders)) == len(walk.orders) == schedules.played == 10


def test_steps_that_concern_different_places_have_one_order():
    """Nobody can tell which came first."""
    walk = Walk(a=[("/x", True)] * 3, b=[("/y", True)] * 2)

    assert Schedules().play_all(walk.play).played == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "orders"),
    [
        (("/x", False), ("/x", False), 1),
        (("/x", True), ("/x", False), 2),
        (("/x/y", True), ("/x/", False), 2),
        (("/x/y", True), ("/x/z", True), 1),
        (("/", True), ("/x", False), 2),
    ],
)
def test_who_looks_disturbs_nobody(ours, theirs, orders):
    """A change has an order with all that concerns its place, and what is in it."""
    walk = Walk(a=[ours], b=[theirs])

    assert Schedules().play_all(walk.play).played == orders


@pytest.mark.parametrize("state", STATES)
def test_the_reduction_leaves_out_no_outcome(new_auth, clock, state):
    """What readers see, and what stands in the storage at the end, is the same set of things."""
    scene = Scene(new_auth, clock, state)

    def outcomes(*, reduced: bool) -> set[object]:
        found = set()

        def play(schedules: Schedules) -> None:
            scene.play(lambda it: [it.reader(0), it.writer(1, "revoke")], schedules)
            found.add(scene.outcome)

        with scene.loop.running():
            Schedules(reduced=reduced).play_all(partial(play))
        return found

    assert outcomes(reduced=True) == outcomes(reduced=False)
