"""The circuit breaker: one caller finds out, the others do not wait, and the log is short."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

import pytest

from watchword.errors import InvalidValue, StorageError, StorageUnavailable
from watchword.storage.circuit_breaker import CircuitBreaker

CALLERS: Final = 64
FAILS: Final = "secondary storage fails (it is down) and the database answers"
ANSWERS: Final = "secondary storage answers again"
DOWN: Final = StorageUnavailable("it is down", retryable=False)


class Storage:
    """Answers, or fails as the test says, and counts how often it was asked."""

    error: Exception | None = None
    asked = 0

    async def ask(self):
        """Answer or fail."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return "an answer"


@pytest.fixture
def storage():
    """One that answers."""
    return Storage()


@pytest.fixture
def breaker(clock):
    """One that lets calls through."""
    return CircuitBreaker("the database answers", clock)


@pytest.fixture
def lines(caplog):
    """What was logged; to be called."""
    caplog.set_level(logging.INFO, "watchword")
    return lambda: [
        it.getMessage() for phase in ("setup", "call") for it in caplog.get_records(phase)
    ]


@pytest.fixture
def opened(breaker, storage, run):
    """The breaker, of a storage that has failed a moment ago."""
    storage.error = DOWN
    with pytest.raises(StorageUnavailable):
        run(breaker.call(storage.ask))
    storage.asked = 0
    return breaker


@pytest.fixture
def due(opened, clock):
    """The same breaker, when the pause is over."""
    clock.advance(seconds=2)
    return opened


async def failure_of(call):
    """Return what a call raises."""
    with pytest.raises(StorageError) as failure:
        await call
    return failure.value


# --- it opens ------------------------------------------------------------------------------


async def test_calls_are_let_through_while_the_storage_answers(breaker, storage, lines):
    """Each gets its answer, and the log has nothing to say."""
    answers = [await breaker.call(storage.ask), await breaker.insist(storage.ask)]

    assert answers == ["an answer"] * 2
    assert (storage.asked, breaker.is_open, lines()) == (2, False, [])


@pytest.mark.parametrize("how", ["call", "insist"])
async def test_the_first_failure_opens(breaker, storage, lines, how):
    """Whoever met it gets the storage's own error, and the log has one line."""
    storage.error = DOWN

    met = await failure_of(getattr(breaker, how)(storage.ask))

    assert met is DOWN
    assert (breaker.is_open, lines()) == (True, [FAILS])


async def test_while_open_nobody_asks(opened, storage, clock, lines):
    """Callers are refused at once: nothing was sent, so it may be done again."""
    clock.advance(seconds=1.999999)

    failures = [await failure_of(opened.call(storage.ask)) for _ in range(CALLERS)]

    assert {(type(it), it.retryable) for it in failures} == {(StorageUnavailable, True)}
    assert DOWN not in failures
    assert (storage.asked, lines()) == (0, [FAILS])


async def test_any_failure_of_the_storage_opens(breaker, storage):
    """Also an answer that nobody can read."""
    storage.error = StorageError("nonsense")

    await failure_of(breaker.call(storage.ask))

    assert breaker.is_open


@pytest.mark.parametrize("error", [InvalidValue("it", "key", "is empty"), ValueError("a bug")])
async def test_a_mistake_of_the_caller_does_not_open(breaker, storage, lines, error):
    """Neither a refused value nor a bug says that the storage is away."""
    storage.error = error

    with pytest.raises(type(error)):
        await breaker.call(storage.ask)

    assert (breaker.is_open, lines()) == (False, [])


async def test_many_who_fail_at_the_same_time_are_one_line(breaker, lines, race, watchword_mode):
    """All of them were under way when the storage went away."""
    asked, all_asked = [], watchword_mode.signal()

    async def fail_together():
        asked.append(1)
        if len(asked) == CALLERS:
            all_asked.set()
        await all_asked.wait(within=10)
        raise DOWN

    met = await race(CALLERS, lambda: breaker.call(fail_together))

    assert met == [DOWN] * CALLERS
    assert lines() == [FAILS]


# --- it closes -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_back", [True, False])
async def test_after_the_pause_one_of_many_callers_asks(due, lines, race, watchword_mode, is_back):
    """The others are refused until it has learnt whether the storage is back."""
    asked, refused, all_refused = [], [], watchword_mode.signal()

    async def ask():
        asked.append(1)
        await all_refused.wait(within=10)
        if not is_back:
            raise DOWN
        return "back"

    async def caller():
        try:
            return await due.call(ask)
        except StorageUnavailable:
            refused.append(1)
            if len(refused) == CALLERS - 1:
                all_refused.set()
            raise

    results = await race(CALLERS, caller)

    assert len(asked) == 1
    assert results.count("back") == is_back
    assert due.is_open is not is_back
    assert lines() == [FAILS, *([ANSWERS] if is_back else [])]


async def test_an_answer_closes(due, storage, clock, lines):
    """From then on everybody asks again; a later outage is one of its own."""
    storage.error = None

    answers = [await due.call(storage.ask) for _ in range(3)]

    assert (answers, storage.asked) == (["an answer"] * 3, 3)
    assert (due.is_open, lines()) == (False, [FAILS, ANSWERS])
    storage.error = DOWN
    clock.advance(minutes=1)
    await failure_of(due.call(storage.ask))
    assert lines() == [FAILS, ANSWERS, FAILS]


async def test_a_storage_that_comes_and_goes_is_told_of_once_a_minute(
    opened, storage, clock, lines
):
    """As a cluster that lacks one of its nodes: half of what is asked there fails."""
    for number in range(88):
        clock.advance(seconds=2)
        storage.error = DOWN if number % 2 else None
        with suppress(StorageUnavailable):
            await opened.call(storage.ask)

    assert storage.asked == 88
    assert lines() == [FAILS, ANSWERS] * 3


