"""Who is asking: what a request presents becomes a person here, and nowhere else."""

from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Protocol

from orchestrator.errors import Unauthorized
from orchestrator.people.service import LOCAL, Caller, People

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
    """People with accounts: an API token or a login says which of them asks."""

    def __init__(self, people: Callable[[], People]) -> None:
        self._people = people

    async def admit(self, headers: Headers) -> Caller:
        """Return whom the token or the login stands for. Raises Unauthorized."""
        presented = _bearer(headers)
        if not presented:
            raise Unauthorized(_PRESENTS_NOTHING)
        return await self._people().identify(presented)


def _bearer(headers: Headers) -> str:
    """Return the bearer token; nothing where there is none, or more than one."""
    found = [value for name, value in headers if name == "authorization"]
    scheme, _, presented = (found[0] if len(found) == 1 else "").partition(" ")
    return presented.strip() if scheme.lower() == "bearer" else ""
