"""The main job in a real browser: sign up, see the account, sign out, come back."""

import signal
from collections.abc import Mapping
from typing import Final

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

ADA: Final = {
    "Name": "Ada Lovelace",
    "E-mail address": "ada@example.org",
    "Password": "difference-engine",
}
RETURNING: Final = {name: ADA[name] for name in ("E-mail address", "Password")}
WRONG: Final = "The e-mail address or the password is wrong."


def fill_in(page: Page, fields: Mapping[str, str], button: str) -> None:
    """Fill in a form by its labels and send it."""
    for label, text in fields.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name=button).click()


def expect_account(page: Page) -> None:
    """Wait for the account page, and see Ada on it."""
    expect(page).to_have_title("Your account · Watchword")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")
    expect(page.get_by_role("main")).to_contain_text("ada@example.org")
    page.wait_for_load_state()  # pictures too: a test may stop the server next


@pytest.fixture
def server(start_server):
    """A demo that nobody has used."""
    return start_server()


@pytest.fixture(params=[True, False], ids=["with-scripts", "without-scripts"])
def page(request, server, open_window) -> Page:
    """A window on the sign-up page; pages do the same where scripts are switched off."""
    window = open_window(base_url=server.url, java_script_enabled=request.param)
    page = window.new_page()
    page.goto("/sign-up")
    return page


@pytest.fixture
def signed_up(page) -> Page:
    """A window in which Ada has just signed up."""
    fill_in(page, ADA, "Create account")
    expect_account(page)
    return page


def test_signing_up_shows_who_is_signed_in(page):
    """Three fields lead to the account page."""
    expect(page).to_have_title("Create your account · Watchword")

    fill_in(page, ADA, "Create account")

    expect_account(page)


def test_signing_out_and_in_again(signed_up):
    """Signing out is told; the password leads back to the same account."""
    signed_up.get_by_role("button", name="Sign out").click()
    expect(signed_up.get_by_role("status")).to_have_text("You are signed out.")
    signed_up.goto("/account")
    expect(signed_up).to_have_title("Sign in · Watchword")

    fill_in(signed_up, RETURNING, "Sign in")

    expect_account(signed_up)


def test_the_back_button_shows_no_account_after_signing_out(signed_up):
    """Whoever uses the computer next sees a form."""
    signed_up.get_by_role("button", name="Sign out").click()
    expect(signed_up.get_by_role("status")).to_be_visible()

    signed_up.go_back()

    expect(signed_up).to_have_title("Sign in · Watchword")


def test_a_wrong_password_is_announced(signed_up):
    """The focus is on the sentence, which is an alert and describes both fields.

    The title begins with it too, and what was typed is there but for the password.
    """
    signed_up.get_by_role("button", name="Sign out").click()

    fill_in(signed_up, {**RETURNING, "Password": "wrong-password"}, "Sign in")

    alert = signed_up.get_by_role("alert")
    expect(alert).to_have_text(WRONG)
    expect(alert).to_be_focused()
    expect(signed_up).to_have_title("Error: Sign in · Watchword")
    for label, text in {"E-mail address": "ada@example.org", "Password": ""}.items():
        field = signed_up.get_by_label(label)
        expect(field).to_have_value(text)
        expect(field).to_have_accessible_description(WRONG)
        expect(field).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "stopped"])
def test_a_restart_keeps_ada_signed_in(signed_up, server, start_server, open_window, how):
    """The cookie is good at the next start, and a new window finds the same user."""
    server.end(how)
    start_server("--port", server.port)

    signed_up.reload()
    other = open_window(base_url=server.url).new_page()
    other.goto("/sign-in")
    fill_in(other, RETURNING, "Sign in")

    expect_account(signed_up)
    expect_account(other)


def test_the_keyboard_is_enough(page):
    """Tab goes through the fields in the order in which they are read, Enter sends."""
    keyboard = page.keyboard
    keyboard.press("Tab")
    expect(page.get_by_role("link", name="Watchword")).to_be_focused()
    for label, text in ADA.items():
        keyboard.press("Tab")
        expect(page.get_by_label(label)).to_be_focused()
        keyboard.type(text)
    keyboard.press("Tab")
    expect(page.get_by_role("button", name="Create account")).to_be_focused()

    keyboard.press("Enter")

    expect_account(page)
    keyboard.press("Tab")
    for role, name in (
        ("link", "the outbox"),
        ("button", "Send another link"),
        ("button", "Sign out"),
    ):
        keyboard.press("Tab")
        expect(page.get_by_role(role, name=name)).to_be_focused()
    keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("You are signed out.")


