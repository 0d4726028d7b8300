"""A kernel's voice: whatever strikes while it speaks, each message arrives once, whole and in its order."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pytest

from sandbox_image.glovebox_voice import DELIMITER, Channel, Voice
from sandbox_image.glovebox_wire import frame_at, unpacked


class Struck(Exception):
    """What a signal's handler raises, anywhere."""


class Ear:
    """Hears a voice from a thread of its own, slowly."""

    def __init__(self, path: Path) -> None:
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen()
        self.heard: list[tuple[str, bytes]] = []
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._door.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._hear, args=(connection,)))
                self._threads[-1].start()

    def _hear(self, connection: socket.socket) -> None:
        read = bytearray()
        with connection:
            while data := connection.recv(5_000):
                read += data
                while (frame := frame_at(read, 0)) is not None:
                    channel, parts = unpacked(bytes(read[frame[0] : frame[1]]))
                    self.heard.append((channel, parts[0]))
                    del read[: frame[1]]
        assert not read, "half a frame is left"

    def close(self) -> None:
        with suppress(OSError):  # it is closed already
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    ear = Ear(tmp_path / "ear")
    yield ear
    ear.close()


def message(text: bytes) -> list[bytes]:
    return [b"topic", DELIMITER, b"", text, b"{}", b"{}", b"{}"]


def hang_up(voice: Voice) -> None:
    voice.socket.close()


def test_what_waits_goes_with_the_next_message(ear: Ear, tmp_path: Path) -> None:
    voice = Voice(str(tmp_path / "ear"))
    Channel(voice, "shell", waits=True).send_multipart(message(b"1"))
    time.sleep(0.05)
    assert ear.heard == []
    Channel(voice, "iopub").send_multipart(message(b"2"))
    hang_up(voice)
    ear.close()
    assert ear.heard == [("shell", b"1"), ("iopub", b"2")]


def test_signals_that_raise_while_it_speaks_break_nothing(ear: Ear, tmp_path: Path) -> None:
    voice = Voice(str(tmp_path / "ear"))
    texts = [b"%d " % number + os.urandom(30_000) for number in range(300)]
    struck = 0

    def strike(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code in (Voice.speak.__code__, Voice._say.__code__):
                raise Struck
            frame = frame.f_back

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    try:
        for text in texts:
            voice.think("iopub", [text, b"{}", b"{}", b"{}"])
            try:
                voice.speak()
            except Struck:
                struck += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    voice.speak()
    hang_up(voice)
    ear.close()
    assert struck > 10
    assert [text for _, text in ear.heard] == texts


def test_threads_that_speak_at_once_do_not_mix(ear: Ear, tmp_path: Path) -> None:
    voice = Voice(str(tmp_path / "ear"))
    channel = Channel(voice, "iopub")

    def talk(who: int) -> None:
        for number in range(50):
            channel.send_multipart(message(b"%d %d " % (who, number) + bytes(20_000)))

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hang_up(voice)
    ear.close()
    for who in range(4):
        said = [int(text.split()[1]) for _, text in ear.heard if text.startswith(b"%d " % who)]
        assert said == list(range(50))


def test_a_forked_process_has_a_connection_of_its_own(ear: Ear, tmp_path: Path) -> None:
    voice = Voice(str(tmp_path / "ear"))
    channel = Channel(voice, "iopub")
    channel.send_multipart(message(b"parent"))
    Channel(voice, "iopub", waits=True).send_multipart(message(b"the parent's"))
    pid = os.fork()
    if pid == 0:
        channel.send_multipart(message(b"child"))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    channel.send_multipart(message(b"again"))
    hang_up(voice)
    ear.close()
    assert sorted(text for _, text in ear.heard) == [b"again", b"child", b"parent", b"the parent's"]
    assert ear.connections == 2
