"""Single sign-on on the real stack: by a provider over real HTTP, and by a reverse proxy that names people."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.issuer import CLIENT, CLIENT_SECRET, Issuer, running_issuer
from tests.stack import Stack, stopping_stack
from tests.team import PASSWORD, Team

pytestmark = pytest.mark.any_runtime
PROXY_SECRET = "a-secret-that-only-the-proxy-knows"
REDIRECT = "http://127.0.0.1:7860/login/callback"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Stack]:
    oidc = {"issuer": issuer.url, "client_id": CLIENT, "client_secret_env": "OIDC_SECRET", "redirect_uri": REDIRECT}
    allowed = {"new_people": True, "allowed_domains": ["example.com"], "admin_group": "bosses"}
    proxy = {"secret_env": "PROXY_SECRET"}
    environ = {"OIDC_SECRET": CLIENT_SECRET, "PROXY_SECRET": PROXY_SECRET, "GLOVEBOX_ADMIN_PASSWORD": PASSWORD}
    people = {"mode": "team", "oidc": oidc | allowed, "proxy": proxy}
    with stopping_stack(Stack(tmp_path_factory.mktemp("stack"), {"people": people}, environ)) as running:
        yield running


@pytest.fixture(scope="module")
def team(stack: Stack) -> Iterator[Team]:
    with stack.client() as client:
        yield Team(client, ["ann"])


@pytest.fixture
def asking(stack: Stack) -> Iterator[httpx2.Client]:
    with stack.client() as made:
        yield made


def sign_in(asking: httpx2.Client, issuer: Issuer, **claims: Any) -> httpx2.Response:
    """Go to the provider and come back, as the page has a browser do it."""
    issuer.claims = {"email_verified": True} | claims
    begun = asking.post("/v1/login/sso").json()
    assert begun["redirect_uri"] == REDIRECT
    sent = httpx2.get(begun["url"], trust_env=False).headers["location"]
    told = {name: values[0] for name, values in parse_qs(urlsplit(sent).query).items()}
    return asking.post("/v1/login/sso/finish", json={"flow": begun["flow"], **told})


def named(name: str, secret: str = PROXY_SECRET) -> list[tuple[str, str]]:
    return [("X-Forwarded-User", name), ("X-Glovebox-Proxy-Secret", secret)]


def test_whom_the_provider_vouches_for_has_an_account_and_stays_the_same(
    asking: httpx2.Client, issuer: Issuer, team: Team
) -> None:
    first = sign_in(asking, issuer, sub="7", email="zoe@example.com", groups=["bosses"]).json()
    assert (first["person"]["name"], first["person"]["role"]) == ("zoe@example.com", "admin")
    me = asking.get("/v1/me", headers={"Authorization": f"Bearer {first['token']}"}).json()
    assert me == {**first["person"], "mode": "team", "can_log_out": True}
    renamed = sign_in(asking, issuer, sub="7", email="zoe.new@example.com").json()
    assert (renamed["person"]["id"], renamed["person"]["role"]) == (first["person"]["id"], "member")
    heir = sign_in(asking, issuer, sub="8", email="zoe@example.com")
    assert (heir.status_code, heir.json()["code"]) == (403, "name_taken")
    team.send("PATCH", "/v1/users/zoe@example.com", team.token("admin"), {"disabled": True})
    assert sign_in(asking, issuer, sub="7", email="zoe@example.com").json()["code"] == "disabled"


def test_the_provider_lets_in_nobody_who_is_not_allowed_and_speaks_for_no_password(
    stack: Stack, asking: httpx2.Client, issuer: Issuer, team: Team
) -> None:
    assert sign_in(asking, issuer, sub="9", email="eve@evil.example").json()["code"] == "not_allowed"
    assert sign_in(asking, issuer, sub="9", email="eve@example.com", email_verified=False).json()["code"] == "no_name"
    team.add("kim@example.com")
    assert sign_in(asking, issuer, sub="10", email="kim@example.com").json()["code"] == "has_password"
    assert stack.command("orchestrator.people", "sso", "kim@example.com").returncode == 0
    assert sign_in(asking, issuer, sub="10", email="kim@example.com").json()["person"]["name"] == "kim@example.com"
    assert asking.post("/v1/login", json={"name": "kim@example.com", "password": PASSWORD}).status_code == 401


def test_the_proxy_names_people_and_nobody_else_does(stack: Stack, asking: httpx2.Client, team: Team) -> None:
    assert stack.command("orchestrator.people", "add", "pam", "--sso").returncode == 0
    me = asking.get("/v1/me", headers=named("Pam")).json()
    assert (me["name"], me["role"], me["can_log_out"]) == ("pam", "member", False)
    refusals = {
        "untrusted_proxy": [
            named("pam", ""),
            named("pam", PROXY_SECRET + "x"),
            [("X-Forwarded-User", "pam")],
            [*named("pam"), ("X-Glovebox-Proxy-Secret", "x")],
            [*named("pam", "x"), ("X-Glovebox-Proxy-Secret", PROXY_SECRET)],
            [("X-Forwarded-User", "pam"), ("Authorization", f"Bearer {PROXY_SECRET}")],
        ],
        "nobody_named": [named(""), [*named("pam"), ("X-Forwarded-User", "admin")], named("pam")[1:]],
        "no_account": [named("stranger")],
        "has_password": [named("admin"), named("ann")],
        "bad_name": [named("a b"), named("../pam")],
    }
    for code, presented in refusals.items():
        for headers in presented:
            assert (asking.get("/v1/sessions", headers=headers).json()["code"], headers) == (code, headers)
    # A token of one's own counts behind the proxy as well, and a token of the proxy's own kind does no harm.
    token = [("Authorization", f"Bearer {team.token('ann')}")]
    assert asking.get("/v1/me", headers=token + named("pam")).json()["name"] == "ann"
    assert asking.get("/v1/me", headers=[("Authorization", "Bearer ey.J.x"), *named("pam")]).json()["name"] == "pam"


def test_whom_the_proxy_names_is_out_once_disabled(stack: Stack, asking: httpx2.Client) -> None:
    assert stack.command("orchestrator.people", "add", "quinn", "--sso").returncode == 0
    assert asking.get("/v1/me", headers=named("quinn")).status_code == 200
    assert stack.command("orchestrator.people", "disable", "quinn").returncode == 0
    refused = asking.get("/v1/me", headers=named("quinn"))
    assert (refused.status_code, refused.json()["code"]) == (403, "disabled")
