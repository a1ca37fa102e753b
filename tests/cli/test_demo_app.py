"""The demo's pages: who gets which, and what a form does, without a server and a browser."""

import re

import pytest

from watchword.adapters.memory import MemoryAdapter
from watchword.errors import StorageUnavailable

ADA = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
SIGN_IN = {"email": ADA["email"], "password": ADA["password"]}
ELSEWHERE = "https://attacker.example"


class TestSigningUp:
    """The form makes a user and signs them in."""

    async def test_the_form_leads_to_the_account(self, visitor):
        """The account page shows who signed up."""
        answer = await visitor.sign_up()

        assert (answer.status, answer.location) == (303, "/account")
        account = await visitor.get("/account")
        assert account.status == 200
        assert "You are signed in as Ada" in account.text
        assert "ada@example.org" in account.text
        assert "17 May 2026, 12:00 UTC" in account.text
        assert "24 May 2026, 12:00 UTC" in account.text

    @pytest.mark.parametrize(
        ("change", "wrong", "sentence"),
        [
            ({"email": "ada@localhost"}, "email", "Enter an e-mail address"),
            ({"email": ""}, "email", "Enter an e-mail address"),
            ({"password": "short"}, "password", "at least 8 characters"),
            ({"password": ""}, "password", "Enter a password"),
            ({"password": "x" * 129}, "password", "at most 128 characters"),
            ({"name": "x" * 256}, "name", "at most 255 characters"),
        ],
    )
    async def test_a_refused_form_says_which_field_and_what_to_do(
        self, visitor, change, wrong, sentence
    ):
        """The alert, the field's state and the title tell it, and it is no success."""
        page = await visitor.sign_up(**change)

        assert page.status == 400
        assert sentence in page.alert
        assert page.wrong_fields == {wrong}
        assert page.title == "Error: Create your account · Watchword"

    async def test_a_taken_address_is_told(self, visitor, new_visitor):
        """The page says what the endpoint says."""
        await visitor.sign_up()

        page = await new_visitor(visitor.site).sign_up()

        assert page.status == 422
        assert "There is an account with this e-mail address" in page.alert
        assert page.wrong_fields == {"email"}

    async def test_a_refused_form_repeats_all_but_the_password(self, visitor):
        """Nobody types a name twice, and no page holds a password."""
        page = await visitor.sign_up(name="Ada L.", password="short")

        assert page.input("name")["value"] == "Ada L."
        assert page.input("email")["value"] == "ada@example.org"
        assert "value" not in page.input("password")
        assert "short" not in page.text

    async def test_the_problem_gets_the_focus(self, visitor):
        """A screen reader starts with what went wrong."""
        page = await visitor.sign_up(password="short")

        assert re.search(r'<p id="problem" [^>]*tabindex="-1" autofocus>', page.html)

    @pytest.mark.parametrize("body", [b"", b"&".join([b"a=1"] * 1001), b"\xff=\xff&name"])
    async def test_a_form_that_no_browser_sends_is_refused(self, visitor, body):
        """Whatever comes, the answer is a page."""
        page = await visitor.submit("/sign-up", body)

        assert page.status == 400
        assert page.alert


class TestSigningIn:
    """The form makes a session for who knows the password."""

    async def test_the_form_leads_to_the_account(self, visitor, new_visitor):
        """Another browser is signed in as the same user."""
        await visitor.sign_up()
        other = new_visitor(visitor.site)

        answer = await other.submit("/sign-in", SIGN_IN)

        assert (answer.status, answer.location) == (303, "/account")
        assert "ada@example.org" in (await other.get("/account")).text

    async def test_wrong_password_and_unknown_address_read_alike(self, visitor, new_visitor):
        """The page tells nobody which addresses are known."""
        await visitor.sign_up()
        stranger = new_visitor(visitor.site)

        wrong = await stranger.submit("/sign-in", {**SIGN_IN, "password": "wrong-password"})
        unknown = await stranger.submit("/sign-in", {**SIGN_IN, "email": "eve@example.org"})

        assert wrong.status == unknown.status == 401
        assert wrong.alert == "The e-mail address or the password is wrong."
        assert wrong.wrong_fields == {"email", "password"}
        assert wrong.html == unknown.html.replace("eve@", "ada@")
        assert stranger.cookies == {}


class TestSigningOut:
    """The button ends the session, here and in the database."""

    async def test_the_session_is_over(self, visitor):
        """The old cookie is worth nothing afterwards."""
        await visitor.sign_up()
        stolen = dict(visitor.cookies)

        answer = await visitor.submit("/sign-out")

        assert (answer.status, answer.location) == (303, "/sign-in?signed-out")
        assert visitor.cookies == {}
        assert "You are signed out." in (await visitor.get("/sign-in?signed-out")).text
        visitor.cookies.update(stolen)
        assert (await visitor.get("/account")).location == "/sign-in"


