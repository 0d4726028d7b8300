"""From an allowed target to a connection: the name is resolved once, and what was judged is what is connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from ipaddress import ip_address

from orchestrator.egress.addresses import Address, refusal
from orchestrator.egress.budgets import EgressLimits
from orchestrator.egress.policy import Allowed
from orchestrator.egress.target import Target

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Return the IP addresses of a name; raise OSError where there are none."""
CheckAddress = Callable[[Address, bool], str | None]
"""Return why an address may not be connected to, or None. The flag: whether private networks are allowed."""

_MAX_ADDRESSES = 64
_NO_PORT = 9
# Threads of its own: name servers that do not answer must not hold up what else the process does in threads.
_lookup_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="egress lookup")


class Refused(Exception):
    """The request is answered by the proxy: `hint` goes to the client, `detail` (else the hint) to the record."""

    def __init__(self, status: HTTPStatus, hint: str, detail: str = "") -> None:
        super().__init__(hint)
        self.status = status
        self.hint = hint
        self.detail = detail or hint


async def resolve_by_system(name: str, port: int) -> Sequence[str]:
    """Resolve a name as the host does."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(
        _lookup_threads, lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    )
    return [str(address[0]) for *_, address in found]


def check_by_rule(address: Address, allow_private: bool) -> str | None:  # noqa: FBT001
    """Judge an address by its range, and never let a request come back to this very host."""
    return refusal(address, allow_private=allow_private) or ("an address of this host" if is_own(address) else None)


def is_own(address: Address) -> bool:
    """Tell whether an address is one of this host's: towards it, the kernel would speak from that same address."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), _NO_PORT))  # sends nothing: a datagram socket only picks its route
        except OSError:
            return False
        return ip_address(probe.getsockname()[0]) == address


class Dialler:
    """Makes the connections of one session."""

    def __init__(self, limits: EgressLimits, resolve: Resolve, check_address: CheckAddress) -> None:
        self._limits = limits
        self._resolve = resolve
        self._check_address = check_address
        self._lookups = asyncio.Semaphore(limits.lookups)

    async def dial(self, allowed: Allowed) -> socket.socket:
        """Connect to an allowed target and return the socket.

        Raises:
            Refused: the name has no address, one that is not fit, or none that answers.

        """
        addresses = await self._addresses(allowed.target)
        for address in addresses:
            if kind := self._check_address(address, allowed.allow_private):
                raise Refused(
                    HTTPStatus.FORBIDDEN,
                    f"This session may not reach {allowed.target.host}: it leads to {kind}.",
                    f"{allowed.target.host} leads to {address}: {kind}.",
                )
        return await self._connect(addresses, allowed.target)

    async def _addresses(self, target: Target) -> list[Address]:
        if target.is_address:
            return [ip_address(target.host)]
        unknown = Refused(HTTPStatus.BAD_GATEWAY, f"The name {target.host} was not found.")
        try:
            async with asyncio.timeout(self._limits.lookup_s), self._lookups:
                texts = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:  # TimeoutError is an OSError, too
            raise unknown from error
        if not 0 < len(texts) <= _MAX_ADDRESSES:
            raise unknown
        try:
            return list(dict.fromkeys(_plain_address(text) for text in texts))
        except ValueError as error:
            raise unknown from error

    async def _connect(self, addresses: Sequence[Address], target: Target) -> socket.socket:
        try:
            async with asyncio.timeout(self._limits.connect_s):
                for address in addresses:
                    if (connection := await _connect_to(address, target.port, self._limits.connect_s / 2)) is not None:
                        return connection
        except TimeoutError:
            pass
        raise Refused(HTTPStatus.BAD_GATEWAY, f"{target.authority} does not answer.")


def _plain_address(text: str) -> Address:
    """Return an address without a zone: a zone names one of this host's own interfaces."""
    if "%" in text:
        raise ValueError(text)
    return ip_address(text)


async def _connect_to(address: Address, port: int, deadline_s: float) -> socket.socket | None:
    """Return a connection, or None where there is none to be had in time."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        connection = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        connection.setblocking(False)  # noqa: FBT003
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(deadline_s):
            await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except OSError:
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection
