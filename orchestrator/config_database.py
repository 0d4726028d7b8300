"""Where the database is: a file in the data folder, or wherever GLOVEBOX_DATABASE_URL says."""

from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import ConfigError

_POSTGRES = ("postgres", "postgresql", "postgresql+psycopg")
_ALLOWED = "postgresql://USER:PASSWORD@HOST:PORT/NAME (see docs/database.md), or nothing for SQLite in the data folder"


def database_url(given: str | None, data: Path) -> str:
    """Return the URL of the database, with the driver that Glovebox brings along.

    Raises:
        ConfigError: it makes no sense. What is wrong is said without the URL, which may hold a password.

    """
    if not given:
        return f"sqlite:///{data / 'glovebox.sqlite'}"
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"GLOVEBOX_DATABASE_URL is no URL; allowed: {_ALLOWED}.") from error
    if parts.scheme not in _POSTGRES:
        raise ConfigError(f"GLOVEBOX_DATABASE_URL begins with {parts.scheme[:40]!r}; allowed: {_ALLOWED}.")
    if not parts.path.strip("/"):
        raise ConfigError(f"GLOVEBOX_DATABASE_URL names no database; allowed: {_ALLOWED}.")
    return f"postgresql+psycopg{given[len(parts.scheme) :]}"
