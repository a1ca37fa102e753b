"""Whether the server answers, and the page for a link that failed."""

from html import unescape
from urllib.parse import quote

import pytest

from watchword.adapters.memory import MemoryAdapter
from watchword.crypto.signing import sign
from watchword.errors import StorageUnavailable

SECRET = "correct-horse-battery-staple-0123456789"
TOKEN = "better-auth.session_token"


class Unplugged(MemoryAdapter):
    """A database that nobody reaches."""

    async def find_many(self, *_args, **_options):
        """Fail as an adapter does whose server is down."""
        raise StorageUnavailable("unplugged", retryable=False)

    count = find_many


async def test_the_server_answers(browser):
    """With JSON that says so; signed in or not."""
    answer = await browser.get("/ok")

    assert (answer.status, answer.json) == (200, {"ok": True})
    assert answer.set_cookies == []


async def test_answering_asks_nothing_of_the_database(new_auth, new_browser):
    """One that is down does not take the process for dead; nor does a cookie lead to it."""
    browser = new_browser(new_auth(Unplugged()), {TOKEN: sign("token", SECRET)})

    alive, asked = await browser.get("/ok"), await browser.session()

    assert (alive.status, asked.status) == (200, 503)


@pytest.mark.parametrize("path", ["/ok", "/error"])
@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "PUT"])
async def test_they_are_only_read(browser, method, path):
    """404 with nothing in it."""
    answer = await browser.send(method, path)

    assert (answer.status, answer.body) == (404, b"")


# --- the page ----------------------------------------------------------------------------


async def show(browser, query):
    """Open the page; return its answer and text."""
    answer = await browser.get("/error", query=query)
    return answer, answer.body.decode()


async def test_the_page_shows_the_code_and_the_description(browser):
    """As HTML that loads nothing, runs nothing and is framed by nobody."""
    answer, text = await show(browser, "error=INVALID_TOKEN&error_description=It+has+expired.")

    assert answer.status == 200
    assert "INVALID_TOKEN" in text
    assert "It has expired." in text
    assert answer.header("content-type") == "text/html; charset=utf-8"
    policy = answer.header("content-security-policy").split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "form-action 'none'" in policy
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("cache-control") == "no-store"
    assert answer.set_cookies == []


@pytest.mark.parametrize("code", ["INVALID_TOKEN", "unable_to_link", "a-b", "can't", "x" * 100])
async def test_codes_are_shown(browser, code):
    """Letters, digits and three signs."""
    _, text = await show(browser, f"error={code}")

    assert f"<code>{code}</code>" in unescape(text)
    assert "UNKNOWN" not in text


@pytest.mark.parametrize(
    "query",
    [
        *(
            "",
            "error",
            "error=",
            "other=x",
            "error=a+b",
            "error=%C3%A9",
            "error=a%0Ab",
            "error=a%0A",
        ),
        *("error=%3Cscript%3E", "error=a%22b", "error=a%26b", "error=a/b", "error=" + "x" * 101),
        *("error=%FF", "error=a%3Bb", "error=&error=GOOD", "error=%EF%BC%A1"),
    ],
)
async def test_any_other_code_is_unknown(browser, query):
    """And is not sent back."""
    answer, text = await show(browser, query)

    assert (answer.status, "<code>UNKNOWN</code>" in text) == (200, True)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "</p><img src=x onerror=alert(1)>",
        "\"'><svg/onload=alert(1)>",
        "<!--",
        "<style>*{display:none}</style>",
        "&lt;script&gt;",
        "\u2028<b>\u202e",
        "<" * 5000,
    ],
)
async def test_attack_markup_in_the_page(browser, text):
    """It is shown as text, wherever it stands."""
    plain, _ = await show(browser, "error=X&error_description=")

    described = await browser.get("/error", query=f"error=X&error_description={quote(text)}")
    coded = await browser.get("/error", query=f"error={quote(text)}")

    tags = plain.body.count(b"<")
    assert (described.status, described.body.count(b"<")) == (200, tags)
    assert (coded.status, coded.body.count(b"<")) == (200, tags)
    assert text[:400] in unescape(described.body.decode())


async def test_attack_a_page_that_says_much(browser):
    """A stranger's link does not fill the screen with words under our name."""
    answer = await browser.get("/error", query="error=X&error_description=" + "word+" * 10_000)

    assert answer.body.count(b"word") <= 100


async def test_of_several_values_the_first_is_shown(browser):
    """As with headers."""
    _, text = await show(browser, "error=A&error=B&error_description=one&error_description=two")

    assert "<code>A</code>" in text
    assert "one" in text
    assert "two" not in text


@pytest.mark.parametrize("name", ["error", "error_description"])
async def test_attack_nul_in_the_query(browser, name):
    """Refused like anywhere, by the field's name."""
    answer = await browser.get("/error", query=f"{name}=a%00b")

    message = f"[query.{name}] Invalid input"
    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})


# --- a page of the application -----------------------------------------------------------


@pytest.mark.parametrize(
    ("error_url", "query", "location"),
    [
        ("/failed", "error=INVALID_TOKEN", "/failed?error=INVALID_TOKEN"),
        ("/failed?from=auth#top", "error=A", "/failed?from=auth&error=A#top"),
        (
            "https://app.example.com/failed",
            "error=A&error_description=It+has+expired%26x%3D1",
            "https://app.example.com/failed?error=A&error_description=It%20has%20expired%26x%3D1",
        ),
        ("/failed", "", "/failed?error=UNKNOWN"),
        ("/failed", "error=%3Cscript%3E&error_description=", "/failed?error=UNKNOWN"),
    ],
)
async def test_the_application_can_have_a_page_of_its_own(
    new_auth, new_browser, error_url, query, location
):
    """The browser is sent there with what went wrong; its own query is kept."""
    browser = new_browser(new_auth(error_url=error_url))

    answer = await browser.get("/error", query=query)

    assert (answer.status, answer.body) == (302, b"")
    assert answer.header("location") == location


@pytest.mark.parametrize(
    "text",
    ["a\r\nset-cookie: x=y", "a\n\n<script>", "#@evil.example", "&error=OTHER", "\u00e9\u2028"],
)
async def test_attack_a_header_by_the_way(new_auth, new_browser, text):
    """A description begins no header, no parameter and no fragment."""
    browser = new_browser(new_auth(error_url="/failed"))

    answer = await browser.get("/error", query=f"error=A&error_description={quote(text)}")

    location = answer.header("location")
    assert location.isascii()
    assert location.isprintable()
    assert location == f"/failed?error=A&error_description={quote(text)}"
    assert answer.set_cookies == []


async def test_attack_to_choose_the_page(new_auth, new_browser):
    """Where it leads is the application's word alone."""
    browser = new_browser(new_auth(error_url="/failed"))

    answer = await browser.get("/error", query="error=A&error_url=https://evil.example&to=//evil")

    assert answer.header("location") == "/failed?error=A"
