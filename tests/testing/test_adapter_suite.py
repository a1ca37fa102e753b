"""The suite finds what is wrong with an adapter: each promise, broken, fails the test of it."""

import os
from pathlib import Path

import pytest

from watchword.testing import AdapterSuite

pytest_plugins = ("pytester",)

IS_SOAK = "WATCHWORD_SOAK" in os.environ
BROKEN = {
    "UpdatesAll": "test_update_changes_one_row",
    "LosesWhatItSearchedBy": "test_update_of_what_it_searched_by",
    "ConsumesTwice": "test_one_caller_consumes",
    "ReadsThenWrites": "test_one_caller_swaps",
    "CountsInPython": "test_counts_are_not_lost",
    "NullCountersStayNull": "test_increment_adds_to_what_is_stored",
    "SkipsNulls": "test_texts_compare_byte_for_byte",
    "ThreeValued": "test_order_comparisons",
    "WildcardsWork": "test_texts_compare_byte_for_byte",
    "FoldsCase": "test_texts_compare_byte_for_byte",
    "StopsAt100": "test_find_many_has_no_limit_of_its_own",
    "LeavesTiesToChance": "test_pages_lose_and_repeat_nothing",
    "KeepsNoKeys": "test_one_caller_creates",
    "KeepsNoReferences": "test_deleting_a_user_leaves_nothing_behind",
    "EmptyIsNull": "test_empty_text_is_not_null",
    "CutsSeconds": "test_values_come_back",
    "SharesRows": "test_nothing_is_shared_with_the_caller",
    "NeverRollsBack": "test_an_exception_undoes_all",
    "KeepsHalfWhenCancelled": "test_a_cancelled_transaction",
    "LosesItsConnection": "test_a_cancelled_create",
    "SwallowsCancellation": "test_a_cancelled_create",
    "ShowsTheUncommitted": "test_uncommitted_rows_are_private",
    "AdoptsChildren": "test_a_child_does_not_join",
    "BreaksSavepoints": "test_a_savepoint_is_undone_alone",
    "MultipliesRows": "test_a_page_counts_rows_not_what_comes_along",
    "CountsThenWrites": "test_a_limit_holds_for_rows",
    "CountsWhatItSaw": "test_a_locking_count_is_of_what_is_committed_now",
    "CountsForOne": "test_a_locking_count_is_of_what_is_committed_now",
    "WritesAPart": "test_one_taken_key_leaves_none_of_many",
    "ReturnsManyInAnyOrder": "test_many_rows_come_back_in_order",
    "WritesAThousand": "test_many_rows_come_back_in_order",
    "TakesFieldsOfTheFirst": "test_many_rows_may_differ",
    "GivesItsOwnIds": "test_many_rows_may_bring_their_ids",
    "PassesKeysOver": "test_many_rows_race_for_a_key",
    "CommitsManyAtOnce": "test_many_rows_in_a_transaction",
}
# What a random history has to find too: whatever one caller alone can see.
FOUND_AT_RANDOM = ("SkipsNulls", "FoldsCase", "KeepsNoKeys", "NeverRollsBack", "BreaksSavepoints")


# Each run would load the plugins of everybody anew, which takes longer than what it runs.
WITHOUT_OTHERS = ("--disable-plugin-autoload", "-p", "watchword.testing.plugin")


@pytest.fixture
def verdict(pytester):
    """Run one test of the suite on an adapter of `broken.py`."""
    pytester.makepyfile(broken=Path(__file__).with_name("broken.py").read_text())

    def verdict(adapter: str, test: str, *options: str, examples: int = 40):
        pytester.makepyfile(
            test_adapter=f"""
            import pytest
            import broken
            from watchword.testing import AdapterSuite

            class TestAdapter(AdapterSuite):
                rounds, callers, examples, patience = 10, 16, {examples}, 2.0

                @pytest.fixture
                def adapter(self):
                    return broken.{adapter}()

                @pytest.fixture
                def peek(self, adapter):
                    return lambda model: list(adapter._tables[model].values())
            """
        )
        options = (*options, "-q", "-W", "error", "-k", test, "--maxfail=1")
        return pytester.runpytest_inprocess(*options)

    return verdict


@pytest.mark.parametrize(("adapter", "test"), BROKEN.items(), ids=BROKEN)
def test_a_broken_promise_is_found(verdict, adapter, test):
    """Each adapter that breaks a promise fails the test that states it."""
    result = verdict(adapter, test, *WITHOUT_OTHERS)

    result.assert_outcomes(failed=1, **_others(result))


@pytest.mark.parametrize("adapter", FOUND_AT_RANDOM)
def test_a_broken_promise_is_found_at_random(verdict, adapter):
    """Random histories find what one caller alone can see."""
    result = verdict(adapter, "test_random_histories", *WITHOUT_OTHERS)

    result.assert_outcomes(failed=1, **_others(result))


def test_a_stranger_runs_the_suite(verdict):
    """In a project without any settings the reference passes, whole, in both modes."""
    result = verdict("MemoryAdapter", "test", examples=40 if IS_SOAK else 5)

    outcomes = result.parseoutcomes()
    assert outcomes.keys() <= {"passed", "deselected"}
    assert outcomes["passed"] > 300


@pytest.mark.parametrize("test", BROKEN.values())
def test_the_tests_exist(test):
    """A test that was renamed is renamed here."""
    assert hasattr(AdapterSuite, test)


def _others(result) -> dict[str, int]:
    """What passed or was not chosen is of no interest; an error in a fixture would be."""
    outcomes = result.parseoutcomes()
    return {name: outcomes[name] for name in ("passed", "deselected") if name in outcomes}
