"""An internet on one loopback for the tests of the egress proxy: names, servers on 127.0.0.1, and a proxy between."""

import asyncio
import ipaddress
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestrator.egress.budgets import EgressLimits
from orchestrator.egress.dialling import check_by_rule
from orchestrator.egress.exchange import EgressRecord
from orchestrator.egress.policy import AllowedHost, EgressPolicy
from orchestrator.egress.proxy import EgressProxy

LOOPBACK = "127.0.0.1"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class World:
    """Names and what they lead to, servers and what they were told, and the records of the proxy."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "egress" / "proxy.sock"
        self.records: list[EgressRecord] = []
        self.names: dict[str, list[list[str]]] = {}
        self.lookups: list[str] = []
        self.heard: list[bytes] = []
        self.connections = 0

    async def resolve(self, name: str, port: int) -> Sequence[str]:
        """Answer as `names` says, a name's answers one after the other; else with the loopback."""
        self.lookups.append(name)
        answers = self.names.get(name, [[LOOPBACK]])
        answer = answers[min(self.lookups.count(name), len(answers)) - 1]
        if not answer:
            raise OSError("no such name")
        return answer

    @staticmethod
    def check(address: ipaddress.IPv4Address | ipaddress.IPv6Address, allow_private: bool) -> str | None:
        """Let the servers of the tests through, and judge all else as usual."""
        return None if str(address) == LOOPBACK else check_by_rule(address, allow_private)

    @asynccontextmanager
    async def server(self, talk: Talk | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Serve on a free port, which is yielded; what clients send is added to `heard`."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                await (talk or self.hear_and_answer)(reader, writer)
            except OSError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(answer, LOOPBACK, 0, ssl=tls)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def hear_and_answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, with its body, and answer it."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heard.append(head)
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                self.heard.append(await reader.readexactly(int(line.partition(b":")[2])))
        writer.write(ANSWER)
        await writer.drain()

    async def swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Listen until the client ends, and never say a word."""
        while data := await reader.read(2**16):
            self.heard.append(data)

    def proxy(self, *hosts: AllowedHost, **settings: Any) -> EgressProxy:
        """Return a proxy for these hosts; `limits` are given by name, one by one."""
        named = {name: settings.pop(name) for name in tuple(settings) if name in EgressLimits.__slots__}
        settings.setdefault("resolve", self.resolve)
        settings.setdefault("check_address", self.check)
        settings.setdefault("audit", self.records.append)
        return EgressProxy(
            self.socket,
            session="s1",
            user="ada",
            policy=EgressPolicy(hosts),
            limits=EgressLimits(**named),
            **settings,
        )

    async def ask(self, data: bytes) -> bytes:
        """Send bytes to the proxy and return all that comes back."""
        reader, writer = await self.connect(data)
        try:
            async with asyncio.timeout(30):
                return await reader.read()
        finally:
            writer.close()

    async def connect(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to the proxy and send bytes."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write(data)
        return reader, writer

    async def tunnel(self, authority: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a tunnel that the proxy agrees to."""
        reader, writer = await self.connect(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        async with asyncio.timeout(30):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
        return reader, writer

    async def recorded(self, count: int = 1) -> EgressRecord:
        """Wait for so many records; make sure that no more come; return the last one."""
        await until(lambda: len(self.records) >= count)
        await asyncio.sleep(0.01)
        assert len(self.records) == count, self.records
        return self.records[-1]


def listed(port: int, *methods: str, name: str = "example.com") -> AllowedHost:
    """Return an entry for a server of the tests."""
    return AllowedHost(name, ports=(port,), methods=methods or ("GET", "HEAD"))


def get(url: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request to a proxy."""
    return "\r\n".join((f"{method} {url} HTTP/1.1", *headers, "", "")).encode("latin-1") + body


async def until(happened: Callable[[], bool], deadline_s: float = 5.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(deadline_s):
        while not happened():
            await asyncio.sleep(0.002)


def make_certificate(folder: Path, *hosts: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return TLS settings of a server with these names, and of a client that trusts just it."""
    names = ",".join(f"IP:{host}" if host[0].isdigit() else f"DNS:{host}" for host in hosts)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "1", "-subj", "/CN=test", "-addext", f"subjectAltName={names}"),
            *("-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))
