"""The forwarder in a sandbox: usual HTTP clients reach the proxy's socket by host and port."""

import asyncio
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from socket import create_server

import pytest

from orchestrator.egress.policy import AllowedHost
from sandbox_image.egress_forwarder import egress_is_offered, forward
from tests.unit.egress_world import LOOPBACK, World, get, make_certificate, until


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@asynccontextmanager
async def forwarded(world: World, connections: int = 8) -> AsyncIterator[int]:
    """Run a forwarder and yield its port."""
    with create_server((LOOPBACK, 0)) as listener:
        listener.setblocking(False)
        task = asyncio.create_task(forward(listener, world.socket, connections))
        try:
            yield listener.getsockname()[1]
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def fetch(url: str, forwarder: int, tls: ssl.SSLContext | None = None) -> bytes:
    """Fetch a URL as code in a sandbox would."""
    proxies = urllib.request.ProxyHandler(dict.fromkeys(("http", "https"), f"http://{LOOPBACK}:{forwarder}"))
    opener = urllib.request.build_opener(proxies, urllib.request.HTTPSHandler(context=tls))
    with opener.open(url, timeout=60) as response:
        content: bytes = response.read()
        return content


async def test_a_usual_client_reaches_a_listed_host(world: World, tmp_path: Path) -> None:
    server, client = make_certificate(tmp_path, "example.com")
    async with (
        world.server() as plain,
        world.server(tls=server) as secure,
        world.proxy(AllowedHost("example.com", ports=(plain, secure))),
        forwarded(world) as forwarder,
    ):
        assert await asyncio.to_thread(fetch, f"http://example.com:{plain}/a", forwarder) == b"hello"
        assert await asyncio.to_thread(fetch, f"https://example.com:{secure}/b", forwarder, client) == b"hello"
        await world.recorded(2)
    assert [head.split(b"\r\n")[0] for head in world.heard] == [b"GET /a HTTP/1.1", b"GET /b HTTP/1.1"]


async def test_a_usual_client_shows_why_it_was_denied(world: World) -> None:
    async with world.proxy(AllowedHost("example.com")), forwarded(world) as forwarder:
        for scheme in ("http", "https"):
            with pytest.raises(urllib.error.URLError, match=r"may not reach evil\.example; its profile allows: exampl"):
                await asyncio.to_thread(fetch, f"{scheme}://evil.example/", forwarder)
        await world.recorded(2)


async def test_a_proxy_that_is_started_again_is_found_again(world: World) -> None:
    async with world.server() as port, forwarded(world) as forwarder:
        for _ in range(2):
            async with world.proxy(AllowedHost("example.com", ports=(port,))):
                assert await asyncio.to_thread(fetch, f"http://example.com:{port}/", forwarder) == b"hello"
            with pytest.raises(OSError):
                await asyncio.to_thread(fetch, f"http://example.com:{port}/", forwarder)


async def test_more_connections_than_allowed_wait(world: World) -> None:
    async with (
        world.server(world.swallow) as port,
        world.proxy(AllowedHost("example.com", ports=(port,))),
        forwarded(world, connections=2) as forwarder,
    ):
        clients = [await asyncio.open_connection(LOOPBACK, forwarder) for _ in range(3)]
        for _, writer in clients:
            writer.write(get(f"http://example.com:{port}/"))
        await until(lambda: world.connections == 2)
        await asyncio.sleep(0.05)
        assert world.connections == 2
        clients[0][1].close()
        clients[1][1].close()
        await until(lambda: world.connections == 3)
        clients[2][1].close()
        await world.recorded(3)


async def test_a_client_that_sends_much_to_a_denied_host_still_reads_why(world: World) -> None:
    async with world.proxy(), forwarded(world) as forwarder:
        reader, writer = await asyncio.open_connection(LOOPBACK, forwarder)
        writer.write(get("http://evil.example/", "Content-Length: 200000", method="POST", body=bytes(200_000)))
        assert (await reader.read()).startswith(b"HTTP/1.1 403 ")
        writer.close()


def test_the_process_forwards_from_the_socket_that_it_is_given(world: World) -> None:
    """The whole process but for its proxy's path."""
    listener = create_server((LOOPBACK, 0))
    port, number = listener.getsockname()[1], listener.fileno()
    program = "import sys; from pathlib import Path; import egress_forwarder as f; "
    program += "f.PROXY_SOCKET = Path(sys.argv[2]); f.egress_is_offered = lambda: True; f.main()"
    folder = Path(sys.modules[forward.__module__].__file__ or "").parent

    async def scenario() -> bytes:
        async with world.server() as server, world.proxy(AllowedHost("example.com", ports=(server,))):
            command = [sys.executable, "-c", program, str(number), str(world.socket)]
            with subprocess.Popen(command, cwd=folder, pass_fds=[number]) as process:
                try:
                    async with asyncio.timeout(30):  # nobody has to try twice: who comes early waits
                        return await asyncio.to_thread(fetch, f"http://example.com:{server}/", port)
                finally:
                    process.kill()

    with listener:
        assert asyncio.run(scenario()) == b"hello"


def test_nothing_is_offered_where_there_is_no_socket(tmp_path: Path) -> None:
    assert not egress_is_offered(tmp_path / "proxy.sock")
    (tmp_path / "proxy.sock").write_text("")
    assert not egress_is_offered(tmp_path / "proxy.sock")


def test_the_process_ends_at_once_where_there_is_no_egress(root: Path) -> None:
    command = [sys.executable, "-I", "-S", str(root / "sandbox_image/egress_forwarder.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
