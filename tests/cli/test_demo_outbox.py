"""The demo's mail: what is kept, who may see it, and what its links do."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest

from watchword.cli.demo_outbox import Outbox
from watchword.engine.mail import Mail
from watchword.storage.entities import User

ADA = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
NEW_PASSWORD: Final = "analytical-engine"
LOCAL: Final = {"host": "localhost:8000"}
NOW: Final = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
USER: Final = User(
    id="1",
    name="Ada",
    email=ADA["email"],
    email_verified=False,
    image=None,
    created_at=NOW,
    updated_at=NOW,
)
MAIL: Final = Mail(
    purpose="verify-email",
    to=ADA["email"],
    user=USER,
    url="http://localhost:8000/api/auth/verify-email?token=secret-token",
    token="secret-token",
)


@pytest.fixture
def local(visitor):
    """Somebody who sits at the machine, and opens the demo for the first time."""
    visitor.address = "127.0.0.1"
    return visitor


async def open_outbox(visitor):
    """Open the page as a browser does."""
    page = await visitor.get("/outbox", **LOCAL)
    assert page.status == 200, page.text
    return page


async def links_of(visitor) -> list[str]:
    """Return the links of the outbox, from the newest to the oldest."""
    page = await open_outbox(visitor)
    found = re.findall(r'<a class="button" href="([^"]*)"', page.html)
    return [link.replace("&amp;", "&") for link in found]


async def sign_up_by_the_page(visitor, **changes):
    """Sign up with all that the form sends."""
    hidden = (await visitor.get("/sign-up")).hidden_fields
    return await visitor.submit("/sign-up", {**hidden, **ADA, **changes})


async def ask_for_a_link(visitor, email=ADA["email"]):
    """Send the form of who forgot their password, some time after whatever came before."""
    await visitor.site.drain()
    hidden = (await visitor.get("/forgot-password")).hidden_fields
    return await visitor.submit("/forgot-password", {**hidden, "email": email})


async def follow(visitor, link: str) -> str:
    """Open a link of a message, and return the path of our page that it leads to."""
    answer = await visitor.get(link)
    assert answer.status == 302, answer.html
    return answer.location.removeprefix("http://localhost:8000")


class TestThePage:
    """All messages, the newest first."""

    async def test_empty_it_says_what_to_do(self, local):
        """Both pages that send something are a click away."""
        page = await open_outbox(local)

        assert "There is no message yet" in page.text
        assert 'href="/sign-up"' in page.html
        assert 'href="/forgot-password"' in page.html

    async def test_a_sign_up_is_followed_by_a_message(self, local):
        """To whom, what about, when, what it says, and its link."""
        await local.sign_up()

        page = await open_outbox(local)

        assert "Verify your e-mail address for the Watchword demo" in page.text
        assert "to ada@example.org , 17 May 2026, 12:00 UTC" in page.text
        assert "If it was not you, ignore this message" in page.text
        assert re.search(r'<a class="button" href="/api/auth/verify-email\?token=', page.html)

    async def test_the_newest_is_the_first(self, local, clock):
        """Whoever comes from a form finds its message at the top."""
        await local.sign_up()
        await local.site.drain()
        clock.advance(minutes=5)
        await ask_for_a_link(local)

        page = await open_outbox(local)

        times = re.findall(r"\d\d:\d\d UTC", page.text)
        assert times == ["12:05 UTC", "12:00 UTC"]
        assert page.text.index("Reset your password") < page.text.index("Verify your e-mail")

    async def test_the_oldest_is_forgotten(self):
        """A demo that runs for months does not fill the memory."""
        outbox = Outbox(clock=lambda: NOW)

        for number in range(60):
            await outbox(replace(MAIL, to=f"user{number}@example.org"))

        assert len(outbox.messages) == 50
        assert outbox.messages[0].to == "user59@example.org"
        assert outbox.messages[-1].to == "user10@example.org"

    async def test_the_terminal_hears_of_it_with_the_link(self):
        """Where the page is closed, whoever started the server can go on."""
        told: list[str] = []
        outbox = Outbox(tell=told.append)

        await outbox(MAIL)

        [text] = told
        assert "ada@example.org: Verify your e-mail address" in text
        assert MAIL.url in text


class TestVerifyingAnAddress:
    """From the account to the outbox and back."""

    async def test_the_link_leads_to_an_account_that_is_verified(self, local):
        """Before that the account says where the link is."""
        await sign_up_by_the_page(local)
        before = await local.get("/account")
        [link] = await links_of(local)

        leads_to = await follow(local, link)

        assert "not verified yet: open the link in the outbox" in before.text
        assert "Address verified Not yet" in before.text
        assert 'href="/outbox"' in before.html
        after = await local.get(leads_to)
        assert "Your e-mail address is verified." in after.text
        assert "Address verified Yes" in after.text
        assert 'href="/outbox"' not in after.html
        assert after.hidden_fields == {}
        assert "is verified." not in (await local.get("/account")).text

    async def test_another_browser_is_told_and_asked_to_sign_in(self, local, new_visitor):
        """A link that is opened on another device works, and signs nobody in."""
        await sign_up_by_the_page(local)
        [link] = await links_of(local)
        other = new_visitor(local.site)

        leads_to = await follow(other, link)

        assert other.cookies == {}
        account = await other.get(leads_to)
        assert account.location == "/sign-in?verified"
        assert "Your e-mail address is verified." in (await other.get(account.location)).text
        assert "Address verified Yes" in (await local.get("/account")).text

    async def test_a_link_that_is_none_is_told(self, local):
        """The page says what to do, and no account is shown."""
        await sign_up_by_the_page(local)
        [link] = await links_of(local)

        leads_to = await follow(local, re.sub(r"token=[^&]+", "token=invented", link))

        page = await local.get(leads_to)
        assert page.status == 400
        assert "This link does not work" in page.text
        assert "Address verified Not yet" in (await local.get("/account")).text

    async def test_an_old_link_is_told(self, local, clock):
        """An hour later it is worth nothing."""
        await sign_up_by_the_page(local)
        [link] = await links_of(local)
        clock.advance(hours=2)

        page = await local.get(await follow(local, link))

        assert page.status == 400
        assert "has expired" in page.alert

    async def test_another_link_is_a_click_away(self, local):
        """A restart forgets the outbox, and not the user."""
        await sign_up_by_the_page(local)
        button = (await local.get("/account")).hidden_fields

        answer = await local.submit("/send-verification-email", button)

        assert (answer.status, answer.location) == (303, "/link-sent")
        assert 'href="/outbox"' in (await local.get("/link-sent")).html
        newest, _ = await links_of(local)
        assert "Yes" in (await local.get(await follow(local, newest))).text

    async def test_who_is_verified_meanwhile_needs_no_link(self, local):
        """A page that was left open says so."""
        await sign_up_by_the_page(local)
        button = (await local.get("/account")).hidden_fields
        [link] = await links_of(local)
        await follow(local, link)

        page = await local.submit("/send-verification-email", button)

        assert page.status == 400
        assert page.alert == "Email is already verified"
        assert len(await links_of(local)) == 1


class TestAForgottenPassword:
    """From the sign-in page to a new password."""

    async def test_the_link_leads_to_a_form_for_a_new_one(self, local, new_visitor):
        """The new one works, the old one does not, and nobody stays signed in with it."""
        await local.sign_up()
        stranger = new_visitor(local.site, address="127.0.0.1")
        sign_in = await stranger.get("/sign-in")

        answer = await ask_for_a_link(stranger)
        leads_to = await follow(stranger, (await links_of(stranger))[0])
        form = await stranger.get(leads_to)
        changed = await stranger.submit(
            "/reset-password", {**form.hidden_fields, "newPassword": NEW_PASSWORD}
        )

        assert 'href="/forgot-password"' in sign_in.html
        assert (answer.status, answer.location) == (303, "/link-sent")
        assert form.status == 200
        assert (changed.status, changed.location) == (303, "/sign-in?password-changed")
        assert "Your password is changed" in (await stranger.get(changed.location)).text
        assert (await local.get("/account")).location == "/sign-in"
        known = {"email": ADA["email"]}
        old = await stranger.submit("/sign-in", {**known, "password": ADA["password"]})
        new = await stranger.submit("/sign-in", {**known, "password": NEW_PASSWORD})
        assert (old.status, new.status) == (401, 303)

    async def test_unknown_addresses_are_answered_alike(self, local):
        """Only the outbox tells the difference."""
        await local.sign_up()
        local.cookies.clear()

        known = await ask_for_a_link(local)
        unknown = await ask_for_a_link(local, "eve@example.org")

        assert (known.status, known.location) == (unknown.status, unknown.location)
        page = await open_outbox(local)
        assert page.text.count("Reset your password") == 1
        assert "eve@example.org" not in page.text

    async def test_a_link_works_once(self, local):
        """Opened again, it leads to the form for another, which says why."""
        await local.sign_up()
        await ask_for_a_link(local)
        link = (await links_of(local))[0]
        form = await local.get(await follow(local, link))
        filled = {**form.hidden_fields, "newPassword": NEW_PASSWORD}
        await local.submit("/reset-password", filled)

        again = await local.get(await follow(local, link))
        sent_again = await local.submit("/reset-password", filled)

        for page in (again, sent_again):
            assert page.status == 400
            assert page.title == "Error: Forgot your password? · Watchword"
            assert "used already" in page.alert
            assert page.wrong_fields == set()

    @pytest.mark.parametrize("query", ["", "?error=INVALID_TOKEN", "?token=a&token=b"])
    async def test_no_form_without_a_token(self, local, query):
        """Nobody chooses a password that cannot be set."""
        page = await local.get(f"/reset-password{query}")

        assert page.status == 400
        assert page.title == "Error: Forgot your password? · Watchword"

    async def test_a_form_without_a_password_is_told(self, local):
        """The field is marked."""
        page = await local.submit("/reset-password", {"token": "x"})

        assert page.status == 400
        assert page.alert == "Enter a password."
        assert page.wrong_fields == {"newPassword"}

    @pytest.mark.parametrize(
        ("password", "sentence"), [("short", "at least 8"), ("", "at least 8"), ("x" * 129, "128")]
    )
    async def test_a_refused_password_leaves_the_link_as_it_is(self, local, password, sentence):
        """The form says what is wrong, holds the token and no password, and can be sent again."""
        await local.sign_up()
        await ask_for_a_link(local)
        form = await local.get(await follow(local, (await links_of(local))[0]))

        refused = await local.submit(
            "/reset-password", {**form.hidden_fields, "newPassword": password}
        )
        good = await local.submit(
            "/reset-password", {**refused.hidden_fields, "newPassword": NEW_PASSWORD}
        )

        assert refused.status == 400
        assert sentence in refused.alert
        assert refused.wrong_fields == {"newPassword"}
        assert "value" not in refused.input("newPassword")
        assert good.location == "/sign-in?password-changed"

    async def test_an_address_that_is_none_is_told(self, local):
        """The field is marked, and what was typed is still there."""
        page = await ask_for_a_link(local, "ada@localhost")

        assert page.status == 400
        assert page.wrong_fields == {"email"}
        assert page.input("email")["value"] == "ada@localhost"


HERE: Final = "127.0.0.1"
ORIGIN: Final = "http://localhost:8000"


class TestWhoMayLook:
    """A link of the outbox opens somebody's account."""

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
    @pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
    async def test_a_browser_on_this_machine(self, visitor, address, host):
        """By each of its names."""
        visitor.address = address

        page = await visitor.get("/outbox", host=host)

        assert page.status == 200

    @pytest.mark.parametrize(
        ("address", "headers", "base_url"),
        [
            pytest.param("192.168.1.5", {}, ORIGIN, id="another-machine"),
            pytest.param("::ffff:192.168.1.5", {}, ORIGIN, id="another-machine-mapped"),
            pytest.param(None, {}, ORIGIN, id="who-knows"),
            pytest.param(HERE, {"host": "attacker.example"}, ORIGIN, id="dns-rebinding"),
            pytest.param(HERE, {"host": "localhost.attacker.example"}, ORIGIN, id="alike"),
            pytest.param(HERE, {"host": "192.168.1.20:8000"}, ORIGIN, id="by-the-network"),
            pytest.param(HERE, {"host": ""}, ORIGIN, id="no-name"),
            pytest.param(HERE, {"host": "[localhost"}, ORIGIN, id="malformed"),
            pytest.param(HERE, {"x_forwarded_for": "192.0.2.1"}, ORIGIN, id="proxy"),
            pytest.param(HERE, {"x_forwarded_host": "demo.example"}, ORIGIN, id="tunnel"),
            pytest.param(HERE, {"x_real_ip": "192.0.2.1"}, ORIGIN, id="another-proxy"),
            pytest.param(HERE, {"forwarded": "for=192.0.2.1"}, ORIGIN, id="rfc-7239"),
            pytest.param(HERE, {"via": "1.1 proxy"}, ORIGIN, id="rfc-9110"),
            pytest.param(HERE, {}, "https://demo.example", id="silent-proxy"),
        ],
    )
    async def test_nobody_else(self, new_site, new_visitor, address, headers, base_url):
        """They get a sentence, and nothing of any message."""
        site = new_site(base_url=base_url)
        await new_visitor(site).sign_up_at(base_url)
        other = new_visitor(site, address=address)

        page = await other.get("/outbox", **{**LOCAL, **headers})

        assert page.status == 403
        assert "on the machine that runs the server" in page.alert
        assert "ada@example.org" not in page.html
        assert "token" not in page.html


