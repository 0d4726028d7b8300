"""One connection of a sandbox to its proxy, from the request's first byte to the record at its end."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import structlog

from orchestrator.egress.budgets import BudgetSpent, EgressLimits, Usage
from orchestrator.egress.client_hello import TLS_ALERT, TLS_HANDSHAKE, BadHello, ClientHelloReader
from orchestrator.egress.dialling import Dialler, Refused
from orchestrator.egress.policy import Denied, EgressPolicy
from orchestrator.egress.relay import SPENT, Relay
from orchestrator.egress.request import (
    ESTABLISHED,
    HEAD_END,
    BadHead,
    answer,
    body_length,
    onward_head,
    parse_request,
)
from orchestrator.egress.target import Target
from orchestrator.limits import KIB

log = structlog.get_logger()

_READ_BYTES = 16 * KIB
_PART_S = 1.0
_PART_READS = 16
_METHOD_CHARS = 20


@dataclass(frozen=True, slots=True)
class EgressRecord:
    """What one request came to. `decision` is `failed` where it was allowed, but the server could not be reached."""

    session: str
    user: str
    host: str
    port: int | None
    method: str
    decision: Literal["allowed", "denied", "failed"]
    reason: str
    bytes_up: int
    bytes_down: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Grant:
    """Whom a proxy serves, what they may do, what they have used, and who is told."""

    session: str
    user: str
    policy: EgressPolicy
    limits: EgressLimits
    usage: Usage
    dialler: Dialler
    audit: Callable[[EgressRecord], None]


class TunnelRefused(Exception):
    """What came through an open tunnel is not what was allowed; the text says why."""

    def __init__(self, reason: str, seen: bytes | bytearray) -> None:
        super().__init__(reason)
        self.last_words = TLS_ALERT if seen[:1] == TLS_HANDSHAKE else b""


class Exchange:
    """Serves one client connection; whoever made it closes it."""

    def __init__(self, client: socket.socket, grant: Grant) -> None:
        self._client = client
        self._grant = grant
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._asked = False
        self._method = ""
        self._target: Target | None = None
        self._decision: Literal["allowed", "denied", "failed"] = "denied"
        self._reason = ""
        self._relay: Relay | None = None

    async def run(self) -> None:
        """Serve the connection and record it once, however it ends."""
        try:
            await self._converse()
        except BadHead as error:
            await self._refuse(Refused(HTTPStatus.BAD_REQUEST, f"This proxy does not take that request: {error}."))
        except Refused as refused:
            await self._refuse(refused)
        except TunnelRefused as refused:
            self._decision, self._reason = "denied", str(refused)
            log.warning("tunnel refused", session=self._grant.session, host=self._host, reason=self._reason)
            await self._part(refused.last_words)
        except OSError as error:
            self._reason = f"The client's connection broke: {error.strerror or type(error).__name__}."
        except asyncio.CancelledError:
            self._reason = "The proxy was closed."
            raise
        except Exception:
            self._decision, self._reason = "failed", "The proxy failed; its log says why."
            log.exception("egress failed", session=self._grant.session)
        finally:
            self._record()

    @property
    def _host(self) -> str:
        return self._target.host if self._target else ""

    async def _converse(self) -> None:
        if (read := await self._read_head()) is None:
            return
        head, rest = read
        request = parse_request(head)
        self._method = request.method[:_METHOD_CHARS]
        decision = self._grant.policy.decide(request.method, request.target)
        self._target = decision.target
        if isinstance(decision, Denied):
            raise Refused(HTTPStatus.FORBIDDEN, decision.reason)
        try:
            self._grant.usage.check(self._grant.limits)
        except BudgetSpent as error:
            raise Refused(HTTPStatus.FORBIDDEN, SPENT) from error
        body_bytes = body_length(request)
        with await self._grant.dialler.dial(decision) as server:
            self._decision = "allowed"
            deadline = self._started + self._grant.limits.total_s
            relay = self._relay = Relay(self._client, server, self._grant.limits, self._grant.usage, deadline)
            if request.method == "CONNECT":
                await self._tunnel(relay, decision.target, rest)
            else:
                await self._request(relay, onward_head(request, decision.target), rest, body_bytes)

    async def _read_head(self) -> tuple[bytes, bytes] | None:
        """Return the head and what came behind it; None where the client left without a word."""
        limit = self._grant.limits.head_bytes
        data = bytearray()
        try:
            async with asyncio.timeout(self._grant.limits.head_s):
                while (end := data.find(HEAD_END, max(0, len(data) - _READ_BYTES - len(HEAD_END)))) < 0:
                    if len(data) >= limit:
                        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                        raise Refused(status, f"The request's head has more than {limit} bytes.")
                    piece = await self._loop.sock_recv(self._client, min(_READ_BYTES, limit - len(data)))
                    if not piece:
                        if not data:
                            return None
                        raise Refused(HTTPStatus.BAD_REQUEST, "The request's head ended early.")
                    self._asked = True
                    data += piece
        except TimeoutError as error:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The request's head did not come in time.") from error
        return bytes(data[:end]), bytes(data[end + len(HEAD_END) :])

    async def _tunnel(self, relay: Relay, target: Target, rest: bytes) -> None:
        await self._loop.sock_sendall(self._client, ESTABLISHED)
        self._reason = await relay.tunnel(await self._read_hello(target, rest))

    async def _read_hello(self, target: Target, data: bytes) -> bytes:
        """Return the bytes of a TLS hello that asks for the very host that the tunnel was allowed for."""
        reader = ClientHelloReader()
        seen = bytearray(data)
        try:
            async with asyncio.timeout(self._grant.limits.head_s):
                hello = reader.feed(data)
                while hello is None:
                    piece = await self._loop.sock_recv(self._client, _READ_BYTES)
                    if not piece:
                        raise TunnelRefused("The client left before its TLS hello was whole.", seen)
                    seen += piece
                    hello = reader.feed(piece)
        except BadHello as error:
            raise TunnelRefused(f"A tunnel must begin with a TLS hello: {error}.", seen) from error
        except TimeoutError as error:
            raise TunnelRefused("The TLS hello did not come in time.", seen) from error
        # TLS has no server names that are addresses: who asks for an address names nothing.
        if hello.server_name != (None if target.is_address else target.host):
            named = f"names {hello.server_name}" if hello.server_name else "names no server"
            raise TunnelRefused(f"The tunnel is for {target.host}, but its TLS hello {named}.", seen)
        return bytes(seen)

    async def _request(self, relay: Relay, head: bytes, rest: bytes, body_bytes: int) -> None:
        self._reason = await relay.request(head, rest, body_bytes)
        if relay.bytes_down == 0:
            status = HTTPStatus.FORBIDDEN if self._reason == SPENT else HTTPStatus.BAD_GATEWAY
            raise Refused(status, self._reason or f"{self._host} closed the connection without an answer.")

    async def _refuse(self, refused: Refused) -> None:
        self._decision = "failed" if refused.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "denied"
        self._reason = refused.detail
        await self._part(answer(refused.status, refused.hint))

    async def _part(self, last_words: bytes) -> None:
        """Say something and hang up so that it is heard: what the client still sends is read away for a moment."""
        with suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(_PART_S):
                await self._loop.sock_sendall(self._client, last_words)
                self._client.shutdown(socket.SHUT_WR)
                for _ in range(_PART_READS):
                    if not await self._loop.sock_recv(self._client, _READ_BYTES):
                        return

    def _record(self) -> None:
        if not self._asked:
            return
        record = EgressRecord(
            session=self._grant.session,
            user=self._grant.user,
            host=self._host,
            port=self._target.port if self._target else None,
            method=self._method,
            decision=self._decision,
            reason=self._reason,
            bytes_up=self._relay.bytes_up if self._relay else 0,
            bytes_down=self._relay.bytes_down if self._relay else 0,
            duration_s=self._loop.time() - self._started,
        )
        try:
            self._grant.audit(record)
        except Exception:
            log.exception("egress not recorded", record=record)
