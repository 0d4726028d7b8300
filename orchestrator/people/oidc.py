"""Single sign-on by OpenID Connect: the authorization code flow with PKCE, state and nonce, through Authlib.

What has to be remembered while somebody is at the provider travels with their browser, sealed with a key of this
process: so a login can be finished only by the browser that began it, and nobody can fill a memory of ours.
"""

import asyncio
import json
import secrets
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from cryptography.fernet import Fernet, InvalidToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from orchestrator.config_people import OpenIdConnect, is_safe
from orchestrator.errors import Forbidden, GloveboxError, Unauthorized
from orchestrator.people.elsewhere import Vouched

_FLOW_S = 600
_DISCOVERED_S = 3600.0
_TIMEOUT_S = 10.0
_LEEWAY_S = 60
_MOST_BYTES = 1024 * 1024
_SIGNED_WITH = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_WELL_KNOWN = "/.well-known/openid-configuration"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderFailed(GloveboxError):
    """The provider of single sign-on does not answer, or not as it should."""

    status = 502
    code = "provider_failed"
    title = "The single sign-on failed"


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send a browser to sign in, and what it must bring back."""

    url: str
    flow: str


class SingleSignOn:
    """One provider."""

    def __init__(self, config: OpenIdConnect, client_secret: str | None) -> None:
        self._config = config
        self._client_secret = client_secret
        self._seal = Fernet(Fernet.generate_key())
        self._discovered: tuple[float, dict[str, Any]] | None = None

    async def begin(self) -> Begun:
        """Return where somebody signs in.

        Raises:
            ProviderFailed: the provider does not answer as it should.

        """
        provider = await self._provider()
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                provider["authorization_endpoint"],
                state=kept["state"],
                nonce=kept["nonce"],
                code_verifier=kept["verifier"],
            )
        return Begun(url, self._seal.encrypt(json.dumps(kept).encode()).decode())

    async def finish(self, flow: str, state: str, code: str, issuer: str | None) -> Vouched:
        """Return whom the provider vouches for.

        Raises:
            Unauthorized: this browser began no such login, or too long ago, or the provider refuses it.
            Forbidden: whoever it is may not come in here.
            ProviderFailed: the provider does not answer as it should.

        """
        kept = self._kept(flow)
        if not compare_digest(kept["state"].encode(), state.encode()):
            raise _begin_again()
        if issuer is not None and issuer != self._config.issuer:  # RFC 9207
            raise _begin_again()
        provider = await self._provider()
        answered = await self._token(provider, code, kept["verifier"])
        claims = await self._claims(provider, answered, kept["nonce"])
        return vouched(self._config, claims)

    def _kept(self, flow: str) -> dict[str, str]:
        try:
            kept: dict[str, str] = json.loads(self._seal.decrypt(flow.encode(), ttl=_FLOW_S))
        except (InvalidToken, ValueError) as error:
            raise _begin_again() from error
        return kept

    def _client(self) -> AsyncOAuth2Client:
        config = self._config
        return AsyncOAuth2Client(
            config.client_id,
            self._client_secret,
            scope=" ".join(config.scopes),
            redirect_uri=config.redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._client_secret else "none",
            timeout=_TIMEOUT_S,
            follow_redirects=False,
            trust_env=True,  # a site's own proxy and certificates
        )

    async def _token(self, provider: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
        try:
            async with self._client() as client:
                found: dict[str, Any] = await client.fetch_token(
                    provider["token_endpoint"], code=code, code_verifier=verifier, grant_type="authorization_code"
                )
        except OAuthError as error:
            raise Unauthorized("The provider does not accept this login. Begin again.", code="login_refused") from error
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderFailed("The provider of single sign-on cannot be asked. Try again in a moment.") from error
        return found

    async def _claims(self, provider: dict[str, Any], answered: dict[str, Any], nonce: str) -> dict[str, Any]:
        """Return what the ID token says, after all has been checked that OpenID Connect Core 3.1.3.7 asks for."""
        config = self._config
        try:
            found: Any = await self._get(provider["jwks_uri"])
            keys = KeySet.import_key_set(found)
            token = jwt.decode(str(answered.get("id_token", "")), keys, algorithms=_SIGNED_WITH)
            must_be = {
                "iss": {"essential": True, "value": config.issuer},
                "aud": {"essential": True, "value": config.client_id},
            }
            params = {"nonce": nonce, "client_id": config.client_id, "access_token": answered.get("access_token")}
            claims = CodeIDToken(token.claims, token.header, must_be, params)
            claims.validate(leeway=_LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Unauthorized(
                "What the provider vouches with does not count. Begin again.", code="bad_id_token"
            ) from error
        return dict(claims)

    async def _provider(self) -> dict[str, Any]:
        now = asyncio.get_running_loop().time()
        if self._discovered is None or now - self._discovered[0] > _DISCOVERED_S:
            document = await self._get(self._config.issuer.rstrip("/") + _WELL_KNOWN)
            if document.get("issuer") != self._config.issuer:
                raise ProviderFailed(f"The provider says that it is another than {self._config.issuer!r}.")
            if not all(is_safe(str(document.get(name, ""))) for name in _ENDPOINTS):
                raise ProviderFailed("The provider names addresses that are not safe, or not all of them.")
            self._discovered = now, document
        return self._discovered[1]

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            async with (
                httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client,
                client.stream("GET", url, headers={"Accept": "application/json"}) as answer,
            ):
                answer.raise_for_status()
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _MOST_BYTES:
                        raise ProviderFailed("The provider's answer is too large.")
            document = json.loads(bytes(content))
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderFailed("The provider of single sign-on cannot be asked. Try again in a moment.") from error
        if not isinstance(document, dict):
            raise ProviderFailed("The provider's answer makes no sense.")
        return document


def vouched(config: OpenIdConnect, claims: dict[str, Any]) -> Vouched:
    """Return whom checked claims vouch for. Pure.

    Raises:
        Forbidden: their domain or groups are not among those that may come in, or they have no name to go by.

    """
    email = claims.get("email") if claims.get("email_verified") is True else None
    name = email if config.name_claim == "email" else claims.get(config.name_claim)
    if not isinstance(name, str) or not name:
        detail = f"The provider tells no {config.name_claim!r} of you, or has not verified it. Ask an admin."
        raise Forbidden(detail, code="no_name", title="The provider does not say who you are")
    told = claims.get(config.groups_claim)
    groups = {group for group in told if isinstance(group, str)} if isinstance(told, list) else set()
    if config.allowed_domains:
        domain = email.rpartition("@")[2].casefold() if isinstance(email, str) else ""
        if domain not in {allowed.casefold() for allowed in config.allowed_domains}:
            raise _not_allowed()
    if config.allowed_groups and not groups & set(config.allowed_groups):
        raise _not_allowed()
    subject = f"{config.issuer} {claims['sub']}"
    if config.admin_group is None:
        return Vouched(name, subject)
    return Vouched(name, subject, "admin" if config.admin_group in groups else "member")


def _not_allowed() -> Forbidden:
    detail = "Your account at the provider is not one of those that may come in here. Ask an admin."
    return Forbidden(detail, code="not_allowed", title="You may not come in here")


def _begin_again() -> Unauthorized:
    return Unauthorized("This login was begun too long ago, or in another browser. Begin again.", code="login_unknown")
