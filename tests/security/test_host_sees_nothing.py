"""A sandbox tries to reach the host in every way there is (THREATS S3); a host that listens everywhere sees nothing.

What must not be seen is seen from a container with a network: the negative control.
"""

import json
import socket
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.engine import docker
from tests.stack import ApiSession, wait_for

PROBE = Path(__file__).with_name("probe_reach.py").read_text()
ALL_PROTOCOLS = 0x0003
# Metadata services, the engine's usual bridge, the world, and everybody near.
WELL_KNOWN = ("169.254.169.254", "fd00:ec2::254", "172.17.0.1", "8.8.8.8", "2001:4860:4860::8888", "255.255.255.255")
TCP, UDP = 6, 17


@dataclass
class Ears:
    """All on this host that would hear a sandbox: what heard something, and from which port it came."""

    port: int
    abstract_name: str
    heard: list[tuple[str, int]] = field(default_factory=list)

    def arguments(self) -> list[str]:
        """Return the probe's arguments: every address that this host has, and those that are well known."""
        own = {
            address.address.split("%")[0]
            for addresses in psutil.net_if_addrs().values()
            for address in addresses
            if address.family in (socket.AF_INET, socket.AF_INET6)
        }
        return [str(self.port), self.abstract_name, *sorted(own - {"127.0.0.1", "::1"}), *WELL_KNOWN]

    def hear_ourselves(self) -> set[int]:
        """Be heard by each ear, after whatever came before, and return the ports we did it from."""
        with (
            socket.create_connection(("127.0.0.1", self.port)) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_UNIX) as unix,
        ):
            udp.sendto(b"from the host", ("127.0.0.1", self.port))
            unix.connect(f"\0{self.abstract_name}")
            ours = {tcp.getsockname()[1], udp.getsockname()[1]}
            wait_for(lambda: {("tcp", port) for port in ours} & set(self.heard), "the ear for TCP")
            wait_for(lambda: {("udp", port) for port in ours} & set(self.heard), "the ear for UDP")
            wait_for(lambda: {("packet", port) for port in ours} <= set(self.heard), "the ear for packets")
            wait_for(lambda: ("abstract", 0) in self.heard, "the ear for abstract sockets")
        return ours


@pytest.fixture
def ears() -> Iterator[Ears]:
    """Listen on all addresses by TCP and UDP and on an abstract socket, and look at every packet."""
    stop = threading.Event()
    with ExitStack() as opened:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        tcp = opened.enter_context(socket.create_server(("", 0), family=family, dualstack_ipv6=both))
        found = Ears(tcp.getsockname()[1], f"glovebox-{uuid.uuid4().hex}")
        udp = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        if both:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.bind(("", found.port))
        unix = opened.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(f"\0{found.abstract_name}")
        unix.listen()
        wire = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)))
        ways = {"tcp": tcp, "udp": udp, "abstract": unix, "packet": wire}
        threads = [threading.Thread(target=listen, args=(found, *way, stop)) for way in ways.items()]
        for thread in threads:
            thread.start()
        try:
            yield found
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def listen(ears: Ears, way: str, listener: socket.socket, stop: threading.Event) -> None:
    """Note what one listener hears until told to stop."""
    listener.settimeout(0.2)
    while not stop.is_set():
        with suppress(TimeoutError):
            match way:
                case "packet":
                    source, target = ports_of(listener.recv(2000)) or (0, 0)
                    if target == ears.port:
                        ears.heard.append((way, source))
                case "udp":
                    ears.heard.append((way, listener.recvfrom(2000)[1][1]))
                case _:
                    line, address = listener.accept()
                    line.close()
                    ears.heard.append((way, address[1] if way == "tcp" else 0))


def ports_of(frame: bytes) -> tuple[int, int] | None:
    """Return the ports that a TCP or UDP packet comes from and goes to."""
    version = frame[14] >> 4 if len(frame) >= 38 else 0
    if version == 4:
        protocol, start = frame[23], 14 + 4 * (frame[14] & 15)
    elif version == 6:
        protocol, start = frame[20], 14 + 40
    else:
        return None
    if protocol not in (TCP, UDP) or len(frame) < start + 4:
        return None
    source, target = struct.unpack_from(">HH", frame, start)
    return source, target


def test_a_sandbox_reaches_nothing_of_the_host_and_nobody_there_sees_that_it_tried(
    session: ApiSession, ears: Ears
) -> None:
    session.put("reach.py", PROBE.encode())
    tried: dict[str, str] = json.loads(
        session.printed(
            "import subprocess, sys\n"
            f"print(subprocess.check_output([sys.executable, 'reach.py', *{ears.arguments()!r}], text=True))"
        )
    )
    assert len(tried) > 20
    assert {what: outcome for what, outcome in tried.items() if outcome == "reached"} == {}
    ours = ears.hear_ourselves()
    assert [one for one in ears.heard if one[0] != "abstract" and one[1] not in ours] == []
    assert ears.heard.count(("abstract", 0)) == 1


def test_the_same_attempts_are_seen_from_a_container_with_a_network(ears: Ears) -> None:
    tried = json.loads(
        docker(
            *("run", "--rm", "--network", "bridge", "--user", "200999", "--entrypoint", "/opt/python/bin/python"),
            *("glovebox-sandbox", "-c", PROBE, *ears.arguments()),
        )
    )
    assert any(outcome == "reached" for what, outcome in tried.items() if what.startswith("udp"))
    ours = ears.hear_ourselves()
    assert [one for one in ears.heard if one[0] == "packet" and one[1] not in ours] != []
