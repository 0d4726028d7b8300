"""The way to a sandbox's socket, on real sockets: only a socket of the session's own is ever connected to."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.kernel.door import NotOurSocket, connect_to_gateway, opened_socket, peer

UID = os.getuid()
IS_ROOT = UID == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root gives a socket to another uid")


class Listener:
    """A listener that says its name to whoever connects, and counts."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.connections = 0
        self._server: asyncio.Server

    async def open(self) -> "Listener":
        # By a short way: the path of a socket may have no more than 107 bytes.
        folder = os.open(self.path.parent, os.O_PATH)
        self._server = await asyncio.start_unix_server(self._greet, f"/proc/self/fd/{folder}/{self.path.name}")
        os.close(folder)
        return self

    async def _greet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(self.name.encode())
        writer.close()

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
async def gateway(run: Path) -> AsyncIterator[Listener]:
    listener = await Listener("gateway", run / "gw.sock").open()
    yield listener
    await listener.close()


@pytest.fixture
async def canary(tmp_path: Path) -> AsyncIterator[Listener]:
    """Listen where nobody may connect: another session's socket, or the spawner's."""
    listener = await Listener("canary", tmp_path / "canary.sock").open()
    yield listener
    await listener.close()


async def heard(connection: socket.socket) -> str:
    with connection:
        return (await asyncio.get_running_loop().sock_recv(connection, 100)).decode()


def open_files() -> list[str]:
    return os.listdir("/proc/self/fd")


async def test_a_real_socket_is_connected_to(run: Path, gateway: Listener) -> None:
    connection = await connect_to_gateway(run, UID, 60)
    assert peer(connection) == UID
    assert await heard(connection) == "gateway"


async def test_the_depth_of_the_folder_does_not_matter(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True)
    listener = await Listener("deep", deep / "gw.sock").open()
    assert await heard(await connect_to_gateway(deep, UID, 5)) == "deep"
    await listener.close()


@needs_root
async def test_a_socket_that_gvisor_has_made_but_not_yet_given_away_is_waited_for(run: Path, gateway: Listener) -> None:
    asyncio.get_running_loop().call_later(0.2, os.chown, run / "gw.sock", 200_001, 200_001)
    assert await heard(await connect_to_gateway(run, 200_001, 5, peer_uid=UID)) == "gateway"


@needs_root
async def test_a_socket_that_stays_its_makers_is_never_connected_to(run: Path, gateway: Listener) -> None:
    with pytest.raises(TimeoutError):
        await connect_to_gateway(run, 200_001, 0.2, peer_uid=UID)
    assert gateway.connections == 0


def put_link(run: Path, canary: Path) -> None:
    (run / "gw.sock").symlink_to(canary)


def put_relative_link(run: Path, canary: Path) -> None:
    (run / "gw.sock").symlink_to(f"../{canary.name}")


def put_link_to_link(run: Path, canary: Path) -> None:
    (run / "other").symlink_to(canary)
    (run / "gw.sock").symlink_to("other")


def put_hard_link(run: Path, canary: Path) -> None:
    os.link(canary, run / "gw.sock")


def put_file(run: Path, _: Path) -> None:
    (run / "gw.sock").write_text("x")


def put_folder(run: Path, _: Path) -> None:
    (run / "gw.sock").mkdir()


def put_fifo(run: Path, _: Path) -> None:
    os.mkfifo(run / "gw.sock")


def put_dangling_link(run: Path, _: Path) -> None:
    (run / "gw.sock").symlink_to("nowhere")


@pytest.mark.parametrize(
    "put",
    [put_link, put_relative_link, put_link_to_link, put_hard_link, put_file, put_folder, put_fifo, put_dangling_link],
)
async def test_anything_but_the_own_socket_is_refused_at_once(
    run: Path, canary: Listener, put: Callable[[Path, Path], None]
) -> None:
    put(run, canary.path)
    before, began = open_files(), time.monotonic()
    with pytest.raises(NotOurSocket, match="replaced by something else"):
        await connect_to_gateway(run, UID, 60)
    assert time.monotonic() - began < 20
    assert open_files() == before
    assert canary.connections == 0


async def test_a_socket_of_another_uid_is_refused(run: Path, gateway: Listener) -> None:
    with pytest.raises(NotOurSocket):
        await connect_to_gateway(run, UID + 1, 5)
    assert gateway.connections == 0


@needs_root
async def test_a_socket_that_was_given_to_another_uid_is_refused(run: Path, gateway: Listener) -> None:
    os.chown(gateway.path, 200_001, 200_001)
    with pytest.raises(NotOurSocket, match="replaced by something else"):
        await connect_to_gateway(run, UID, 60)


@needs_root
async def test_a_process_of_another_uid_behind_the_right_file_is_refused(run: Path, gateway: Listener) -> None:
    os.chown(gateway.path, 200_001, 200_001)
    before = open_files()
    with pytest.raises(NotOurSocket, match="Another process answers"):
        await connect_to_gateway(run, 200_001, 5)
    assert open_files() == before
    assert await heard(await connect_to_gateway(run, 200_001, 5, peer_uid=UID)) == "gateway"  # as with gVisor


async def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, run: Path, gateway: Listener) -> None:
    (tmp_path / "link").symlink_to(run)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        await connect_to_gateway(tmp_path / "link", UID, 5)
    assert gateway.connections == 0


async def test_what_was_checked_is_what_is_connected_to(run: Path, gateway: Listener, canary: Listener) -> None:
    with opened_socket(run, UID) as path:
        gateway.path.rename(run / "old")
        gateway.path.symlink_to(canary.path)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
    connection.setblocking(False)
    assert await heard(connection) == "gateway"
    assert canary.connections == 0


async def test_a_socket_swapped_for_a_link_over_and_over_never_leads_elsewhere(
    run: Path, gateway: Listener, canary: Listener
) -> None:
    (run / "link").symlink_to(canary.path)
    gateway.path.rename(run / "real")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for name in ("link", "real"):
                (run / name).rename(run / "gw.sock")
                (run / "gw.sock").rename(run / name)

    swapper = threading.Thread(target=swap)
    swapper.start()
    until = time.monotonic() + 5
    for number in range(100_000):
        with suppress(NotOurSocket, TimeoutError):
            (await connect_to_gateway(run, UID, 0.05)).close()
            await asyncio.sleep(0)
        if (number > 100 and gateway.connections) or time.monotonic() > until:
            break
    done.set()
    swapper.join()
    assert gateway.connections > 0
    assert canary.connections == 0


async def test_a_gateway_that_is_not_up_yet_is_waited_for(run: Path) -> None:
    waiting = asyncio.ensure_future(connect_to_gateway(run, UID, 60))
    await asyncio.sleep(0.02)
    stale = socket.socket(socket.AF_UNIX)  # bound, but nobody listens yet
    stale.bind(str(run / "gw.sock"))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    stale.listen()
    (await waiting).close()
    stale.close()


@pytest.mark.parametrize("stale", [True, False])
async def test_waiting_ends_at_the_deadline(run: Path, stale: bool) -> None:
    if stale:
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(run / "gw.sock"))
        left.close()
    before, began = open_files(), time.monotonic()
    with pytest.raises(TimeoutError):
        await connect_to_gateway(run, UID, 0.1)
    assert 0.05 < time.monotonic() - began < 20
    assert open_files() == before


def test_a_socket_that_is_not_there_is_told_as_such(run: Path) -> None:
    with pytest.raises(FileNotFoundError), opened_socket(run, UID):
        pass
