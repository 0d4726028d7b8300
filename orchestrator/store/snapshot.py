"""A copy of the database that is whole while others go on writing: `python -m orchestrator.store.snapshot FILE`."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url


def take_snapshot(database: Path, copy: Path) -> None:
    """Copy a SQLite database in one transaction's state (its online backup), and check the copy. Blocks.

    Raises:
        FileNotFoundError: there is no database.
        sqlite3.Error: it cannot be read, or the copy is not sound; the copy is removed then.

    """
    if not database.is_file():
        raise FileNotFoundError(f"there is no database at {database}")
    copy.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            (told,) = target.execute("PRAGMA integrity_check").fetchone()
            if told != "ok":
                raise sqlite3.DatabaseError(f"the copy is not sound: {told}")
    except BaseException:
        copy.unlink(missing_ok=True)
        raise


def main(arguments: list[str]) -> None:
    """Copy the database of the data folder."""
    from orchestrator.config import Settings

    if len(arguments) != 1:
        sys.exit("usage: python -m orchestrator.store.snapshot FILE")
    url = make_url(Settings.load().database_url)
    if url.get_backend_name() != "sqlite":
        sys.exit(
            "glovebox: the database is PostgreSQL, which has a backup of its own: take it with pg_dump, and this one "
            "with --files-only right after it (docs/database.md)"
        )
    try:
        take_snapshot(Path(str(url.database)), Path(arguments[0]))
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"glovebox: no backup was made: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