class TestWhoGetsWhichPage:
    """Pages fit who asks."""

    @pytest.mark.parametrize(
        ("path", "leads_to"),
        [("/", "/account"), ("/account", "/sign-in"), ("/sign-in", None), ("/sign-up", None)],
    )
    async def test_a_stranger_is_led_to_a_form(self, visitor, path, leads_to):
        """The account is nobody's, the forms are theirs."""
        page = await visitor.get(path)

        assert (page.status, page.location) == (303 if leads_to else 200, leads_to)

    @pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/sign-in?signed-out"])
    async def test_who_is_signed_in_is_led_to_the_account(self, visitor, path):
        """A form to sign in would only ask what is known."""
        await visitor.sign_up()

        page = await visitor.get(path)

        assert page.location == "/account"

    async def test_a_due_session_is_renewed_by_looking_at_the_account(self, visitor, clock):
        """Pages do what the endpoint does: its cookies reach the browser."""
        await visitor.sign_up()
        clock.advance(days=2)

        page = await visitor.get("/account")

        assert "26 May 2026" in page.text
        assert "session_token=" in page.headers["set-cookie"]

    async def test_an_unknown_address_is_a_page_too(self, visitor):
        """There is a way back."""
        page = await visitor.get("/nowhere")

        assert page.status == 404
        assert 'href="/"' in page.html

    async def test_endpoints_answer_beside_the_pages(self, visitor):
        """Programs get JSON, and the engine's own 404."""
        await visitor.sign_up()

        session = await visitor.get("/api/auth/get-session")
        unknown = await visitor.get("/api/auth/nowhere")

        assert session.headers["content-type"] == "application/json"
        assert '"email":"ada@example.org"' in session.html
        assert (unknown.status, unknown.html) == (404, "")

    async def test_a_database_that_is_away_is_a_page_too(self, new_site, new_visitor, visitor):
        """No traceback, and nothing of the error."""
        await visitor.sign_up()
        broken = new_visitor(new_site(BrokenAdapter()), dict(visitor.cookies))

        account = await broken.get("/account")
        signing_in = await broken.submit("/sign-in", SIGN_IN)

        assert account.status == signing_in.status == 503
        assert "cannot tell who you are" in account.alert
        assert "The service is busy" in signing_in.alert


class BrokenAdapter(MemoryAdapter):
    """A database that is away."""

    async def find_one(self, *arguments, **options):
        """Fail."""
        raise StorageUnavailable("gone", retryable=True)


class TestAttacks:
    """What other sites and other users may try."""

    @pytest.mark.parametrize("path", ["/sign-in", "/sign-up"])
    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": ELSEWHERE},
            {"origin": "null"},
            {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
        ],
    )
    async def test_login_csrf(self, visitor, new_visitor, path, headers):
        """A form of another site signs nobody in, and nothing of it is shown."""
        await visitor.sign_up()
        victim = new_visitor(visitor.site)

        page = await victim.submit(path, {**ADA, "email": "new@example.org"}, **headers)

        assert page.status == 403
        assert victim.cookies == {}
        assert "http://localhost:8000" in page.alert
        assert "example.org" not in page.html

    async def test_sign_out_csrf(self, visitor):
        """A form of another site signs nobody out."""
        await visitor.sign_up()

        page = await visitor.submit("/sign-out", origin=ELSEWHERE)

        assert page.status == 403
        assert (await visitor.get("/account")).status == 200

    async def test_sign_out_by_a_link(self, visitor):
        """A page that is only looked at changes nothing."""
        await visitor.sign_up()

        page = await visitor.get("/sign-out")

        assert page.status == 404
        assert (await visitor.get("/account")).status == 200

    @pytest.mark.parametrize(
        "text", ["<script>alert(1)</script>", '"><img src=x>', "${email}&amp;"]
    )
    async def test_cross_site_scripting_by_a_name(self, visitor, text):
        """What somebody typed is text wherever it stands."""
        refused = await visitor.sign_up(name=text, password="short")
        await visitor.sign_up(name=text)
        account = await visitor.get("/account")

        assert refused.input("name")["value"] == text
        assert text in account.text or text.startswith(("<", '"'))
        for page in (refused, account):
            assert "<script" not in page.html
            assert "<img src=x" not in page.html

    async def test_a_redirect_to_another_site(self, visitor):
        """A target in the form is refused by the engine, and followed by no page."""
        outside = await visitor.sign_up(callbackURL=f"{ELSEWHERE}/")
        inside = await visitor.sign_up(callbackURL="/somewhere")

        assert outside.status == 403
        assert inside.location == "/account"

    async def test_a_body_without_end(self, visitor):
        """What is too long is refused, with a page."""
        page = await visitor.submit("/sign-in", b"email=" + b"x" * 1_048_577)

        assert page.status == 413
        assert page.alert == "Request body is too large"


PAGES = (
    *("/sign-up", "/sign-in", "/nowhere", "/account", "/static/style.css", "/static/icon.svg"),
    *("/forgot-password", "/reset-password?token=x", "/link-sent", "/outbox"),
)


class TestHeaders:
    """What browsers are told beside the page."""

    @pytest.mark.parametrize("path", PAGES)
    async def test_no_script_runs_and_no_site_frames(self, visitor, path):
        """The policy allows our own style and pictures, and forms to ourselves."""
        page = await visitor.get(path)

        policy = dict(
            it.partition(" ")[::2] for it in page.headers["content-security-policy"].split("; ")
        )
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "img-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"

    async def test_no_page_is_kept(self, visitor):
        """The back button shows no account after signing out."""
        await visitor.sign_up()

        page = await visitor.get("/account")

        assert page.headers["cache-control"] == "no-store"

    async def test_pages_need_neither_script_nor_inline_style(self, visitor):
        """They work where the policy holds and where scripts are off."""
        pages = [await visitor.get(path) for path in PAGES if "static" not in path]
        await visitor.sign_up()
        pages.append(await visitor.get("/account"))

        for page in pages:
            assert re.search(r"<script|<style|\sstyle=|\son\w+=", page.html) is None

    async def test_a_file_is_sent_as_what_it_is(self, visitor):
        """Browsers do not guess."""
        style = await visitor.get("/static/style.css")
        icon = await visitor.get("/static/icon.svg")
        source = await visitor.get("/static/../demo_app.py")

        assert style.headers["content-type"] == "text/css; charset=utf-8"
        assert icon.headers["content-type"] == "image/svg+xml"
        assert source.status == 404