ELSEWHERE: Final = (
    {"origin": "https://attacker.example"},
    {"origin": "null"},
    {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
)


class TestAttacks:
    """What other sites and other users may try."""

    @pytest.mark.parametrize("headers", ELSEWHERE)
    @pytest.mark.parametrize("is_signed_in", [True, False])
    async def test_a_form_of_another_site(self, local, headers, is_signed_in):
        """It sends no mail and sets no password, though the endpoints get JSON from us."""
        await sign_up_by_the_page(local)
        await ask_for_a_link(local)
        reset = await local.get(await follow(local, (await links_of(local))[0]))
        sent = await links_of(local)
        if not is_signed_in:
            local.cookies.clear()
        forms = {
            "/forgot-password": {"email": ADA["email"]},
            "/send-verification-email": {"email": ADA["email"]},
            "/reset-password": {**reset.hidden_fields, "newPassword": NEW_PASSWORD},
        }

        pages = [await local.submit(path, form, **headers) for path, form in forms.items()]

        assert [page.status for page in pages] == [403] * 3
        assert all("http://localhost:8000" in page.alert for page in pages)
        assert await links_of(local) == sent
        local.cookies.clear()
        assert (await local.submit("/sign-in", ADA)).location == "/account"

    @pytest.mark.parametrize("path", ["/forgot-password", "/reset-password"])
    @pytest.mark.parametrize("body", [b"", b"&".join([b"a=1"] * 1001), b"\xff=\xff", b"\0=\0"])
    async def test_a_form_that_no_browser_sends(self, local, path, body):
        """Whatever comes, the answer is a page."""
        page = await local.submit(path, body)

        assert page.status == 400
        assert page.alert

    async def test_cross_site_scripting_by_a_message(self, new_site, new_visitor):
        """What came from outside is text on the page."""
        site = new_site()
        payload = '"><script>alert(1)</script>'
        await site.options.mail(replace(MAIL, to=payload, url=f"{ORIGIN}/{payload}"))

        page = await open_outbox(new_visitor(site, address=HERE))

        assert "<script" not in page.html
        assert page.html.count("&lt;script&gt;") >= 3

    async def test_cross_site_scripting_by_a_token(self, local):
        """A link to the form is made by anybody."""
        page = await local.get('/reset-password?token="><script>alert(1)</script>')

        assert "<script" not in page.html
        assert page.hidden_fields["token"] == '"><script>alert(1)</script>'

    @pytest.mark.parametrize("page", ["/forgot-password", "/sign-up"])
    async def test_a_link_that_leads_to_another_site(self, local, page):
        """Mail of ours does not lead elsewhere, whoever filled in the form."""
        target = {"callbackURL": "https://attacker.example/", "redirectTo": "https://evil.example"}

        answer = await local.submit(page, {**ADA, **target})

        assert answer.status == 403
        assert await links_of(local) == []
