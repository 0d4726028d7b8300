"""Runs inside a sandbox (stdlib only): tries to reach the host, and prints as JSON what every attempt came to.

Usage: probe_reach.py PORT ABSTRACT_NAME ADDRESS...
"""

import json
import socket
import sys
from collections.abc import Callable

PATIENCE_S = 1.0
ENGINE_PORTS = (2375, 2376)
HOST_CID = 2
NAMES = ("host.docker.internal", "gateway.docker.internal", "metadata.google.internal", "example.com")


def attempt(what: Callable[[], object]) -> str:
    try:
        what()
    except OSError as error:
        return f"failed: {error}"
    return "reached"


def tcp(address: str, port: int) -> None:
    socket.create_connection((address, port), PATIENCE_S).close()


def udp(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(b"from a sandbox", (address, port))


def vsock(port: int) -> None:
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as line:
        line.settimeout(PATIENCE_S)
        line.connect((HOST_CID, port))


def abstract(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"\0{name}")


def main(port: int, name: str, addresses: list[str]) -> None:
    attempts: dict[str, Callable[[], object]] = {
        "vsock": lambda: vsock(port),
        "abstract socket": lambda: abstract(name),
        "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "icmp": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close(),
    }
    for address in addresses:
        attempts[f"udp {address}"] = lambda address=address: udp(address, port)
        for one in (port, *ENGINE_PORTS):
            attempts[f"tcp {address} {one}"] = lambda address=address, one=one: tcp(address, one)
    for host in NAMES:
        attempts[f"name {host}"] = lambda host=host: socket.getaddrinfo(host, 80)
    sys.stdout.write(json.dumps({told: attempt(what) for told, what in attempts.items()}))


main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
