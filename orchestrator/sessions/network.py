"""The way out of one session's sandbox: its egress proxy, open before the container starts and as long as it may run.

Where the profile's network is `none` there is no proxy, no socket and no mount. The proxy listens in a folder that the
sandbox sees read-only, beside what programs inside need to know of it: pip's settings and the site's certificates.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from orchestrator.config import Config, Profile
from orchestrator.egress.budgets import EgressLimits, Usage
from orchestrator.egress.exchange import EgressRecord
from orchestrator.egress.policy import EgressPolicy
from orchestrator.egress.proxy import EgressProxy
from orchestrator.errors import SandboxUnavailable
from orchestrator.limits import MIB
from orchestrator.store.records import SessionRecord
from orchestrator.store.sessions import SessionStore

log = structlog.get_logger()
_FOLDER_MODE = 0o755  # the sandbox's uid is not ours; it sees the folder read-only
_STORE_USAGE_S = 1.0


@dataclass(frozen=True, slots=True)
class Networks:
    """Makes the network of each session; `tell` hears of every request that a sandbox makes."""

    config: Config
    ca_bundle: Path | None
    store: SessionStore
    tell: Callable[[EgressRecord], None]

    def of(self, record: SessionRecord, profile: Profile, root: Path) -> "SessionNetwork":
        """Return the network of a session with this profile, whose folder is `root`."""
        return SessionNetwork(record, profile, root, self)


class SessionNetwork:
    """The egress proxy of one session, opened and closed with its sandbox."""

    def __init__(self, record: SessionRecord, profile: Profile, root: Path, networks: Networks) -> None:
        self._session_id = record.id
        self.owner = record.owner
        self._folder = root / "egress"
        self._networks = networks
        self._policy: EgressPolicy | None = networks.config.egress_policy(profile)
        self._limits = EgressLimits(bytes_up=profile.egress_up_mb * MIB, bytes_down=profile.egress_down_mb * MIB)
        self._usage: Usage | None = None
        self._proxy: EgressProxy | None = None
        self._storing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen, if the profile allows anything and nobody listens yet.

        Raises:
            SandboxUnavailable: the proxy cannot listen, or its folder cannot be written.

        """
        if self._policy is None or self._proxy is not None:
            return
        if self._usage is None:
            self._usage = Usage(*await self._networks.store.egress_usage(self._session_id))
        try:
            await asyncio.to_thread(self._leave_settings)
        except OSError as error:
            raise SandboxUnavailable(f"The session's network cannot be prepared: {error.strerror}.") from error
        proxy = EgressProxy(
            self._folder / "proxy.sock",
            session=self._session_id,
            user=self.owner,
            policy=self._policy,
            audit=self._note,
            limits=self._limits,
            usage=self._usage,
        )
        await proxy.start()
        self._proxy = proxy

    async def close(self) -> None:
        """End all connections and stop listening; fine when nobody listens."""
        if self._proxy is not None:
            proxy, self._proxy = self._proxy, None
            await proxy.close()
        if (storing := self._storing) is not None:
            storing.cancel()
            with suppress(asyncio.CancelledError):
                await storing
            await self._store_usage()

    def _note(self, record: EgressRecord) -> None:
        """Tell of a request, and see to it that what it used up outlives this process."""
        self._networks.tell(replace(record, user=self.owner))  # the proxy may be older than the session's owner
        if self._storing is None:
            self._storing = asyncio.create_task(self._store_usage_soon(), name=f"egress of {self._session_id}")

    async def _store_usage_soon(self) -> None:
        await asyncio.sleep(_STORE_USAGE_S)
        await self._store_usage()

    async def _store_usage(self) -> None:
        self._storing = None
        if self._usage is not None:
            await self._networks.store.note_egress_usage(self._session_id, self._usage.bytes_up, self._usage.bytes_down)

    def _leave_settings(self) -> None:
        """Write what programs in the sandbox need to know. Blocks. The folder is ours, and read-only inside."""
        self._folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        (self._folder / "pip.conf").write_text(pip_settings(self._networks.config.package_index.url))
        bundle = self._networks.ca_bundle
        (self._folder / "site-ca.pem").write_bytes(bundle.read_bytes() if bundle and bundle.is_file() else b"")
        for name in ("pip.conf", "site-ca.pem"):
            (self._folder / name).chmod(0o644)


def pip_settings(index: str) -> str:
    """Return pip's configuration file. Whoever configures an index by plain http means to trust it."""
    url = urlsplit(index)
    trusted = f"trusted-host = {url.hostname}\n" if url.scheme == "http" else ""
    return f"[global]\nindex-url = {index}\n{trusted}"
