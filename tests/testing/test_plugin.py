"""The pytest plugin runs our coroutine tests twice, and leaves those of others alone."""

import re

import pytest

pytest_plugins = ("pytester",)

OURS = "[pytest]\nwatchword_async = true\nfilterwarnings = error\n"


@pytest.fixture
def outcome(pytester):
    """Run a module in a project of its own; return its outcomes and test names."""

    def outcome(source: str, *, ini: str = OURS):
        pytester.makeini(ini)
        pytester.makepyfile(source)
        result = pytester.runpytest_inprocess("-v", "--strict-markers")
        lines = [re.match(r"\S+\.py::(\S+) [A-Z]+ ", line) for line in result.outlines]
        return result.parseoutcomes(), [line[1] for line in lines if line]

    return outcome


def test_a_coroutine_test_runs_twice(outcome):
    """Once where a loop runs, once where none does."""
    outcomes, names = outcome(
        """
        import asyncio
        from watchword.concurrency import current_loop

        seen = []

        async def test_it():
            seen.append(current_loop() is None)
            if current_loop():
                await asyncio.sleep(0)

        def test_both():
            assert seen == [False, True]
        """
    )

    assert outcomes == {"passed": 3}
    assert names == ["test_it[loop]", "test_it[driven]", "test_both"]


def test_a_driven_test_that_waits_fails(outcome):
    """What needs a loop cannot pass for what needs none."""
    outcomes, _ = outcome("import asyncio\nasync def test_it(): await asyncio.sleep(0)")

    assert outcomes == {"passed": 1, "failed": 1}


def test_modes_can_be_chosen(outcome):
    """By a marker or by a class attribute; what contradicts itself is skipped."""
    outcomes, names = outcome(
        """
        import pytest

        @pytest.mark.needs_loop
        async def test_marked(): pass

        class TestLoop:
            needs_loop = True
            async def test_it(self): pass

        class TestDriven:
            never_loop = True
            async def test_it(self): pass
            @pytest.mark.needs_loop
            async def test_neither(self): pass
        """
    )

    assert outcomes == {"passed": 3, "skipped": 1}
    assert names == [
        "test_marked[loop]",
        "TestLoop::test_it[loop]",
        "TestDriven::test_it[driven]",
        "TestDriven::test_neither[loop]",
    ]


def test_fixtures_and_test_share_a_loop(outcome):
    """What a fixture makes with `run` works in the test and can be closed afterwards."""
    outcomes, _ = outcome(
        """
        import pytest
        from watchword.concurrency import current_loop

        async def where(): return current_loop()

        @pytest.fixture
        def made(run):
            loop = run(where())
            yield loop
            assert run(where()) is loop

        async def test_it(made):
            assert await where() is made

        @pytest.mark.parametrize("number", [1, 2])
        def test_plain(run, number):
            run(where())
        """
    )

    assert outcomes == {"passed": 6}


async def test_racers_run_at_the_same_time(race, watchword_mode):
    """All of them are on their way before any can go on."""
    here: list[None] = []
    all_here = watchword_mode.signal()

    async def racer() -> bool:
        here.append(None)
        if len(here) == 64:
            all_here.set()
        return await all_here.wait(within=10)

    assert await race(64, racer) == [True] * 64


async def test_exceptions_of_racers_are_results(race):
    """One that fails stops no other."""
    numbers = iter(range(3))

    async def racer() -> int:
        number = next(numbers)
        if number == 1:
            raise LookupError(number)
        return number

    results = await race(3, racer)

    assert sorted(it for it in results if isinstance(it, int)) == [0, 2]
    assert [type(it) for it in results if not isinstance(it, int)] == [LookupError]


async def test_children_run_beside_the_test(spawn, watchword_mode):
    """They return, raise, and are waited for no longer than asked."""
    go = watchword_mode.signal()

    async def child() -> str:
        await go.wait()
        return "done"

    async def failing() -> None:
        raise LookupError

    offspring = spawn(child)
    assert not await offspring.ended(within=0)
    go.set()
    assert await offspring.result() == "done"
    with pytest.raises(LookupError):
        await spawn(failing).result()


def test_racers_that_hang_are_told(outcome):
    """A race ends in an error, not in a build that never does."""
    outcomes, _ = outcome(
        """
        import pytest
        from watchword.testing.modes import DrivenMode

        class TestHanging:
            patience = 0.2

            async def test_it(self, race, watchword_mode):
                never = watchword_mode.signal()
                with pytest.raises(TimeoutError, match="2 of 2"):
                    await race(2, lambda: never.wait(within=5))
        """
    )

    assert outcomes == {"passed": 2}


def test_needs_leave_tests_out(outcome):
    """A test that needs what its class does not offer is not collected."""
    outcomes, names = outcome(
        """
        import pytest

        class Needy:
            has_pool = False
            @pytest.mark.watchword_needs("has_pool")
            def test_it(self): pass

        class TestWith(Needy):
            has_pool = True

        class TestWithout(Needy):
            pass
        """
    )

    assert outcomes == {"passed": 1, "deselected": 1}
    assert names == ["TestWith::test_it"]


def test_others_are_left_alone(outcome):
    """Without the option or the marker a coroutine test belongs to somebody else."""
    outcomes, names = outcome(
        """
        import pytest

        @pytest.mark.anyio
        async def test_theirs(anyio_backend_name): pass

        @pytest.mark.watchword_async
        async def test_ours(): pass

        def test_plain(): pass
        """,
        ini="[pytest]\nfilterwarnings = error\n",
    )

    assert outcomes["passed"] >= 4
    assert {"test_theirs[asyncio]", "test_ours[loop]", "test_ours[driven]"} <= set(names)
    assert not {"test_theirs[loop]", "test_theirs[driven]", "test_ours[asyncio]"} & set(names)


def test_the_option_leaves_marked_tests_alone(outcome):
    """With the option too, a test that is marked for another plugin stays that plugin's."""
    outcomes, names = outcome(
        "import pytest\n\n@pytest.mark.anyio\nasync def test_it(anyio_backend_name): pass\n"
    )

    assert set(outcomes) == {"passed"}
    assert "test_it[asyncio]" in names
    assert "test_it[driven]" not in names


def test_the_plugin_needs_no_suite(pytester):
    """Where the package is installed, pytest starts without hypothesis and the suites."""
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "watchword.testing.plugin" in sys.modules
            assert "watchword.testing.adapter_suite" not in sys.modules
            assert "sqlalchemy" not in sys.modules
        """
    )

    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest")

    result.assert_outcomes(passed=1)