async def test_an_outage_that_begins_in_that_minute_is_told_of_after_it(
    due, storage, clock, lines
):
    """The last line is true in the end."""
    await due.insist(Storage().ask)
    for _ in range(29):
        await failure_of(due.call(storage.ask))
        clock.advance(seconds=2)
    assert lines() == [FAILS, ANSWERS]

    await failure_of(due.call(storage.ask))

    assert lines() == [FAILS, ANSWERS, FAILS]


async def test_a_clock_that_was_put_back_silences_nothing(due, storage, clock, lines):
    """A moment that is yet to come is none since which something was said."""
    await due.insist(Storage().ask)
    clock.advance(hours=-1)

    await failure_of(due.call(storage.ask))

    assert lines() == [FAILS, ANSWERS, FAILS]


async def test_a_failure_after_the_pause_begins_another_one(opened, storage, clock, lines):
    """However long the storage is away, one caller in two seconds asks."""
    for _ in range(60):
        clock.advance(seconds=0.5)
        await failure_of(opened.call(storage.ask))

    assert (storage.asked, lines()) == (15, [FAILS])


async def test_a_pause_begins_with_the_failure(opened, clock):
    """What took long to fail is followed by a whole pause, in which nobody asks."""
    clock.advance(seconds=2)

    async def fail_slowly():
        clock.advance(seconds=1.5)
        raise DOWN

    await failure_of(opened.call(fail_slowly))
    clock.advance(seconds=1.9)

    assert await failure_of(opened.call(fail_slowly)) is not DOWN


@pytest.mark.parametrize("error", [InvalidValue("it", "key", "is empty"), ValueError("a bug")])
async def test_whoever_finds_nothing_out_leaves_it_to_another(opened, storage, clock, error):
    """A mistake tells neither that it is back nor that it is not."""
    clock.advance(seconds=2)
    storage.error = error
    with pytest.raises(type(error)):
        await opened.call(storage.ask)
    assert opened.is_open
    storage.error = None

    clock.advance(seconds=2)

    assert await opened.call(storage.ask) == "an answer"
    assert not opened.is_open


@pytest.mark.needs_loop
async def test_whoever_is_cancelled_leaves_it_to_another(opened, storage, clock):
    """Two seconds later, and not never."""
    clock.advance(seconds=2)
    asked = asyncio.Event()

    async def hang():
        asked.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(opened.call(hang))
    await asked.wait()
    task.cancel()
    await asyncio.wait([task])
    storage.error = None

    clock.advance(seconds=1.9)
    await failure_of(opened.call(storage.ask))
    clock.advance(seconds=0.1)

    assert await opened.call(storage.ask) == "an answer"


# --- who insists ---------------------------------------------------------------------------


async def test_insisting_asks_in_any_case(opened, storage, lines):
    """Also a moment after a failure, and the log stays as it is."""
    met = [await failure_of(opened.insist(storage.ask)) for _ in range(3)]

    assert (met, storage.asked) == ([DOWN] * 3, 3)
    assert lines() == [FAILS]


async def test_an_answer_to_who_insists_closes(opened, storage, lines):
    """Nobody waits for the end of the pause then."""
    storage.error = None

    await opened.insist(storage.ask)

    assert await opened.call(storage.ask) == "an answer"
    assert lines() == [FAILS, ANSWERS]


# --- what was under way --------------------------------------------------------------------


async def test_an_answer_from_before_the_failure_closes_nothing(breaker, storage, lines):
    """It was under way when the storage went away, and says nothing of now."""
    storage.error = DOWN

    async def answer_late():
        await failure_of(breaker.call(storage.ask))
        return "from before"

    answer = await breaker.call(answer_late)

    assert answer == "from before"
    assert (breaker.is_open, lines()) == (True, [FAILS])


async def test_a_failure_from_before_the_return_opens_nothing(breaker, storage, clock, lines):
    """A call that hung through the outage fails after it; the storage is back."""

    async def fail_late():
        storage.error = DOWN
        await failure_of(breaker.call(storage.ask))
        storage.error = None
        clock.advance(seconds=2)
        await breaker.call(storage.ask)
        raise DOWN

    assert await failure_of(breaker.call(fail_late)) is DOWN

    assert (breaker.is_open, lines()) == (False, [FAILS, ANSWERS])


async def test_a_failure_from_the_outage_opens_nothing(opened, storage, clock, lines):
    """Nor does a call that was made while the storage was away."""
    storage.error = None
    clock.advance(seconds=2)

    async def fail_late():
        await opened.call(storage.ask)
        raise DOWN

    assert await failure_of(opened.insist(fail_late)) is DOWN

    assert (opened.is_open, lines()) == (False, [FAILS, ANSWERS])


# --- a clock that is set -------------------------------------------------------------------


async def test_a_clock_that_is_put_back_keeps_it_open_for_one_pause(opened, storage, clock):
    """The moment of the failure is not waited for a second time."""
    clock.advance(hours=-5)
    await failure_of(opened.call(storage.ask))
    storage.error = None

    clock.advance(seconds=1.9)
    await failure_of(opened.call(storage.ask))
    clock.advance(seconds=0.1)

    assert await opened.call(storage.ask) == "an answer"
    assert storage.asked == 1


async def test_a_clock_that_is_put_forward_ends_the_pause(opened, storage, clock):
    """One caller asks too soon, and the others wait for it."""
    clock.advance(hours=5)

    for _ in range(3):
        await failure_of(opened.call(storage.ask))

    assert storage.asked == 1
