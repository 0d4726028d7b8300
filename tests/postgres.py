"""A PostgreSQL server of the tests' own: Debian's, unprivileged, on a unix socket in a folder that goes with it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.stack import wait_for

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
# It is thrown away afterwards, and a machine that loses power in between has other troubles.
_HURRY = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=60"]


class Postgres:
    """One server. What it holds goes when it is closed, and not when it is killed."""

    def __init__(self) -> None:
        if not _PROGRAMS:
            pytest.fail("There is no PostgreSQL: './glovebox test' installs the package 'postgresql'.")
        self.folder = Path(tempfile.mkdtemp(prefix="glovebox-postgres-"))
        # The server refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.folder, "postgres", "postgres")
        wanted = ["--no-sync", "--auth=trust", "--username=glovebox", "--encoding=UTF8", "--locale=C.UTF-8"]
        self._run("initdb", *wanted, "-D", str(self.folder / "data"))
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.start()

    def start(self) -> None:
        """Start it, after a kill as well."""
        (self.folder / "data/postmaster.pid").unlink(missing_ok=True)
        arguments = ["-D", str(self.folder / "data"), "-c", "listen_addresses=", "-k", str(self.folder), *_HURRY]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_PROGRAMS[-1] / "postgres", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                **self._user,
            )
        wait_for(self._answers, "PostgreSQL")

    def kill(self, number: int = signal.SIGQUIT) -> None:
        """End it at once: whatever was connected is not any more."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder)

    def url(self, name: str) -> str:
        """Return the URL of a database, as GLOVEBOX_DATABASE_URL has it."""
        return f"postgresql+psycopg://glovebox@/{name}?host={self.folder}"

    def make(self, like: str = "template1") -> str:
        """Make a database and return its name."""
        self._made += 1
        name = f"made_{self._made}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Run a statement as the server's owner."""
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _address(self, name: str) -> str:
        return f"host={self.folder} user=glovebox dbname={name}"

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.folder / "log").read_text()
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [_PROGRAMS[-1] / program, *arguments], check=True, capture_output=True, cwd=self.folder, **self._user
        )


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server."""
    server = Postgres()
    try:
        yield server
    finally:
        server.close()
