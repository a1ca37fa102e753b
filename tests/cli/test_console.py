"""What commands print: words first, colours only where somebody sees them."""

import io

import pytest

from watchword.cli.console import Colour, complain, painted, reason_of, say
from watchword.errors import StorageError


class Terminal(io.StringIO):
    """Shows colours."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_terminal_shows_colours():
    """The word is the same, between two control sequences."""
    assert painted("error", Colour.WRONG, Terminal()) == "\x1b[1;31merror\x1b[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_whose_user_wants_none_shows_none(monkeypatch, name, value):
    """no-color.org: any value that is not empty."""
    monkeypatch.setenv(name, value)

    assert painted("error", Colour.WRONG, Terminal()) == "error"


def test_an_empty_wish_is_none(monkeypatch):
    """no-color.org again: an empty variable says nothing."""
    monkeypatch.setenv("NO_COLOR", "")

    assert painted("error", Colour.WRONG, Terminal()) != "error"


def test_a_file_gets_no_colours():
    """Logs and pipes are read by programs."""
    assert painted("error", Colour.WRONG, io.StringIO()) == "error"


def test_a_complaint_goes_where_errors_go(capsys):
    """A program that reads the output is not fed with it; longer hints stay in line."""
    complain("It is broken.", hint="Mend it:\nwith glue")

    printed = capsys.readouterr()

    assert printed.out == ""
    assert printed.err == "error  It is broken.\n       hint  Mend it:\n             with glue\n"


def test_what_is_said_goes_to_the_output(capsys):
    """One line at a time."""
    say("done")

    assert capsys.readouterr() == ("done\n", "")


def test_attack_a_refused_command_is_shown_with_what_it_would_have_written():
    """MongoDB repeats all of it, and people's values with it."""
    error = StorageError("MongoDB does not permit this user to do this.")
    error.__cause__ = RuntimeError(
        'not authorized on shop to execute command { insert: "watchword_users", documents: '
        '[ { email: "ada@example.org" } ] }'
    )

    assert reason_of(error) == "not authorized on shop"
