"""People who sign in elsewhere, with an identity provider or a reverse proxy: which account they are here."""

from contextlib import suppress
from dataclasses import dataclass

from orchestrator.config_people import Role
from orchestrator.errors import Conflict, Forbidden
from orchestrator.people.service import People, Person, checked_name
from orchestrator.store.people import PeopleStore, UserRecord


@dataclass(frozen=True, slots=True)
class Vouched:
    """What somebody else vouches for: a name, and where they know better, a subject that is never given again."""

    name: str
    subject: str | None = None
    role: Role | None = None  # None: as it is here


class Elsewhere:
    """Finds or makes the account of somebody who signed in elsewhere.

    Nobody outside may speak for an account that has a password here: the first admin's name is easily had elsewhere.
    """

    def __init__(self, store: PeopleStore, people: People) -> None:
        self._store = store
        self._people = people

    async def person(self, vouched: Vouched, *, new_people: bool) -> Person:
        """Return who that is here.

        Raises:
            Forbidden: there is no such account, or it is not this one's to use.
            BadRequest: the name cannot be one of an account.

        """
        user = await self._found(vouched) or await self._added(vouched, new_people=new_people)
        if user.password_hash is not None:
            detail = f"{user.name!r} logs in with a password here. An admin can change that: ./glovebox user sso NAME."
            raise Forbidden(detail, code="has_password", title="This account has a password")
        if user.disabled:
            raise Forbidden(f"{user.name!r} is shut out. Ask an admin.", code="disabled", title="You are shut out")
        if vouched.role is not None and vouched.role != user.role:
            await self._store.set_role(user.id, vouched.role)
            self._people.changed.set()
        return Person(user.id, user.name, vouched.role or user.role)

    async def _found(self, vouched: Vouched) -> UserRecord | None:
        if vouched.subject is not None and (known := await self._store.with_subject(vouched.subject)) is not None:
            return known
        user = await self._store.named(checked_name(vouched.name))
        if user is None or vouched.subject is None or user.password_hash is not None:
            return user
        if not await self._store.bind(user.id, vouched.subject):
            detail = f"{user.name!r} belongs to somebody else of your provider. Ask an admin."
            raise Forbidden(detail, code="name_taken", title="This name is somebody else's")
        return user

    async def _added(self, vouched: Vouched, *, new_people: bool) -> UserRecord:
        name = checked_name(vouched.name)
        if not new_people:
            detail = f"There is no account for {name!r} here. An admin can add one: ./glovebox user add NAME --sso."
            raise Forbidden(detail, code="no_account", title="You have no account here")
        with suppress(Conflict):  # two first requests of one person at the same time
            await self._people.add(name, "member", None)
        found = await self._found(vouched)
        assert found is not None  # noqa: S101 - accounts are never deleted
        return found
