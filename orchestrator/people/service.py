"""The people service: who may come in, with which proof, and as whom."""

import asyncio
import re
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from orchestrator.errors import BadRequest, NotFound, Unauthorized
from orchestrator.people.attempts import Attempts
from orchestrator.people.passwords import hashed, verify
from orchestrator.people.secrets import new_secret, parse_secret
from orchestrator.store.people import API, LOGIN, PeopleStore, Role, SecretRecord, UserRecord

_Result = TypeVar("_Result")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,59}")
_LOGIN_LASTS = timedelta(days=14)
_NOTE_USE_S = 60.0
_WRONG = "The name or the password is wrong."


@dataclass(frozen=True, slots=True)
class Person:
    """Who is asking."""

    id: str
    name: str
    role: Role


class People:
    """Accounts, and the secrets that stand for them."""

    def __init__(self, store: PeopleStore) -> None:
        self._store = store
        self._attempts = Attempts()
        self._hashing = asyncio.Semaphore(2)  # each takes 64 MiB: a flood of tries must not take them all at once
        self._use_noted_at: dict[str, float] = {}

    async def add(self, name: str, role: Role, password: str | None) -> Person:
        """Add a person; without a password they come in by tokens or single sign-on only.

        Raises:
            BadRequest: the name or the password cannot be one.
            Conflict: the name is taken.

        """
        password_hash = None if password is None else await self._off_the_loop(hashed, password)
        return _person(await self._store.add(uuid.uuid4().hex, checked_name(name), role, password_hash))

    async def everybody(self) -> list[UserRecord]:
        """Return everybody, by name."""
        return await self._store.everybody()

    async def sign_in(self, name: str, password: str, address: str, browser: str) -> tuple[Person, str]:
        """Return who this is, and the secret of a new login.

        Raises:
            Unauthorized: the name or the password is wrong (which of both is not told), or there were too many tries.

        """
        known_as = _as_stored(name)
        keys = (f"name {known_as}", f"address {address}")
        now = asyncio.get_running_loop().time()
        wait_s = max(self._attempts.wait_s(key, now) for key in keys)
        if wait_s > 0:
            raise Unauthorized(f"Too many tries. Wait {wait_s:.0f} s, then try again.", code="too_many_tries")
        user = await self._store.named(known_as)
        right = await self._off_the_loop(verify, None if user is None else user.password_hash, password)
        if user is None or not right or user.disabled:
            for key in keys:
                self._attempts.failed(key, now)
            raise Unauthorized(_WRONG, code="wrong_password")
        for key in keys:
            self._attempts.succeeded(key)
        secret = new_secret(LOGIN)
        expires = datetime.now(UTC) + _LOGIN_LASTS
        await self._store.add_secret(secret.id, LOGIN, user.id, browser[:100], secret.kept(), expires)
        return _person(user), secret.told()

    async def identify(self, presented: str) -> Person:
        """Return whom a token or a login stands for.

        Raises:
            Unauthorized: for nobody: it is unknown, revoked, too old, or its owner is shut out.

        """
        secret = parse_secret(presented)
        found = None if secret is None else await self._store.whose(secret.kind, secret.id)
        if secret is None or found is None or not secret.proves(found[1]):
            raise Unauthorized("This token or login does not count (any more).")
        await self._note_use(secret.id)
        return _person(found[0])

    async def add_token(self, person: Person, name: str) -> tuple[SecretRecord, str]:
        """Return a new token's record, and the token itself, which nobody can be shown again."""
        secret = new_secret(API)
        await self._store.add_secret(secret.id, API, person.id, name, secret.kept(), None)
        return SecretRecord(secret.id, name, datetime.now(UTC), None, None), secret.told()

    async def tokens(self, person: Person) -> list[SecretRecord]:
        """Return a person's tokens."""
        return await self._store.secrets(person.id, API)

    async def revoke(self, person: Person, secret_id: str) -> None:
        """End a token or a login of this person. Raises NotFound."""
        await self._store.revoke(person.id, secret_id)

    async def set_password(self, name: str, password: str) -> None:
        """Give somebody another password; whoever came in with the old one is out.

        Raises:
            BadRequest: the password cannot be one.
            NotFound: there is nobody of that name.

        """
        user = await self._named(name)
        await self._store.set_password(user.id, await self._off_the_loop(hashed, password))

    async def set_disabled(self, name: str, *, disabled: bool) -> None:
        """Shut somebody out, or let them in again. Raises NotFound."""
        await self._store.set_disabled((await self._named(name)).id, disabled=disabled)

    async def _named(self, name: str) -> UserRecord:
        user = await self._store.named(_as_stored(name))
        if user is None:
            raise NotFound(f"There is nobody called {name[:60]!r}.", code="user_not_found")
        return user

    async def _note_use(self, secret_id: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._use_noted_at.get(secret_id, float("-inf")) > _NOTE_USE_S:
            self._use_noted_at[secret_id] = now
            await self._store.note_secret_used(secret_id)

    async def _off_the_loop(self, work: Callable[..., _Result], *arguments: str | None) -> _Result:
        async with self._hashing:
            return await asyncio.to_thread(work, *arguments)


def checked_name(name: str) -> str:
    """Return a new person's name as it is stored.

    Raises:
        BadRequest: it has other characters than the few that cannot be mistaken for others.

    """
    stored = _as_stored(name)
    if _NAME.fullmatch(stored) is None:
        allowed = "1 to 60 of a-z, 0-9 and . _ @ + -"
        raise BadRequest(f"A name has {allowed}, and begins with a letter or digit.", code="bad_name")
    return stored


def _as_stored(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()[:200]


def _person(user: UserRecord) -> Person:
    return Person(user.id, user.name, user.role)
