"""The config of who may come in, and by which ways. Each way beside passwords and tokens is off until it is set."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from orchestrator.config_part import Part

Role = Literal["admin", "member"]
ROLES: tuple[Role, ...] = ("admin", "member")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,60}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]
_TAKEN = frozenset({"authorization", "cookie", "host", "origin", "x-forwarded-for", "x-forwarded-proto"})


class ProxyHeader(Part):
    """A reverse proxy that logs people in, and tells who they are in a header, with a secret that only it knows."""

    user_header: HeaderName = Field(default="X-Forwarded-User", description="the header with the person's name")
    secret_header: HeaderName = Field(default="X-Glovebox-Proxy-Secret", description="the header with the secret")
    secret_env: Variable = Field(description="environment variable with the secret: 16 characters or more")
    new_people: bool = Field(default=False, description="whether who has no account yet gets one, as a member")

    @model_validator(mode="after")
    def _headers_are_its_own(self) -> Self:
        names = {self.user_header.lower(), self.secret_header.lower()}
        if len(names) < 2 or names & _TAKEN:
            raise ValueError("user_header and secret_header must be two headers that mean nothing else")
        return self


class OpenIdConnect(Part):
    """A provider of single sign-on that speaks OpenID Connect."""

    issuer: str = Field(description="the provider's issuer, exactly as its documents say it")
    client_id: str = Field(min_length=1)
    client_secret_env: Variable | None = Field(default=None, description="environment variable; null: a public client")
    redirect_uri: str = Field(description="the page's own address, with /login/callback")
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    name_claim: str = Field(default="email", min_length=1, description="the claim that names the account")
    groups_claim: str = Field(default="groups", min_length=1)
    allowed_domains: tuple[str, ...] = Field(default=(), description="of verified e-mail addresses; empty: any")
    allowed_groups: tuple[str, ...] = Field(default=(), description="one of which is needed; empty: none is")
    admin_group: str | None = Field(
        default=None, description="whose people are admins, and nobody else of the provider"
    )
    new_people: bool = Field(default=False, description="whether who has no account yet gets one")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for name in ("issuer", "redirect_uri"):
            if not is_safe(getattr(self, name)):
                raise ValueError(f"{name} must begin with https:// (or with http:// on this very host)")
        if urlsplit(self.redirect_uri).path != "/login/callback":
            raise ValueError("redirect_uri must end in /login/callback")
        if "openid" not in self.scopes:
            raise ValueError("scopes must name 'openid'")
        if self.new_people and not (self.allowed_domains or self.allowed_groups):
            raise ValueError("new_people would let in everybody at the provider: set allowed_domains or allowed_groups")
        return self


class People(Part):
    """Who may use this Glovebox."""

    mode: Literal["one", "team"] = Field(
        default="one", description="one person on this machine, or a team whose members log in"
    )
    proxy: ProxyHeader | None = Field(default=None, description="single sign-on by a trusted reverse proxy")
    oidc: OpenIdConnect | None = Field(default=None, description="single sign-on by OpenID Connect")

    @model_validator(mode="after")
    def _one_person_signs_on_nowhere(self) -> Self:
        if self.mode == "one" and (self.proxy or self.oidc):
            raise ValueError("proxy and oidc are for teams; set mode to 'team'")
        return self


def is_safe(url: str) -> bool:
    """Tell whether what is sent to an address can be read and changed by nobody on the way."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
