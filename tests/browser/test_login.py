"""Logging in and out with a real browser, and two people at once."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import picture, session_of
from tests.browser.team_site import TeamSite, running_team_site
from tests.issuer import Issuer, running_issuer
from tests.team import PASSWORD

SLOW = 60_000


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture(scope="module")
def team_site(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[TeamSite]:
    with running_team_site(tmp_path_factory.mktemp("team"), ["ann", "bob"], issuer) as site:
        yield site


@pytest.fixture
def anns(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    yield context
    context.close()


@pytest.fixture
def bobs(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1360, "height": 900}, locale="zh-CN")
    yield context
    context.close()


def log_in(site: TeamSite, context: BrowserContext, name: str, password: str = PASSWORD) -> Page:
    page = context.new_page()
    page.goto(site.page)
    fill_in(page, name, password)
    return page


def fill_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.locator("#name").fill(name)
    page.locator("#password").fill(password)
    page.locator("main button").click()


def ask(page: Page, text: str) -> None:
    page.locator("#prompt textarea").fill(text)
    page.locator("#prompt textarea").press("Enter")


def test_a_person_logs_in_sees_who_they_are_and_logs_out(team_site: TeamSite, anns: BrowserContext) -> None:
    page = log_in(team_site, anns, "ann", "wrong password")
    expect(page.locator("[role=alert]")).to_contain_text("The name or the password is wrong.")
    expect(page.locator("#name")).to_have_value("ann")
    picture(page, "login")
    fill_in(page, "ann")
    expect(page.locator("#person")).to_contain_text("ann", timeout=SLOW)
    (kept,) = anns.cookies()
    assert (kept["name"], kept["httpOnly"], kept["sameSite"], kept["path"]) == ("glovebox", True, "Strict", "/")
    assert page.evaluate("document.cookie") == ""
    picture(page, "logged-in")
    page.locator("#person button").click()
    expect(page.locator("[role=alert]")).to_contain_text("You are logged out.", timeout=SLOW)
    assert anns.cookies() == []
    page.goto(team_site.page)
    expect(page.locator("#password")).to_be_visible()


def test_two_people_at_once_see_nothing_of_each_other(
    team_site: TeamSite, anns: BrowserContext, bobs: BrowserContext
) -> None:
    ann, bob = log_in(team_site, anns, "ann"), log_in(team_site, bobs, "bob")
    for page, name in ((ann, "ann"), (bob, "bob")):
        expect(page.locator("#person")).to_contain_text(name, timeout=SLOW)
        ask(page, f"this is a secret of {name}")
    for page, name, other in ((ann, "ann", "bob"), (bob, "bob", "ann")):
        expect(page.locator("#sessions")).to_contain_text(f"a secret of {name}", timeout=SLOW)
        expect(page.locator("#conversation")).to_contain_text(f"a secret of {name}", timeout=SLOW)
        assert f"a secret of {other}" not in page.content()
    session = session_of(ann)
    bob.goto(f"{team_site.page}/?session={session}")
    expect(bob.locator("#notice")).to_contain_text(f"没有编号为 '{session}' 的会话", timeout=SLOW)
    expect(bob.locator("#person")).to_contain_text("bob", timeout=SLOW)
    assert "a secret of ann" not in bob.content()
    for path in (f"/export/{session}", f"/files/{session}/a.txt"):
        assert bobs.request.get(team_site.page + path).status == 404


def test_who_is_shut_out_logs_in_again_in_place_and_loses_nothing(team_site: TeamSite, bobs: BrowserContext) -> None:
    page = log_in(team_site, bobs, "bob")
    expect(page.locator("#person")).to_contain_text("bob", timeout=SLOW)
    page.locator("#prompt textarea").fill("half a thought of bob")
    team_site.team.end_logins("bob")
    page.wait_for_timeout(1500)
    page.locator("#prompt textarea").press("Enter")
    asked = page.locator("#gb-login-again")
    expect(asked).to_contain_text("登录已失效", timeout=SLOW)
    expect(asked.locator("#gb-again-name")).to_have_value("bob")
    asked.locator("#gb-again-password").fill("a wrong password")
    asked.locator("form button").click()
    expect(asked).to_contain_text("用户名或密码错误", timeout=SLOW)
    picture(page, "login-again")
    asked.locator("#gb-again-password").fill(PASSWORD)
    asked.locator("form button").click()
    expect(asked).to_have_count(0, timeout=SLOW)
    expect(page.locator("#prompt textarea")).to_have_value("half a thought of bob")
    page.locator("#prompt textarea").press("Enter")
    expect(page.locator("#sessions")).to_contain_text("half a thought of bob", timeout=SLOW)


def test_tokens_are_shown_once_and_a_session_is_shared_by_name(
    team_site: TeamSite, anns: BrowserContext, bobs: BrowserContext
) -> None:
    ann = log_in(team_site, anns, "ann")
    expect(ann.locator("#person")).to_contain_text("ann", timeout=SLOW)
    ask(ann, "a map of the harbour")
    expect(ann.locator("#sessions")).to_contain_text("a map of the harbour", timeout=SLOW)
    ann.locator("#open-settings").click()
    ann.locator("#gb-tab-tokens").click()
    ann.locator("#gb-token-name").fill("nightly")
    ann.get_by_role("button", name="Make a token").click()
    token = ann.get_by_label("The new token").input_value(timeout=SLOW)
    assert team_site.team.send("GET", "/v1/me", token)["name"] == "ann"
    ann.get_by_role("button", name="Revoke nightly").click()
    ann.locator(".gb-asks .gb-dangerous").click()
    expect(ann.locator("#gb-settings-page")).not_to_contain_text("nightly", timeout=SLOW)
    expect(ann.get_by_label("The new token")).to_have_count(0)
    ann.keyboard.press("Escape")
    ann.locator("#bar button").first.click()
    ann.get_by_role("button", name="Share").click()
    ann.locator("#gb-share-name").fill("nobody like that")
    ann.locator("#gb-share form button").click()
    expect(ann.locator("#gb-share [role=alert]")).to_be_visible(timeout=SLOW)
    ann.locator("#gb-share-name").fill("bob")
    ann.locator("#gb-share form button").click()
    expect(ann.locator("#gb-share li")).to_contain_text("bob", timeout=SLOW)
    bob = log_in(team_site, bobs, "bob")
    expect(bob.locator("#sessions")).to_contain_text("a map of the harbour", timeout=SLOW)
    ann.locator("#gb-share li button").click()
    expect(ann.locator("#gb-share li")).to_have_text("Nobody but you.", timeout=SLOW)


def test_an_admin_adds_people_and_shuts_them_out_and_a_member_does_not_get_there(
    team_site: TeamSite, anns: BrowserContext, bobs: BrowserContext
) -> None:
    bob = log_in(team_site, bobs, "bob")
    expect(bob.locator("#person")).to_contain_text("bob", timeout=SLOW)
    bob.goto(f"{team_site.page}/admin")
    expect(bob.locator("#prompt textarea")).to_be_visible(timeout=SLOW)
    page = log_in(team_site, anns, "admin")
    expect(page.locator("#person")).to_contain_text("admin", timeout=SLOW)
    page.goto(f"{team_site.page}/admin")
    page.locator("#gb-user").fill("ida")
    page.locator("#gb-user-password").fill(PASSWORD)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("main")).to_contain_text("ida is added.", timeout=SLOW)
    login = team_site.team.log_in("ida")
    page.get_by_label("Role of ida").select_option("admin")
    expect(page.locator("main")).to_contain_text("ida has another role now.", timeout=SLOW)
    page.get_by_role("button", name="Shut out ida").click()
    expect(page.locator("main")).to_contain_text("ida is shut out.", timeout=SLOW)
    accounts = {each["name"]: each for each in team_site.team.accounts()}
    assert (accounts["ida"]["role"], accounts["ida"]["disabled"], bool(login)) == ("admin", True, True)
    picture(page, "admin-accounts")


def test_a_person_signs_on_at_a_provider_and_is_here_at_once(
    team_site: TeamSite, anns: BrowserContext, issuer: Issuer
) -> None:
    issuer.claims = {"sub": "1", "email": "zoe@example.com", "email_verified": True}
    page = anns.new_page()
    page.goto(f"{team_site.page}/login")
    page.locator("a", has_text="single sign-on").click()
    expect(page.locator("#person")).to_contain_text("zoe@example.com", timeout=SLOW)
    assert page.url == f"{team_site.page}/"
    assert {(kept["name"], kept["sameSite"]) for kept in anns.cookies()} == {("glovebox", "Strict")}


def test_what_a_colleague_shares_can_be_read_and_not_changed(
    team_site: TeamSite, anns: BrowserContext, bobs: BrowserContext
) -> None:
    ann = log_in(team_site, anns, "ann")
    expect(ann.locator("#person")).to_contain_text("ann", timeout=SLOW)
    ask(ann, "something to share")
    expect(ann.locator("#sessions")).to_contain_text("something to share", timeout=SLOW)
    session = session_of(ann)
    team_site.team.send("PUT", f"/v1/sessions/{session}/shares/bob", team_site.team.token("ann"))
    bob = log_in(team_site, bobs, "bob")
    row = bob.locator("#sessions li", has_text="something to share")
    expect(row).to_contain_text("来自 ann", timeout=SLOW)
    expect(row.locator("button")).to_have_count(0)
    row.locator("a").click()
    expect(bob.locator("#conversation")).to_contain_text("something to share", timeout=SLOW)
    # Where nothing can be said, there is no box to say it in; that the API refuses it is tested there.
    expect(bob.locator("#prompt textarea")).to_be_hidden(timeout=SLOW)
    expect(bob.locator("#upload")).to_be_hidden(timeout=SLOW)
    picture(bob, "shared")
