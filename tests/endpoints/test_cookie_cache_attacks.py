"""Whatever a browser sends as a copy: the store decides, unless it is ours and still holds."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta

import pytest

from watchword.crypto.cookie_cache import form_of

SECRET = "correct-horse-battery-staple-0123456789"
OTHER = "another-horse-battery-staple-0123456789"
TOKEN, DATA = "better-auth.session_token", "better-auth.session_data"
STRATEGIES = ["compact", "jwt", "jwe"]

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def encoded(raw: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Undo that."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


ODD = (None, 5, 1.5, True, "x", [], {}, [{}], {"a": 1})
GARBAGE = [
    *("", "x", ".", "..", "a.b.c", "a.b.c.d.e", "....", "%", "%00", "%ED%A0%80", "null"),
    *("=" * 44, "a" * 4050, "a" * 5000, "." * 4000, "%FF" * 1000),
    *(encoded(b"[" * 3000), encoded(b"\xff" * 99)),
    *(encoded(json.dumps(it).encode()) for it in ODD),
    encoded(b'{"session":null,"expiresAt":1,"signature":"x"}'),
    encoded(b'{"session":{"session":5,"user":[]},"expiresAt":"x","signature":5}'),
]


async def is_told_by_the_store(browser, cookies: dict[str, str]) -> bool:
    """Tell whether the answer with these cookies comes from the store, and repairs them."""
    browser.cookies = {TOKEN: browser.cookies[TOKEN], **cookies}
    answer = await browser.session()
    assert answer.status == 200
    assert answer.json["user"]["name"] == "Ada"
    assert "Max-Age=0" not in answer.cookies.get(DATA, ("", ""))[1]
    return DATA in answer.cookies


@every_strategy
async def test_attack_garbage_for_a_copy(caching, new_browser, strategy):
    """Of any type and length, whole or in parts: the store is asked, and a good copy sent."""
    browser = new_browser(caching(strategy=strategy))
    await browser.sign_up()

    for garbage in GARBAGE:
        for name in (DATA, f"{DATA}.0", f"{DATA}.1", f"{DATA}.99"):
            assert await is_told_by_the_store(browser, {name: garbage}), (name, garbage[:20])
            assert set(browser.cookies) == {TOKEN, DATA}


@every_strategy
async def test_attack_a_copy_made_with_another_key(caching, new_auth, new_browser, strategy):
    """The same content, signed or sealed by somebody else."""
    browser = new_browser(caching(strategy=strategy))
    await browser.sign_up()
    opened = form_of(strategy, [SECRET]).read(browser.cookies[DATA])
    payload = json.loads(opened.payload)
    payload["user"]["name"] = "Eve"

    now = browser.auth.instance.clock()
    forged = form_of(strategy, [OTHER]).write(payload, made_at=now, lives=timedelta(days=1))

    assert await is_told_by_the_store(browser, {DATA: forged})


@every_strategy
async def test_a_copy_of_an_older_secret_is_believed_while_it_is_listed(
    home, caching, new_browser, strategy
):
    """A rotation does not ask the store for everybody at once."""
    database = home.new_adapter()
    browser = new_browser(caching(database, strategy=strategy, settings={"secret": OTHER}))
    await browser.sign_up()

    rotated = {"secret": [SECRET, OTHER]}
    browser.auth = caching(database, strategy=strategy, settings=rotated)

    assert (await browser.session()).set_cookies == []


async def test_attack_the_user_of_one_copy_in_another(caching, new_browser):
    """The session of one's own with somebody else's user: the signature covers both."""
    auth = caching()
    ada, eve = new_browser(auth), new_browser(auth)
    await ada.sign_up()
    await eve.sign_up(name="Eve", email="eve@example.org")
    own, theirs = (json.loads(decoded(it.cookies[DATA])) for it in (ada, eve))

    for signed in (own, theirs):
        mixed = {**signed, "session": {**own["session"], "user": theirs["session"]["user"]}}
        forged = encoded(json.dumps(mixed, separators=(",", ":"), ensure_ascii=False).encode())

        assert await is_told_by_the_store(ada, {DATA: forged})


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS512"}, {"alg": "RS256"}, {}])
async def test_attack_a_token_without_or_with_another_algorithm(caching, new_browser, header):
    """The algorithm is ours to say."""
    browser = new_browser(caching(strategy="jwt"))
    await browser.sign_up()
    _, claims, signature = browser.cookies[DATA].split(".")
    first = encoded(json.dumps(header, separators=(",", ":")).encode())

    for end in ("", signature):
        assert await is_told_by_the_store(browser, {DATA: f"{first}.{claims}.{end}"})


@every_strategy
async def test_attack_parts_that_are_missing_swapped_or_too_many(caching, new_browser, strategy):
    """Only all of them in their order are the copy; more work than that is not done."""
    auth = caching(strategy=strategy)
    browser = new_browser(auth)
    await browser.sign_up(image="https://example.org/" + "x" * 9000)
    parts = {name: it for name, it in browser.cookies.items() if name != TOKEN}
    names = list(parts)
    assert len(names) >= 3
    too_many = {f"{DATA}.{number}": "x" * 4000 for number in range(len(names), 150)}
    wrong = [
        *({name: it for name, it in parts.items() if name != missing} for missing in names),
        dict(zip(names, reversed(parts.values()), strict=True)),
        {**parts, **too_many},
        {**parts, DATA: "x"},
        {**parts, f"{DATA}.{len(names)}": "x"},
    ]

    for cookies in wrong:
        browser.cookies = {TOKEN: browser.cookies[TOKEN], **cookies}
        answer = await browser.session()
        kept = {name for name, (value, _) in answer.cookies.items() if value}
        assert (answer.status, kept) == (200, set(names))
        again = await browser.session()
        assert (again.json, again.set_cookies) == (answer.json, [])


@every_strategy
async def test_a_copy_as_long_as_a_hundred_cookies_is_read(caching, new_browser, strategy):
    """What is sent is not in vain, whatever the form can hold by itself."""
    browser = new_browser(caching(strategy=strategy))
    await browser.sign_up(image="x" * 220_000)

    assert len(browser.cookies) > 70
    assert (await browser.session()).set_cookies == []


async def test_a_copy_that_shrinks_leaves_no_parts(caching, new_browser):
    """They would be taken for the end of a longer one."""
    browser = new_browser(caching())
    await browser.sign_up(image="https://example.org/" + "x" * 9000)

    await browser.post("/update-user", {"image": None})

    assert set(browser.cookies) == {TOKEN, DATA}
    assert (await browser.session()).set_cookies == []


async def test_a_user_too_large_for_cookies_is_read_from_the_store(caching, new_browser):
    """And of who was smaller before nothing stays."""
    browser = new_browser(caching())
    await browser.sign_up()

    await browser.post("/update-user", {"image": "x" * 400_000})
    answer = await browser.session()

    assert set(browser.cookies) == {TOKEN}
    assert len(answer.json["user"]["image"]) == 400_000
    assert answer.set_cookies == []
