"""`python -m orchestrator.people`: accounts by the command line, for who may use this host. `./glovebox user` calls it.

It works on the database directly, so that it helps when nobody can log in. An orchestrator that runs looks there
for each request, and every second for the streams that are open: whoever is out is out at once there, too.
"""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Callable, Coroutine

from orchestrator.config import Settings
from orchestrator.errors import GloveboxError
from orchestrator.people.service import People, Person
from orchestrator.store.audit import AuditEntry, AuditLog
from orchestrator.store.database import Database
from orchestrator.store.people import PeopleStore

_OPERATOR = "operator"  # who has the host's own command line
_Command = Callable[[People, argparse.Namespace], Coroutine[None, None, None]]


async def add(people: People, wanted: argparse.Namespace) -> None:
    """Add a person."""
    chosen, told = (None, None) if wanted.sso else _password(wanted)
    person = await people.add(wanted.name, "admin" if wanted.admin else "member", chosen)
    print(f"{person.name} is {'an admin' if person.role == 'admin' else 'a member'} now.")
    _tell(told)


async def show(people: People, _: argparse.Namespace) -> None:
    """List everybody."""
    print(f"{'NAME':<30} {'ROLE':<8} {'STATE':<10} PASSWORD")
    for user in await people.everybody():
        state, password = "disabled" if user.disabled else "active", "yes" if user.password_hash else "no"
        print(f"{user.name:<30} {user.role:<8} {state:<10} {password}")


async def token(people: People, wanted: argparse.Namespace) -> None:
    """Make a token for a person, and tell it this once."""
    user = await people.named(wanted.name)
    _, told = await people.add_token(Person(user.id, user.name, user.role), wanted.label[:100])
    print(told)


async def disable(people: People, wanted: argparse.Namespace) -> None:
    """Shut a person out."""
    user = await people.set_disabled(wanted.name, disabled=True)
    print(f"{user.name} is out: logins, tokens and open streams have ended. Sessions and files are kept.")


async def enable(people: People, wanted: argparse.Namespace) -> None:
    """Let a person in again."""
    user = await people.set_disabled(wanted.name, disabled=False)
    print(f"{user.name} may log in again, and tokens count again; logins from before do not.")


async def password(people: People, wanted: argparse.Namespace) -> None:
    """Give a person another password."""
    chosen, told = _password(wanted)
    await people.set_password(wanted.name, chosen)
    print("The password is changed, and all logins have ended.")
    _tell(told)


async def sso(people: People, wanted: argparse.Namespace) -> None:
    """Take a person's password away, so that single sign-on may speak for them."""
    user = await people.remove_password(wanted.name)
    print(f"{user.name} has no password any more, and comes in by single sign-on or tokens.")


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    whole = argparse.ArgumentParser(prog="./glovebox user", description="People of a team and their accounts.")
    commands = whole.add_subparsers(required=True, metavar="command")
    piped = argparse.ArgumentParser(add_help=False)
    piped.add_argument("--password-stdin", action="store_true", help="read it from the first line, if there is one")

    def command(name: str, work: _Command, about: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about, parents=parents)
        made.set_defaults(work=work, action=name)
        if name != "list":
            made.add_argument("name")
        return made

    adding = command("add", add, "add a person, and tell their password once", piped)
    adding.add_argument("--admin", action="store_true", help="an admin, who manages the others")
    adding.add_argument("--sso", action="store_true", help="without a password: by single sign-on")
    command("list", show, "list everybody")
    command("token", token, "make an API token, and tell it once").add_argument("label", nargs="?", default="by hand")
    command("disable", disable, "shut a person out at once")
    command("enable", enable, "let a person in again")
    command("password", password, "give another password, and end all logins", piped)
    command("sso", sso, "take the password away: single sign-on speaks for them from now on")
    return whole


async def run(settings: Settings, wanted: argparse.Namespace) -> None:
    """Do what the command line says, on the database of these settings.

    Raises:
        GloveboxError: it cannot be done; the detail says why.

    """
    database = Database(settings.database_url)
    await database.open()
    try:
        await wanted.work(People(PeopleStore(database)), wanted)
        if wanted.action != "list":
            audit = AuditLog(database)
            audit.note(AuditEntry(_OPERATOR, f"user_{wanted.action}", "allowed", wanted.name, "by command line"))
            await audit.close()
    finally:
        await database.close()


def main(arguments: list[str]) -> None:
    """Do what the command line says, or say why not."""
    wanted = parser().parse_args(arguments)
    try:
        settings = Settings.load()
        if settings.config.people.mode != "team":
            sys.exit("glovebox: there are no accounts: set people.mode to 'team' in the config, then './glovebox up'")
        asyncio.run(run(settings, wanted))
    except GloveboxError as error:
        sys.exit(f"glovebox: {error.detail}")


def _password(wanted: argparse.Namespace) -> tuple[str, str | None]:
    """Return a password, and once more if it was made up and has to be told."""
    piped = sys.stdin.readline().rstrip("\r\n") if wanted.password_stdin else ""
    made_up = secrets.token_urlsafe(15)
    return (piped, None) if piped else (made_up, made_up)


def _tell(password: str | None) -> None:
    if password is not None:
        print(f"The password, which is told this once: {password}")


if __name__ == "__main__":
    main(sys.argv[1:])
