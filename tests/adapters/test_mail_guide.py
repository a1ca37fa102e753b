"""The guide to sending mail: its programs run, and its tables are true."""

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from watchword import Watchword
from watchword.adapters.smtp import Rendered, SMTPSender
from watchword.engine.mail import Mail, MailPurpose
from watchword.storage.entities import User

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "guides" / "mail.md").read_text(encoding="utf-8")
PROGRAMS: Final = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def names(monkeypatch, tmp_path) -> dict[str, Any]:
    """What the guide's programs, run one after the other, have defined in the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WATCHWORD_SECRET", "a-secret-for-the-guide-0123456789")
    monkeypatch.setenv("WATCHWORD_BASE_URL", "https://shop.example")
    names: dict[str, Any] = {}
    for program in PROGRAMS:
        exec(compile(program, "mail.md", "exec"), names)
    return names


def test_every_program_runs(names):
    """Instances and senders are made as they stand there."""
    assert len(PROGRAMS) == 4
    assert isinstance(names["auth"], Watchword)
    assert isinstance(names["mail"], SMTPSender)


def test_the_words_of_the_guide_are_a_message(names):
    """Its function answers with what `SMTPSender` sends."""
    user = User(
        id="1",
        name="Ada",
        email="ada@example.org",
        email_verified=True,
        image=None,
        created_at=datetime(2026, 5, 17, tzinfo=UTC),
        updated_at=datetime(2026, 5, 17, tzinfo=UTC),
    )
    url = "https://shop.example/?a&b"
    mail = Mail(purpose="reset-password", to=user.email, user=user, url=url, token="secret")

    words = names["render"](mail)

    assert isinstance(words, Rendered)
    assert "https://shop.example/?a&amp;b" in words.html
    EmailMessage()["Subject"] = words.subject


def test_every_purpose_is_in_the_table():
    """Whoever writes words of their own forgets none."""
    rows = re.findall(r"^\| `([a-z-]+)` \|", GUIDE, re.MULTILINE)

    assert sorted(rows) == sorted(get_args(MailPurpose))


def test_the_escapes_are_those_of_the_characters(names):
    """Copied from the guide, a password is read as it is."""
    [[plain, escaped]] = re.findall(r"`(@ [^`]*)` are written `([^`]*)`", GUIDE)
    url = f"smtp://user:{escaped.replace(' ', '')}@mail.example.org"

    sender = SMTPSender(url, sender="no-reply@shop.example")

    assert sender._server.password == plain.replace(" ", "")
