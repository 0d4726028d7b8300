"""Who is asking: what a request presents becomes a person here, and nowhere else."""

from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Protocol

from orchestrator.config_people import ProxyHeader
from orchestrator.errors import Unauthorized
from orchestrator.people.elsewhere import Elsewhere, Vouched
from orchestrator.people.secrets import parse_secret
from orchestrator.people.service import LOCAL, Caller, People

_NO_PROXY = "Only the proxy of this Glovebox may name people, and it did not prove that it is the one. Ask an admin."
Headers = Sequence[tuple[str, str]]
_PRESENTS_NOTHING = "Send the header 'Authorization: Bearer <token>' with your token; POST /v1/login gives one."


class Door(Protocol):
    """Lets people in by what their requests present."""

    async def admit(self, headers: Headers) -> Caller:
        """Return who asks.

        Raises:
            Unauthorized: nobody who may.

        """


class OnePerson:
    """One person on one machine; whoever knows the token, where there is one, is that person."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def admit(self, headers: Headers) -> Caller:
        """Return the one person. Raises Unauthorized where a token is set and this is not it."""
        if self._token is not None and not compare_digest(_bearer(headers).encode(), self._token.encode()):
            raise Unauthorized("Send the header 'Authorization: Bearer <token>' with this server's token.")
        return Caller(LOCAL)


class Team:
    """People with accounts: an API token, a login, or a trusted proxy says which of them asks."""

    def __init__(self, people: Callable[[], People], proxy: "TrustedProxy | None" = None) -> None:
        self._people = people
        self._proxy = proxy

    async def admit(self, headers: Headers) -> Caller:
        """Return whom the token or the login stands for, else whom the proxy tells.

        Raises:
            Unauthorized: nobody; or it was no proxy that we trust that told.
            Forbidden: somebody who has no account here.

        """
        presented = _bearer(headers)
        # A proxy may send a bearer token of its own kind along.
        if self._proxy is not None and parse_secret(presented) is None and self._proxy.tells(headers):
            return await self._proxy.admit(headers)
        if not presented:
            raise Unauthorized(_PRESENTS_NOTHING)
        return await self._people().identify(presented)


class TrustedProxy:
    """A reverse proxy that logs people in; it proves with a secret that it is the one."""

    def __init__(self, config: ProxyHeader, secret: str, elsewhere: Callable[[], Elsewhere]) -> None:
        self._config = config
        self._secret = secret
        self._elsewhere = elsewhere

    def tells(self, headers: Headers) -> bool:
        """Tell whether a request has anything of what the proxy sends."""
        ours = {self._config.user_header.lower(), self._config.secret_header.lower()}
        return any(name in ours for name, _ in headers)

    async def admit(self, headers: Headers) -> Caller:
        """Return whom the proxy names.

        Raises:
            Unauthorized: the secret is missing or wrong, or it names nobody, or more than one.
            Forbidden: whom it names has no account here.

        """
        secrets = [value for name, value in headers if name == self._config.secret_header.lower()]
        names = [value for name, value in headers if name == self._config.user_header.lower()]
        if len(secrets) != 1 or not compare_digest(secrets[0].encode(), self._secret.encode()):
            raise Unauthorized(_NO_PROXY, code="untrusted_proxy")
        if len(names) != 1 or not names[0]:
            raise Unauthorized("The proxy names nobody, or more than one person. Log in there.", code="nobody_named")
        vouched = Vouched(_as_sent(names[0]))
        return Caller(await self._elsewhere().person(vouched, new_people=self._config.new_people))


def _as_sent(value: str) -> str:
    """Return a header's text in UTF-8, where it is; the guard reads bytes as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def _bearer(headers: Headers) -> str:
    """Return the bearer token; nothing where there is none, or more than one."""
    found = [value for name, value in headers if name == "authorization"]
    scheme, _, presented = (found[0] if len(found) == 1 else "").partition(" ")
    return presented.strip() if scheme.lower() == "bearer" else ""
