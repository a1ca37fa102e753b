"""Where a redirect may lead: every rule, and every known way around."""

import pytest

from watchword.engine.origins import OriginGuard
from watchword.errors import APIError
from watchword.http.messages import Request

OWN = "https://app.example.com"
REQUEST = Request(method="POST", path="/")


async def refusal(check, *args):
    """Return the code of the refusal, or its sentence if it has none; None without a refusal."""
    try:
        await check(*args)
    except APIError as error:
        return error.message if error.code is None else error.code.name
    return None


async def accepts(target, *trusted):
    """Tell whether a redirect to the target is accepted."""
    guard = OriginGuard(OWN, trusted)
    return await refusal(guard.check_targets, {"callbackURL": target}, REQUEST) is None


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/dash",
        "/dash?next=//evil.example",
        "/dash?next=%2F%2Fevil.example",
        "/dash#//evil.example",
        "/a//b",
        "/@evil.example",
        "/https://evil.example",
        "/%E2%82%AC",
        "/a:b",
        OWN,
        f"{OWN}/dash?x=1#y",
    ],
)
async def test_safe_targets_are_accepted(target):
    """Paths of our own, with any query, and the own origin."""
    assert await accepts(target)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r/evil.example",
        "/%2fevil.example",
        "/%2Fevil.example",
        "/%5cevil.example",
        "/%5Cevil.example",
        "/a/%2f/b",
        "/a\\b",
        "/a?b=\\",
        "/a\0",
        "/a\x1b",
        "/a\x7f",
        "/a\r\nset-cookie: a=b",
        "\\\\evil.example",
        "\t//evil.example",
        " //evil.example",
        " /dash",
        "dash",
        "./dash",
        "?a",
        "#a",
        "https://evil.example",
        "https://app.example.com@evil.example",
        "https://app.example.com.evil.example",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "ftp://app.example.com",
        "myapp://",
        "null",
        "%2f%2fevil.example",
    ],
)
async def test_attack_open_redirect(target):
    """Whatever a browser might take to another host is refused."""
    assert not await accepts(target)


async def test_attack_script_by_a_custom_scheme():
    """Trusting one app trusts no other scheme."""
    assert await accepts("myapp://home", "myapp://")
    assert not await accepts("javascript://home/%0aalert(1)", "myapp://")


@pytest.mark.parametrize(
    ("name", "code", "label"),
    [
        ("callbackURL", "INVALID_CALLBACK_URL", "callbackURL"),
        ("redirectTo", "INVALID_REDIRECT_URL", "redirectURL"),
        ("errorCallbackURL", "INVALID_ERROR_CALLBACK_URL", "errorCallbackURL"),
        ("newUserCallbackURL", "INVALID_NEW_USER_CALLBACK_URL", "newUserCallbackURL"),
    ],
)
async def test_each_target_has_its_refusal(name, code, label):
    """403 where it leads elsewhere, 400 where it is no text."""
    guard = OriginGuard(OWN)

    with pytest.raises(APIError) as elsewhere:
        await guard.check_targets({name: "https://evil.example"}, REQUEST)
    with pytest.raises(APIError) as no_text:
        await guard.check_targets({name: ["https://app.example.com"]}, REQUEST)

    assert (elsewhere.value.status, elsewhere.value.code.name) == (403, code)
    assert elsewhere.value.message == f"Invalid {label}"
    assert no_text.value.status == 400
    assert no_text.value.message == f"Invalid {label}: expected a string"


@pytest.mark.parametrize("value", [None, "", 0, False])
async def test_an_empty_target_is_none(value):
    """It leads nowhere; what it should be is validation's to say."""
    assert await accepts(value)


@pytest.mark.parametrize("value", [1, True, {"a": 1}, ["/dash"], [], {}])
async def test_a_target_that_is_no_text_is_refused(value):
    """It must not reach code that expects one."""
    assert not await accepts(value)


@pytest.mark.parametrize("body", [{}, {"callbackURL": ""}, None, [], "text", 5])
async def test_a_target_in_the_query_counts_where_the_body_has_none(body):
    """Both places lead a browser on."""
    request = Request(method="POST", path="/", query_string="callbackURL=https://evil.example")

    code = await refusal(OriginGuard(OWN).check_targets, body, request)

    assert code == "INVALID_CALLBACK_URL"


async def test_attack_two_targets_in_the_query():
    """A repeated key is a list, and a list is no target."""
    request = Request(
        method="POST", path="/", query_string="callbackURL=/dash&callbackURL=//evil.example"
    )

    refused = await refusal(OriginGuard(OWN).check_targets, {}, request)

    assert refused == "Invalid callbackURL: expected a string"


async def test_a_target_in_the_body_goes_before_the_querys():
    """What is followed is what is checked."""
    request = Request(method="POST", path="/", query_string="callbackURL=https://evil.example")

    assert await refusal(OriginGuard(OWN).check_targets, {"callbackURL": "/dash"}, request) is None
