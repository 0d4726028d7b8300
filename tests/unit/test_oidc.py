"""Single sign-on against a provider over real HTTP: what is let in, and each thing that a forged answer gets wrong."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import OctKey, RSAKey

from orchestrator.config_people import OpenIdConnect
from orchestrator.errors import Forbidden, Unauthorized
from orchestrator.people.elsewhere import Vouched
from orchestrator.people.oidc import ProviderFailed, SingleSignOn, vouched
from tests.issuer import CLIENT, CLIENT_SECRET, Issuer, running_issuer

REDIRECT = "https://glovebox.example.com/login/callback"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


def config(issuer_url: str = "https://id.example.com", **fields: Any) -> OpenIdConnect:
    return OpenIdConnect(issuer=issuer_url, client_id=CLIENT, redirect_uri=REDIRECT, **fields)


@pytest.fixture
def sso(issuer: Issuer) -> SingleSignOn:
    return SingleSignOn(config(issuer.url), CLIENT_SECRET)


async def come_back(sso: SingleSignOn) -> tuple[str, dict[str, str]]:
    """Sign in at the provider; return the flow and what the browser comes back with."""
    begun = await sso.begin()
    async with httpx2.AsyncClient(trust_env=False) as browser:
        sent = await browser.get(begun.url)
    assert sent.headers["location"].startswith(f"{REDIRECT}?")
    query = parse_qs(urlsplit(sent.headers["location"]).query)
    return begun.flow, {name: values[0] for name, values in query.items()}


async def signed_in(sso: SingleSignOn) -> Vouched:
    flow, told = await come_back(sso)
    return await sso.finish(flow, told["state"], told["code"], told.get("iss"))


async def test_the_provider_vouches_for_a_person(sso: SingleSignOn, issuer: Issuer) -> None:
    assert await signed_in(sso) == Vouched("ann@example.com", f"{issuer.url} 1")
    issuer.tells_issuer = False
    assert await signed_in(sso) == Vouched("ann@example.com", f"{issuer.url} 1")


async def test_a_public_client_needs_no_secret(issuer: Issuer) -> None:
    issuer.public = True
    assert (await signed_in(SingleSignOn(config(issuer.url), None))).name == "ann@example.com"


async def test_what_was_begun_elsewhere_is_not_finished_here(sso: SingleSignOn, issuer: Issuer) -> None:
    flow, told = await come_back(sso)
    other_flow, other = await come_back(sso)
    for wrong in ((flow, other["state"]), (other_flow, told["state"]), ("", told["state"]), (flow, "")):
        with pytest.raises(Unauthorized) as refused:
            await sso.finish(*wrong, told["code"], None)
        assert refused.value.code == "login_unknown"
    with pytest.raises(Unauthorized):
        await sso.finish(flow, told["state"], told["code"], "https://evil.example")
    with pytest.raises(Unauthorized):  # another process' seal, and a code of another login: its verifier is not this
        await SingleSignOn(config(issuer.url), CLIENT_SECRET).finish(flow, told["state"], told["code"], None)
    with pytest.raises(Unauthorized) as refused:
        await sso.finish(flow, told["state"], other["code"], None)
    assert refused.value.code == "login_refused"


async def test_a_code_counts_once(sso: SingleSignOn) -> None:
    flow, told = await come_back(sso)
    await sso.finish(flow, told["state"], told["code"], None)
    with pytest.raises(Unauthorized):
        await sso.finish(flow, told["state"], told["code"], None)


async def test_who_takes_too_long_begins_again(sso: SingleSignOn, monkeypatch: pytest.MonkeyPatch) -> None:
    flow, told = await come_back(sso)
    later = time.time() + 601
    monkeypatch.setattr("cryptography.fernet.time.time", lambda: later)
    with pytest.raises(Unauthorized) as refused:
        await sso.finish(flow, told["state"], told["code"], None)
    assert refused.value.code == "login_unknown"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["another", CLIENT]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"sub": None},
        {"at_hash": "AAAA"},
    ],
)
async def test_claims_that_are_not_for_this_login_do_not_count(
    sso: SingleSignOn, issuer: Issuer, claims: dict[str, Any]
) -> None:
    issuer.claims |= claims
    with pytest.raises(Unauthorized) as refused:
        await signed_in(sso)
    assert refused.value.code == "bad_id_token"


async def test_a_token_that_another_key_signed_does_not_count(sso: SingleSignOn, issuer: Issuer) -> None:
    issuer.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    with pytest.raises(Unauthorized):
        await signed_in(sso)
    issuer.signs_with, issuer.algorithm = OctKey.generate_key(256), "HS256"
    with pytest.raises(Unauthorized):
        await signed_in(sso)
    issuer.signs_with, issuer.algorithm = None, "none"
    with pytest.raises(Unauthorized):
        await signed_in(sso)


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_a_provider_that_is_not_what_it_should_be_is_not_asked(
    sso: SingleSignOn, issuer: Issuer, document: dict[str, Any]
) -> None:
    issuer.document = document
    with pytest.raises(ProviderFailed):
        await sso.begin()


async def test_a_provider_that_is_away_is_told_as_that() -> None:
    with pytest.raises(ProviderFailed):
        await SingleSignOn(config("http://127.0.0.1:9"), None).begin()


ANN = {"sub": "1", "email": "ann@example.com", "email_verified": True, "groups": ["staff"], "nick": "ann"}


@pytest.mark.parametrize(
    ("fields", "claims", "role"),
    [
        ({}, ANN, None),
        ({"allowed_domains": ("Example.com",)}, ANN, None),
        ({"allowed_groups": ("staff", "x")}, ANN, None),
        ({"admin_group": "staff"}, ANN, "admin"),
        ({"admin_group": "bosses"}, ANN, "member"),
        ({"admin_group": "staff"}, ANN | {"groups": "staff"}, "member"),
    ],
)
def test_who_may_come_in_does_so_in_their_role(fields: Any, claims: Any, role: str | None) -> None:
    assert vouched(config(**fields), claims) == Vouched("ann@example.com", "https://id.example.com 1", role)


@pytest.mark.parametrize(
    ("fields", "claims", "code"),
    [
        ({}, {"sub": "1"}, "no_name"),
        ({}, ANN | {"email_verified": False}, "no_name"),
        ({}, ANN | {"email_verified": "true"}, "no_name"),
        ({}, {"sub": "1", "email": "ann@example.com"}, "no_name"),
        ({"name_claim": "nick"}, ANN | {"nick": ["ann"]}, "no_name"),
        ({"name_claim": "nick", "allowed_domains": ("example.com",)}, ANN | {"email_verified": None}, "not_allowed"),
        ({"allowed_domains": ("ple.com",)}, ANN, "not_allowed"),
        ({"allowed_domains": ("example.com",)}, ANN | {"email": "ann@evil.example"}, "not_allowed"),
        ({"allowed_domains": ("example.com",)}, ANN | {"email": "ann@example.com@evil.example"}, "not_allowed"),
        ({"allowed_groups": ("bosses",)}, ANN, "not_allowed"),
        ({"allowed_groups": ("staff",)}, ANN | {"groups": None}, "not_allowed"),
        ({"allowed_groups": ("s",)}, ANN | {"groups": "staff"}, "not_allowed"),
    ],
)
def test_who_is_not_known_to_be_allowed_is_not(fields: Any, claims: Any, code: str) -> None:
    with pytest.raises(Forbidden) as refused:
        vouched(config(**fields), claims)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "fields",
    [
        {"issuer": "http://id.example.com"},
        {"issuer": "id.example.com"},
        {"redirect_uri": "http://glovebox.example.com/login/callback"},
        {"redirect_uri": "https://glovebox.example.com/"},
        {"scopes": ["email"]},
        {"new_people": True},
    ],
)
def test_a_config_that_would_let_in_too_many_ends_the_start(fields: Any) -> None:
    whole = {"issuer": "https://id.example.com", "client_id": CLIENT, "redirect_uri": REDIRECT}
    OpenIdConnect.model_validate(whole)
    with pytest.raises(ValueError):
        OpenIdConnect.model_validate(whole | fields)
