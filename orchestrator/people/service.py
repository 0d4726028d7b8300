"""The people service: who may come in, with which proof, and as whom."""

import asyncio
import re
import secrets
import unicodedata
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from orchestrator.config_people import Role
from orchestrator.errors import BadRequest, Conflict, DatabaseUnavailable, NotFound, TooManyRequests, Unauthorized
from orchestrator.people.attempts import Attempts
from orchestrator.people.passwords import checked_password, hashed, verify
from orchestrator.people.secrets import new_secret, parse_secret
from orchestrator.store.people import API, LOGIN, PeopleStore, SecretRecord, UserRecord

_Result = TypeVar("_Result")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,59}")
_LOGIN_LASTS = timedelta(days=14)
_NOTE_USE_S = 60.0
_WRONG = "The name or the password is wrong. An admin can give you another: ./glovebox user password NAME."
_NO_LONGER = "This token or login does not count (any more). Log in again, or ask for a new token at POST /v1/tokens."
# One name is one person's; one address may be a whole office's, or that of a proxy which everybody comes through.
TRIES_BY_NAME = (5, 300.0)
TRIES_BY_ADDRESS = (30, 30.0)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is asking."""

    id: str
    name: str
    role: Role


# Who asks where there is no team; the first admin of a team is the same person, and keeps those sessions.
LOCAL = Person("local", "local", "admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """A person, and the id of the secret by which they came in, if it was one."""

    person: Person
    secret_id: str | None = None


class People:
    """Accounts, and the secrets that stand for them."""

    def __init__(self, store: PeopleStore) -> None:
        self.changed = asyncio.Event()  # somebody may be out who was in
        self._store = store
        self._by_name, self._by_address = Attempts(*TRIES_BY_NAME), Attempts(*TRIES_BY_ADDRESS)
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

    async def make_first_admin(self, password: str | None) -> str | None:
        """Add an admin where there is nobody yet; return the password that was made up for them, if one was.

        Raises:
            BadRequest: the password cannot be one.

        """
        if await self._store.count():
            return None
        made_up = None if password else secrets.token_urlsafe(15)
        password_hash = await self._off_the_loop(hashed, password or made_up)
        await self._store.add(LOCAL.id, "admin", "admin", password_hash)
        return made_up

    async def is_password(self, user_id: str, password: str) -> bool:
        """Tell whether this is somebody's password; for what the server itself wants to know."""
        user = await self._store.with_id(user_id)
        return await self._off_the_loop(verify, None if user is None else user.password_hash, password)

    async def everybody(self) -> list[UserRecord]:
        """Return everybody, by name."""
        return await self._store.everybody()

    async def sign_in(self, name: str, password: str, address: str, browser: str) -> tuple[Person, str]:
        """Return who this is, and the secret of a new login.

        Raises:
            Unauthorized: the name or the password is wrong; which of both is not told.
            TooManyRequests: there were too many tries with this name, or from this address.

        """
        known_as = _as_stored(name)
        now = asyncio.get_running_loop().time()
        wait_s = max(self._by_name.wait_s(known_as, now), self._by_address.wait_s(address, now))
        if wait_s > 0:
            detail = f"Too many tries. Wait {wait_s:.0f} s, then try again."
            raise TooManyRequests(detail, code="too_many_tries", retry_after_s=wait_s)
        # Counted before it is looked at: a thousand tries at once must not all be the first.
        self._by_name.failed(known_as, now)
        self._by_address.failed(address, now)
        user = await self._store.named(known_as)
        right = await self._off_the_loop(verify, None if user is None else user.password_hash, password)
        secret = new_secret(LOGIN)
        expires = datetime.now(UTC) + _LOGIN_LASTS
        if (
            user is None
            or not right
            or not await self._store.add_login(secret.id, user, browser[:100], secret.kept(), expires)
        ):
            raise Unauthorized(_WRONG, code="wrong_password")
        self._by_name.forget(known_as)
        self._by_address.taken_back(address)
        return _person(user), secret.told()

    async def log_in(self, person: Person, browser: str) -> str:
        """Return the secret of a new login of somebody whom another has let in.

        Raises:
            Unauthorized: they were shut out just now.

        """
        secret = new_secret(LOGIN)
        user = await self._store.with_id(person.id)
        expires = datetime.now(UTC) + _LOGIN_LASTS
        if user is None or not await self._store.add_login(secret.id, user, browser[:100], secret.kept(), expires):
            raise Unauthorized(_NO_LONGER)
        return secret.told()

    async def identify(self, presented: str) -> Caller:
        """Return whom a token or a login stands for.

        Raises:
            Unauthorized: for nobody: it is unknown, revoked, too old, or its owner is shut out.

        """
        secret = parse_secret(presented)
        found = None if secret is None else await self._store.whose(secret.kind, secret.id)
        if secret is None or found is None or not secret.proves(found[1]):
            raise Unauthorized(_NO_LONGER)
        await self._note_use(secret.id)
        return Caller(_person(found[0]), secret.id)

    async def is_still(self, caller: Caller) -> bool:
        """Tell whether whoever came in once may still be here, as who they were then."""
        secret_id = caller.secret_id
        user = await (self._store.with_id(caller.person.id) if secret_id is None else self._store.holder(secret_id))
        return user is not None and not user.disabled and _person(user) == caller.person

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
        self.changed.set()

    async def change_password(self, person: Person, old: str, new: str, address: str) -> None:
        """Give a person another password by their own wish; all their logins end, this one as well.

        Raises:
            Unauthorized: the old one is wrong.
            TooManyRequests: it was tried too often.
            BadRequest: the new one cannot be one.

        """
        checked_password(new)
        await self.sign_in(person.name, old, address, "change of password")
        await self.set_password(person.name, new)

    async def set_password(self, name: str, password: str) -> None:
        """Give somebody another password; whoever came in with the old one is out.

        Raises:
            BadRequest: the password cannot be one.
            NotFound: there is nobody of that name.

        """
        user = await self.named(name)
        await self._store.set_password(user.id, await self._off_the_loop(hashed, password))
        self._by_name.forget(user.name)
        self.changed.set()

    async def remove_password(self, name: str) -> UserRecord:
        """Have somebody come in by single sign-on or tokens only from now on; return them as they were.

        Raises:
            NotFound: there is nobody of that name.

        """
        user = await self.named(name)
        await self._store.set_password(user.id, None)
        self.changed.set()
        return user

    async def set_disabled(self, name: str, *, disabled: bool) -> UserRecord:
        """Shut somebody out, or let them in again; return them as they were.

        Raises:
            NotFound: there is nobody of that name.
            Conflict: it is the last admin.

        """
        user = await self.named(name)
        if disabled:
            await self._not_the_last_admin(user)
        await self._store.set_disabled(user.id, disabled=disabled)
        self.changed.set()
        return user

    async def set_role(self, name: str, role: Role) -> UserRecord:
        """Give somebody another role; return them as they were.

        Raises:
            NotFound: there is nobody of that name.
            Conflict: it is the last admin.

        """
        user = await self.named(name)
        if role != "admin":
            await self._not_the_last_admin(user)
        await self._store.set_role(user.id, role)
        self.changed.set()
        return user

    async def named(self, name: str) -> UserRecord:
        """Return who has this name. Raises NotFound."""
        user = await self._store.named(_as_stored(name))
        if user is None:
            raise NotFound(f"There is nobody called {name[:60]!r}.", code="user_not_found")
        return user

    async def _not_the_last_admin(self, user: UserRecord) -> None:
        others = [one for one in await self.everybody() if one.id != user.id]
        if user.role == "admin" and not any(one.role == "admin" and not one.disabled for one in others):
            raise Conflict("There must be an admin who can come in. Make somebody else one first.", code="last_admin")

    async def _note_use(self, secret_id: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._use_noted_at.get(secret_id, float("-inf")) > _NOTE_USE_S:
            self._use_noted_at[secret_id] = now
            with suppress(DatabaseUnavailable):  # nobody is kept out for it
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