def test_who_does_not_see_hears_the_same(page):
    """Names, roles and descriptions, as a screen reader gets them."""
    expect(page.get_by_role("main")).to_match_aria_snapshot(
        """
        - main:
          - heading "Create your account" [level=1]
          - paragraph
          - text: Name
          - textbox "Name"
          - text: E-mail address
          - textbox "E-mail address"
          - text: Password at least 8 characters
          - textbox "Password"
          - button "Create account"
          - paragraph:
            - text: You have an account?
            - link "Sign in"
        """
    )
    expect(page.get_by_label("Password")).to_have_accessible_description("at least 8 characters")


def test_the_focus_is_seen(page):
    """Three pixels around whatever the keyboard has reached."""
    for role, name in (("link", "Watchword"), ("textbox", "Name")):
        page.keyboard.press("Tab")

        expect(page.get_by_role(role, name=name)).to_have_css("outline-width", "3px")
        expect(page.get_by_role(role, name=name)).to_have_css("outline-style", "solid")


def test_a_password_manager_knows_the_fields(page):
    """It offers a new password where one is made, and the known one where it is asked."""
    expect(page.get_by_label("Name")).to_have_attribute("autocomplete", "name")
    expect(page.get_by_label("E-mail address")).to_have_attribute("autocomplete", "email")
    expect(page.get_by_label("Password")).to_have_attribute("autocomplete", "new-password")

    page.goto("/sign-in")

    expect(page.get_by_label("E-mail address")).to_have_attribute("autocomplete", "email")
    expect(page.get_by_label("Password")).to_have_attribute("autocomplete", "current-password")


def test_what_somebody_typed_is_text(page):
    """A name of markup is shown as it was typed; no script of it runs, no picture loads."""
    name = '<img src=x onerror="document.title=1"><script>document.title=2</script>'

    fill_in(page, {**ADA, "Name": name}, "Create account")

    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page).to_have_title("Your account · Watchword")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_both_names_of_this_machine_work(server, open_window, name):
    """A real browser's Origin is taken, whichever address was opened."""
    page = open_window().new_page()
    page.goto(f"http://{name}:{server.port}/sign-up")

    fill_in(page, ADA, "Create account")

    expect_account(page)


def test_a_page_of_another_site_signs_nobody_in(signed_up, server, open_window):
    """Login CSRF: a form that sends itself ends at a refusal, and the victim is nobody."""
    page = open_window(base_url=server.url).new_page()
    form = "".join(
        f'<input name="{name}" value="{value}">'
        for name, value in (("email", "ada@example.org"), ("password", "difference-engine"))
    )
    page.route(
        "http://attacker.example/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method="post" action="{server.url}/sign-in">{form}<button>Win</button>',
        ),
    )
    page.goto("http://attacker.example/")

    page.get_by_role("button", name="Win").click()

    expect(page).to_have_title("Sent from another address · Watchword")
    page.goto("/account")
    expect(page).to_have_title("Sign in · Watchword")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_shows_everything(server, open_window, scheme):
    """320 pixels, as WCAG 1.4.10 asks: nothing stands out at the side."""
    size = {"width": 320, "height": 640}
    page = open_window(base_url=server.url, viewport=size, color_scheme=scheme).new_page()
    page.goto("/sign-up")
    long = {**ADA, "Name": "Wolfeschlegelsteinhausenbergerdorff" * 3}
    width = "document.documentElement.scrollWidth"

    widths = [page.evaluate(width)]
    fill_in(page, long, "Create account")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.wait_for_load_state()  # the style sheet is there, too
    widths.append(page.evaluate(width))

    assert widths == [320, 320]
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {
            "light": "rgb(243, 245, 250)",
            "dark": "rgb(14, 17, 24)",
        }[scheme]
    )
