"""Asking for more than a profile gives (THREATS U3, D2, D4): of the API, and of the spawner by who holds its socket."""

import itertools
import json
import socket
from collections.abc import Iterator

import httpx2
import pytest

from tests.engine import docker
from tests.stack import ApiSession, Stack

pytestmark = pytest.mark.any_runtime

# Of the engine's `POST /containers/create`: what a container is, and its HostConfig.
FIELDS = """
Annotations ArgsEscaped AttachStderr AttachStdin AttachStdout AutoRemove Binds BlkioDeviceReadBps BlkioDeviceReadIOps
BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeight BlkioWeightDevice CapAdd CapDrop Cgroup CgroupParent CgroupnsMode
Cmd ConsoleSize ContainerIDFile CpuCount CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares
CpusetCpus CpusetMems DeviceCgroupRules DeviceRequests Devices Dns DnsOptions DnsSearch Domainname Entrypoint Env
ExposedPorts ExtraHosts GroupAdd Healthcheck HostConfig Hostname IOMaximumBandwidth IOMaximumIOps Image Init IpcMode
Isolation KernelMemory KernelMemoryTCP Labels Links LogConfig MacAddress MaskedPaths Memory MemoryReservation
MemorySwap MemorySwappiness Mounts NanoCpus NetworkDisabled NetworkMode NetworkingConfig OnBuild OomKillDisable
OomScoreAdj OpenStdin PidMode PidsLimit PortBindings Privileged PublishAllPorts ReadonlyPaths ReadonlyRootfs
RestartPolicy Runtime SecurityOpt Shell ShmSize StdinOnce StopSignal StopTimeout StorageOpt Sysctls Tmpfs Tty UTSMode
Ulimits User UsernsMode Volumes VolumeDriver VolumesFrom WorkingDir
"""
OURS = (
    "image",
    "runtime",
    "network",
    "cpus",
    "memory_mb",
    "pids",
    "disk_mb",
    "uid",
    "owner",
    "id",
    "token",
    "kernel_id",
)
VERBS = """
attach archive build changes commit copy events exec export get_archive import info kill load login logs network_create
pause prune pull push put_archive remove rename resize restart run save start swarm_init tag top unpause update
volume_create wait
"""
PATHS = (
    "/containers/create",
    "/containers/x/exec",
    "/images/create?fromImage=alpine",
    "/build",
    "/volumes/create",
    "/_ping",
)


def casings(field: str) -> set[str]:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field).strip("_")
    return {field, field.lower(), field.upper(), field.swapcase(), field[0].lower() + field[1:], snake}


def spellings() -> Iterator[str]:
    for field in (*FIELDS.split(), *OURS):
        yield from sorted(casings(field))


def asked(stack: Stack, line: bytes) -> dict[str, object]:
    """Send the spawner a line, as an orchestrator that was taken over might."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(stack.folder / "spawner.sock"))
        connection.sendall(line + b"\n")
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            found: dict[str, object] = json.loads(answer.readline())
    return found


def is_refused(answer: dict[str, object]) -> bool:
    refused = answer["refused"]
    return answer["done"] is None and isinstance(refused, dict) and refused["code"] == "bad_request"


def test_no_field_of_a_container_is_taken_from_whoever_makes_a_session(client: httpx2.Client) -> None:
    before = len(client.get("/v1/sessions").json())
    values = itertools.cycle((True, "host", ["/:/host"], {"Privileged": True}))
    for field, value in zip(spellings(), values, strict=False):
        answer = client.post("/v1/sessions", json={field: value})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_request"), (field, value)
    assert len(client.get("/v1/sessions").json()) == before


def test_no_field_of_a_container_is_taken_by_the_spawner(stack: Stack) -> None:
    session_id = "a" * 32
    for field in spellings():
        if field in ("uid",):
            continue
        request = {"verb": "create", "session_id": session_id, "profile": "standard", "uid": 200_500, field: "x"}
        assert is_refused(asked(stack, json.dumps(request).encode())), field
    assert stack.containers(f"label=glovebox.session={session_id}") == []


@pytest.mark.parametrize(
    "profile", ["../standard", "standard\n", "STANDARD", "standard ", "__proto__", "standard,tight"]
)
def test_a_profile_is_one_of_the_names_and_nothing_like_it(client: httpx2.Client, stack: Stack, profile: str) -> None:
    assert client.post("/v1/sessions", json={"profile": profile}).status_code == 422
    request = {"verb": "create", "session_id": "a" * 32, "profile": profile, "uid": 200_500}
    refused = asked(stack, json.dumps(request).encode())["refused"]
    assert isinstance(refused, dict)
    assert refused["code"] == "unknown_profile"


def test_the_spawner_does_nothing_but_its_few_verbs(stack: Stack, session: ApiSession) -> None:
    session.run("kept = 7")
    container = stack.container_of(session.id)
    for verb in VERBS.split():
        for one in casings(verb):
            assert is_refused(asked(stack, json.dumps({"verb": one, "session_id": session.id}).encode())), one
    for path in PATHS:
        for method in ("GET", "POST", "DELETE"):
            assert is_refused(asked(stack, f"{method} {path} HTTP/1.1\r\nHost: docker\r\n\r".encode())), path
    assert stack.container_of(session.id) == container
    assert session.printed("print(kept)") == "7\n"


def test_a_container_that_the_spawner_did_not_make_is_not_touched(stack: Stack) -> None:
    session_id = "b" * 32
    name = f"{stack.instance}-{session_id}"
    foreign = ("--label", "glovebox.instance=another", "--network", "none", "--entrypoint", "/bin/sleep")
    docker("run", "-d", "--name", name, *foreign, "glovebox-sandbox", "600")
    try:
        create = {"verb": "create", "session_id": session_id, "profile": "standard", "uid": 200_500}
        for request in (create, *({"verb": verb, "session_id": session_id} for verb in ("stop", "inspect"))):
            refused = asked(stack, json.dumps(request).encode())["refused"]
            assert isinstance(refused, dict)
            assert refused["code"] == "name_taken", request
        assert docker("inspect", "-f", "{{.State.Running}}", name) == "true"
    finally:
        docker("rm", "-f", name)


def test_of_two_fields_of_one_name_none_wins(stack: Stack) -> None:
    """D2: a filter that reads the first and an engine that reads the last is how others were passed by."""
    line = b'{"verb":"list","verb":"exec"}'
    assert is_refused(asked(stack, line))
    assert is_refused(asked(stack, b'{"verb":"list","VERB":"exec"}'))
