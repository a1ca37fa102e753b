"""What changes sessions is told, however it names them."""

from datetime import timedelta

import pytest
from tests.storage.cached_sessions.scene import Scene

from watchword.concurrency import run_blocking
from watchword.storage.query import F


@pytest.mark.parametrize("narrowed", [False, True])
def test_who_deletes_sessions_that_will_end_tells_of_it(new_auth, clock, narrowed):
    """They hold until then, unlike those that a purge deletes."""
    scene = Scene(new_auth, clock, "warm")
    soon = F.expires_at <= clock() + timedelta(days=365)
    condition = soon & (F.id == scene.session.id) if narrowed else soon

    gone = run_blocking(scene.processes[0].auth.store.delete_many("session", condition))

    assert gone == 2 - narrowed
    assert run_blocking(scene.processes[1].find()) is None


def test_who_purges_tells_nobody(new_auth, clock):
    """No copy of what has ended is believed, so the storage is spared a call for each user."""
    scene = Scene(new_auth, clock, "warm")
    clock.advance(days=8)
    scene.processes[0].storage.fails_after = 0

    purged = run_blocking(scene.processes[0].auth.purge_expired())

    assert purged.sessions == 2
    assert scene.processes[0].storage.failures == 0
    assert run_blocking(scene.processes[1].find()) is None
