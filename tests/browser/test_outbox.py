"""Mail in a real browser: from the outbox to a verified address, and to a new password."""

import re
from typing import Final

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

ADA: Final = {
    "Name": "Ada Lovelace",
    "E-mail address": "ada@example.org",
    "Password": "difference-engine",
}
NEW_PASSWORD: Final = "analytical-engine"


def fill_in(page: Page, fields: dict[str, str], button: str) -> None:
    """Fill in a form by its labels and send it."""
    for label, text in fields.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name=button).click()


@pytest.fixture(params=[True, False], ids=["with-scripts", "without-scripts"])
def page(request, start_server, open_window) -> Page:
    """A window in which Ada has just signed up; pages do the same without scripts."""
    window = open_window(base_url=start_server().url, java_script_enabled=request.param)
    page = window.new_page()
    page.goto("/sign-up")
    fill_in(page, ADA, "Create account")
    return page


def test_the_link_in_the_outbox_verifies_the_address(page):
    """Two clicks lead from the account back to it, and it says verified."""
    main = page.get_by_role("main")
    expect(main).to_contain_text(re.compile(r"Address verified\s*Not yet"))

    page.get_by_role("link", name="the outbox").click()
    expect(page).to_have_title("Outbox · Watchword")
    page.get_by_role("link", name="Open its link").click()

    expect(page).to_have_title("Your account · Watchword")
    expect(page.get_by_role("status")).to_have_text("Your e-mail address is verified.")
    expect(main).to_contain_text(re.compile(r"Address verified\s*Yes"))


def test_a_forgotten_password_is_replaced(page):
    """From the sign-in page over the outbox to a new password, and in with it."""
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Forgot your password?").click()
    fill_in(page, {"E-mail address": ADA["E-mail address"]}, "Send a link")
    expect(page).to_have_title("Look at your mail · Watchword")
    page.get_by_role("link", name="the outbox").click()
    page.get_by_role("link", name="Open its link").first.click()
    fill_in(page, {"New password": NEW_PASSWORD}, "Change password")
    expect(page.get_by_role("status")).to_contain_text("Your password is changed")

    known = {"E-mail address": ADA["E-mail address"]}
    fill_in(page, {**known, "Password": NEW_PASSWORD}, "Sign in")

    expect(page).to_have_title("Your account · Watchword")


def test_who_does_not_see_hears_the_same(page):
    """Names, roles and descriptions, as a screen reader gets them; and the keyboard is enough."""
    page.get_by_role("link", name="the outbox").click()

    expect(page.get_by_role("main")).to_match_aria_snapshot(
        """
        - main:
          - heading "Outbox" [level=1]
          - paragraph
          - list:
            - listitem:
              - heading "Verify your e-mail address for the Watchword demo" [level=2]
              - paragraph:
                - text: to ada@example.org,
                - time
              - paragraph:
                - link "Open its link"
              - group: What it says
          - paragraph:
            - link "Back to the start"
        """
    )
    link = page.get_by_role("link", name="Open its link")
    expect(link).to_have_accessible_description(
        re.compile("Verify your e-mail address for the Watchword demo to ada@example.org, .* UTC")
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_shows_everything(start_server, open_window, scheme):
    """320 pixels, as WCAG 1.4.10 asks: no link, however long, stands out at the side."""
    size = {"width": 320, "height": 640}
    window = open_window(base_url=start_server().url, viewport=size, color_scheme=scheme)
    page = window.new_page()
    page.goto("/sign-up")
    fill_in(page, {**ADA, "E-mail address": f"{'ada' * 20}@example.org"}, "Create account")
    width = "document.documentElement.scrollWidth"

    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.wait_for_load_state()  # the style sheet is there, too
    widths = [page.evaluate(width)]
    page.get_by_role("link", name="the outbox").click()
    page.get_by_text("What it says").click()
    expect(page.get_by_text("Open this link to confirm")).to_be_visible()
    page.wait_for_load_state()
    widths.append(page.evaluate(width))

    assert widths == [320, 320]
