"""The first admin of a team: made where there is nobody yet, with a password that is told in one place only."""

import os
from pathlib import Path

import structlog

from orchestrator.people.service import LOCAL, People

log = structlog.get_logger()
FILE = "first-admin-password"


async def make_first_admin(people: People, password: str | None, data: Path) -> None:
    """Make the first admin; a password that had to be made up is in a file that only this process' user can read.

    Not in the log, which is read by more people and kept for longer.
    """
    file = data / FILE
    made_up = await people.make_first_admin(password)
    if made_up is None:
        if file.exists() and not await people.is_password(LOCAL.id, file.read_text().strip()):
            file.unlink()  # it opens nothing any more
        return
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(made_up + "\n")
    log.warning("first admin made", name="admin", password_is_in=str(file))
