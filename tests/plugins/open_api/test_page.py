"""The page shows all of the document, loads nothing, runs nothing and believes no text."""

import re
from html.parser import HTMLParser

import pytest

from watchword.plugins.open_api import OpenAPI, openapi_document
from watchword.plugins.open_api.page import reference_page

HOSTILE = '</title><script src="https://evil.example/x.js"></script><img src=x onerror=alert(1)>'
# Elements that load, run, frame or send something.
NEVER = {"script", "img", "link", "iframe", "object", "embed", "form", "base", "video", "audio"}


class Page(HTMLParser):
    """The page as a browser reads it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Keep an element."""
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        """Keep a text."""
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """Return what an attribute is, wherever it stands."""
        return [value or "" for key, value in self.attributes if key == name]


@pytest.fixture
def page(described):
    """The page of an instance with a plugin whose docstrings are markup."""
    return Page(reference_page(described.document))


def test_every_operation_is_shown_and_linked(described, page):
    """From the list at the top to a section of its own."""
    names = [
        it["operationId"] for path in described.document["paths"].values() for it in path.values()
    ]

    assert {f"#{name}" for name in names} <= set(page.values("href"))
    assert set(names) <= set(page.values("id"))
    assert "POST /sign-in/email" in page.texts


def test_links_lead_somewhere(page):
    """Within the page to a section; to the document from wherever the page is mounted."""
    within = {it[1:] for it in page.values("href") if it.startswith("#")}

    assert within <= set(page.values("id"))
    assert len(page.values("id")) == len(set(page.values("id")))
    assert [it for it in page.values("href") if not it.startswith("#")] == [
        "open-api/generate-schema"
    ]


def test_types_that_are_named_are_shown(page):
    """Users and sessions, and what plugins answer with."""
    assert {"User", "Session", "Book"} <= set(page.values("id"))
    assert {"emailVerified", "string (date-time) or null", "list of "} <= set(page.texts)


def test_every_code_is_shown(described, page):
    """Those of plugins too."""
    codes = described.document["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"]

    assert set(codes) <= set(page.texts)


def test_nothing_is_loaded_and_nothing_runs(page, described):
    """No address but the text that tells the base URL, no script, no handler of events."""
    html = reference_page(described.document)

    assert re.findall(r"https?://[^<\s]*", html) == ["http://localhost:8000/api/auth"]
    assert page.tags & NEVER == set()
    assert {name for name, _ in page.attributes} <= {
        *("lang", "charset", "name", "content", "href", "id", "class", "scope", "aria-label")
    }
    assert "url(" not in html
    assert "@import" not in html


def test_attack_markup_in_a_title_or_a_docstring(described):
    """It is text, wherever it comes from."""
    document = openapi_document(described.auth.instance, title=HOSTILE)
    paths = {f"/{HOSTILE}": it for it in list(document["paths"].values())[:1]}
    page = Page(reference_page({**document, "paths": {**document["paths"], **paths}}))

    assert page.tags & NEVER == set()
    assert "onerror" not in {name for name, _ in page.attributes}
    assert page.texts.count(HOSTILE) >= 2
    assert '<script>alert("boards")</script>' in page.texts
    assert "sell" in page.texts


async def test_the_page_is_served_with_a_policy(described, new_browser):
    """Whatever slips through does nothing, and no other site frames it."""
    answer = await new_browser(described.auth).get("/reference")

    assert (answer.status, answer.header("content-type")) == (200, "text/html; charset=utf-8")
    assert answer.header("content-security-policy") == (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    assert answer.body.decode() == reference_page(described.document)


async def test_the_page_can_be_switched_off(new_auth, new_browser):
    """As if there were no such path; the document stays."""
    browser = new_browser(new_auth(plugins=[OpenAPI(reference=False)]))

    page = await browser.get("/reference")
    document = await browser.get("/open-api/generate-schema")

    assert (page.status, page.body) == (404, b"")
    assert document.status == 200


async def test_the_title_is_the_one_of_the_settings(new_auth, new_browser):
    """On the page and in the document."""
    browser = new_browser(new_auth(plugins=[OpenAPI(title="Shop <3")]))

    page = await browser.get("/reference")
    document = await browser.get("/open-api/generate-schema")

    assert b"<title>Shop &lt;3</title>" in page.body
    assert document.json["info"]["title"] == "Shop <3"
