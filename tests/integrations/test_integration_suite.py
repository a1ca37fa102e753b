"""The suite finds what is wrong with an integration: each promise, broken, fails its test."""

import subprocess
import sys
from pathlib import Path

import pytest

from watchword.testing import IntegrationSuite

pytest_plugins = ("pytester",)

BROKEN = {
    "JoinsCookies": "test_several_cookies_are_several_headers",
    "KeepsTheLastOfAKey": "test_a_query_arrives_as_it_was_sent",
    "DecodesTwice": "test_a_path_is_decoded_once",
    "TidiesPaths": "test_below_the_base_path_everything_is_ours",
    "TakesHeadersForUTF8": "test_headers_arrive_as_they_were_sent",
    "HidesAddresses": "test_the_clients_address_arrives",
    "TrustsEveryPage": "test_attack_borrowed_cookies",
    "ReadsToTheEnd": "test_attack_endless_body",
    "KeepsHalf": "test_attack_half_a_form",
    "ReadsTheFirstPiece": "test_a_body_may_be_as_long_as_the_limit",
    "TakesForms": "test_a_form_is_read",
    "AnswersOptions": "test_every_method_is_ours",
    "AsksEachTime": "test_a_request_reads_its_session_once",
    "RemembersWhoCame": "test_attack_session_of_the_request_before",
    "KeepsTheRequestOnItself": "test_attack_somebody_elses_session",
    "SendsNobodyAway": "test_nobody_is_a_401_of_the_wire",
    "SaysSignedOut": "test_a_database_that_is_down_is_503",
}


@pytest.fixture
def verdict(pytester):
    """Run tests of the suite on a front of `broken.py`, in a project without any settings."""
    pytester.makepyfile(broken=Path(__file__).with_name("broken.py").read_text("utf-8"))

    def verdict(front: str, test: str) -> dict[str, int]:
        pytester.makepyfile(
            test_front=f"""
            import pytest
            import broken
            from watchword.testing import IntegrationSuite
            from watchword.testing.integration_suite import ASGIClient

            class TestFront(IntegrationSuite):
                needs_loop = True
                patience = 5.0

                @pytest.fixture
                def client(self, settings):
                    return ASGIClient(broken.{front}(settings))
            """
        )
        result = pytester.runpytest_inprocess("-q", "-W", "error", "-k", test)
        outcomes = result.parseoutcomes()
        return {name: count for name, count in outcomes.items() if name != "deselected"}

    return verdict


@pytest.mark.parametrize(("front", "test"), BROKEN.items(), ids=BROKEN)
def test_a_broken_promise_is_found(verdict, front, test):
    """Each front that breaks a promise fails the test that states it."""
    assert verdict(front, test) == {"failed": 1}


def test_a_stranger_runs_the_suite(verdict):
    """What keeps all promises passes, whole."""
    outcomes = verdict("Sound", "test")

    assert outcomes.keys() == {"passed"}
    assert outcomes["passed"] > 20


@pytest.mark.parametrize("test", BROKEN.values())
def test_the_tests_exist(test):
    """A test that was renamed is renamed here."""
    assert hasattr(IntegrationSuite, test)


MISSING = """
import importlib, sys
from watchword import ConfigurationError

for name in ("starlette", "fastapi", "litestar", "flask", "django"):
    sys.modules.update({name: None, "asgiref": None})
    try:
        importlib.import_module(f"watchword.integrations.{name}")
    except ConfigurationError as error:
        print(error.hint)
"""


def test_a_missing_framework_says_what_to_install():
    """In words, not by a traceback that ends in an import of ours."""
    said = subprocess.run(
        [sys.executable, "-c", MISSING], check=True, capture_output=True, text=True
    ).stdout

    assert said.splitlines() == [
        f'pip install "watchword[{name}]"'
        for name in ("starlette", "fastapi", "litestar", "flask", "django")
    ]
