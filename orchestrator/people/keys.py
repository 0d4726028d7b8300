"""Keys that people bring for a provider, for their own sessions. They are sealed at rest, and never shown again.

The key that seals them is a file of the data folder: a copy of the database alone opens none of them.
"""

import asyncio
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import structlog
from cryptography.fernet import Fernet, InvalidToken

from orchestrator.config_models import Provider
from orchestrator.errors import BadRequest, NotFound
from orchestrator.limits import OWN_KEY_CHARS
from orchestrator.store.keys import KeyRecord, KeyStore

log = structlog.get_logger()
_HINT_CHARS = 4
_SHORTEST = 8
_SHORTEST_HINTED = 16  # of a shorter one the hint would be too much


class OwnKeys:
    """Everybody's own keys."""

    def __init__(self, store: KeyStore, seal_file: Path, providers: tuple[Provider, ...]) -> None:
        self._store = store
        self._seal_file = seal_file
        self._allowed = {provider.name for provider in providers if provider.own_keys}
        self._seal: Fernet | None = None

    async def list(self, user_id: str) -> list[KeyRecord]:
        """Return somebody's keys, by provider; of the keys themselves there is no more than a hint."""
        return [key for key in await self._store.of(user_id) if key.provider in self._allowed]

    async def put(self, user_id: str, provider: str, key: str) -> None:
        """Keep somebody's key in the place of the one before.

        Raises:
            NotFound: no provider of that name takes people's own keys.
            BadRequest: it cannot be a key.

        """
        self._check(provider)
        key = key.strip()
        if not _SHORTEST <= len(key) <= OWN_KEY_CHARS or not is_sendable(key):
            raise BadRequest(
                f"A key has {_SHORTEST} to {OWN_KEY_CHARS} letters, digits and signs, and no spaces.", code="bad_key"
            )
        seal = await asyncio.to_thread(self._open_seal)
        # With its owner and provider in it, a key that is moved to another row is none.
        sealed = seal.encrypt(json.dumps([user_id, provider, key]).encode()).decode()
        hint = "…" + (key[-_HINT_CHARS:] if len(key) >= _SHORTEST_HINTED else "")
        await self._store.put(user_id, provider, sealed, hint)

    async def remove(self, user_id: str, provider: str) -> None:
        """Forget somebody's key. Raises NotFound where no provider of that name takes people's own keys."""
        self._check(provider)
        await self._store.remove(user_id, provider)

    async def all_of(self, user_id: str) -> dict[str, str]:
        """Return somebody's keys by provider, opened. One that cannot be opened any more is as good as none."""
        records = await self.list(user_id)
        if not records:
            return {}
        seal = await asyncio.to_thread(self._open_seal)
        opened = {record.provider: _opened(seal, record, user_id) for record in records}
        return {provider: key for provider, key in opened.items() if key is not None}

    def _check(self, provider: str) -> None:
        if provider not in self._allowed:
            allowed = ", ".join(sorted(self._allowed)) or "none"
            raise NotFound(
                f"No provider {provider[:40]!r} takes keys of people's own; these do: {allowed}.", code="no_own_keys"
            )

    def _open_seal(self) -> Fernet:
        """Return what seals keys, made at its first use. Blocks."""
        if self._seal is None:
            if not self._seal_file.exists():
                _make_seal(self._seal_file)
            self._seal = Fernet(self._seal_file.read_bytes().strip())
        return self._seal


def _make_seal(file: Path) -> None:
    """Write a key that seals keys; it is there whole or not at all, and one that is there already stays."""
    descriptor, half_made = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(Fernet.generate_key())
            written.flush()
            os.fsync(written.fileno())
        with suppress(FileExistsError):
            Path(file).hardlink_to(half_made)
    finally:
        Path(half_made).unlink()


def is_sendable(key: str) -> bool:
    """Tell whether a key can stand in a header: an error about one that cannot would tell it."""
    return bool(key) and key.isascii() and all("!" <= character <= "~" for character in key)


def _opened(seal: Fernet, record: KeyRecord, user_id: str) -> str | None:
    try:
        owner, provider, key = json.loads(seal.decrypt(record.sealed.encode()))
    except (InvalidToken, ValueError, TypeError):
        log.warning("a key cannot be opened", user=user_id, provider=record.provider)
        return None
    return str(key) if (owner, provider) == (user_id, record.provider) else None
