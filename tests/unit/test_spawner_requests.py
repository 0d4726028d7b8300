"""What may be asked of the spawner, and what a sandbox's container is made of: the posture, line by line."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.config import Profile
from orchestrator.errors import SandboxUnavailable
from orchestrator.limits import REQUEST_LINE_BYTES
from orchestrator.lines.messages import FIRST_UID, LAST_UID
from orchestrator.spawner.container import DataInFolder, DataOnVolume, container_settings
from orchestrator.spawner.engine import Engine
from orchestrator.spawner.requests import REQUEST, Create, Inspect, ListSandboxes, Stop
from orchestrator.spawner.seccomp import seccomp_profile
from orchestrator.spawner.server import SpawnerServer
from orchestrator.spawner_client import SpawnerClient

ID = "0123456789abcdef0123456789abcdef"
UID = 200_001
MIB = 2**20
GOOD: dict[str, Any] = {"verb": "create", "session_id": ID, "profile": "standard", "uid": UID}


def parsed(**fields: Any) -> Any:
    return REQUEST.validate_json(json.dumps(fields))


def settings(profile: Profile | None = None, data: DataOnVolume | DataInFolder | None = None) -> dict[str, Any]:
    request = Create(session_id=ID, profile="standard", uid=UID)
    return container_settings(request, profile or Profile(), data or DataOnVolume("volume"), {"label": "1"})


def test_every_verb_is_known() -> None:
    assert parsed(**GOOD) == Create(session_id=ID, profile="standard", uid=UID)
    assert parsed(verb="stop", session_id=ID) == Stop(session_id=ID)
    assert parsed(verb="inspect", session_id=ID) == Inspect(session_id=ID)
    assert parsed(verb="list") == ListSandboxes()


@pytest.mark.parametrize(
    "verb", ["exec", "Create", "create ", "", None, 1, ["create"], {"verb": "create"}, "__class__"]
)
def test_an_unknown_verb_is_refused(verb: Any) -> None:
    with pytest.raises(ValidationError):
        parsed(**{**GOOD, "verb": verb})


@pytest.mark.parametrize(
    "field",
    [
        {"image": "alpine"},
        {"Image": "alpine"},
        {"mounts": []},
        {"HostConfig": {"Privileged": True}},
        {"hostconfig": {}},
        {"privileged": True},
        {"runtime": "runc"},
        {"env": {}},
        {"Session_id": ID},
        {"": ""},
    ],
)
@pytest.mark.parametrize("request_of", [GOOD, {"verb": "stop", "session_id": ID}, {"verb": "list"}, {"verb": "check"}])
def test_an_unknown_field_is_refused(request_of: dict[str, Any], field: dict[str, Any]) -> None:
    assert parsed(**request_of)
    with pytest.raises(ValidationError):
        parsed(**request_of, **field)


@pytest.mark.parametrize("missing", list(GOOD))
def test_a_missing_field_is_refused(missing: str) -> None:
    with pytest.raises(ValidationError):
        parsed(**{key: value for key, value in GOOD.items() if key != missing})


@pytest.mark.parametrize(
    "session_id",
    [
        "",
        ID[:-1],
        ID + "0",
        ID * 1000,
        ID.upper(),
        ID[:-1] + "g",
        ID[:-1] + "\n",
        ID + "\n",
        "\n" + ID[:-1],
        "../" * 10,
        "/" * 32,
        "." * 32,
        "０" * 32,
        ID[:-1] + "\x00",
        12345,
        None,
        [ID],
        {"id": ID},
    ],
)
@pytest.mark.parametrize("verb", ["create", "stop", "inspect", "stats"])
def test_a_session_id_that_is_none_is_refused(verb: str, session_id: Any) -> None:
    with pytest.raises(ValidationError):
        parsed(**({**GOOD, "session_id": session_id} if verb == "create" else {"verb": verb, "session_id": session_id}))


@pytest.mark.parametrize(
    "uid", [0, -1, 1000, FIRST_UID - 1, LAST_UID + 1, 2**63, "200001", 200001.0, True, None, [UID]]
)
def test_a_uid_that_is_no_sandboxs_is_refused(uid: Any) -> None:
    with pytest.raises(ValidationError):
        parsed(**{**GOOD, "uid": uid})


@pytest.mark.parametrize("profile", ["x" * 41, None, 1, ["standard"], {"privileged": True}])
def test_a_profile_that_is_no_name_is_refused(profile: Any) -> None:
    with pytest.raises(ValidationError):
        parsed(**{**GOOD, "profile": profile})


@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_any_line_is_a_request_or_refused(line: bytes) -> None:
    with pytest.raises(ValidationError):
        REQUEST.validate_json(line)


def test_the_posture_of_a_sandbox() -> None:
    host = settings()["HostConfig"]
    wanted = {
        "Runtime": "runc",
        "NetworkMode": "none",
        "CapDrop": ["ALL"],
        "Privileged": False,
        "ReadonlyRootfs": True,
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Init": True,
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
        "LogConfig": {"Type": "none"},
        "OomScoreAdj": 500,
    }
    assert {name: host[name] for name in wanted} == wanted
    assert host["SecurityOpt"] == ["no-new-privileges:true", f"seccomp={seccomp_profile()}"]


def test_nothing_else_is_asked_of_the_engine() -> None:
    """A new setting has to be added here on purpose: none of the engine's others is harmless."""
    made = settings()
    about = {"Image", "User", "WorkingDir", "Hostname", "Labels", "StopTimeout", "Env", "HostConfig"}
    limits = {"Memory", "MemorySwap", "OomScoreAdj", "NanoCpus", "PidsLimit", "ShmSize", "Ulimits", "Tmpfs"}
    limits |= {"CpuShares"}
    sealed = {"Runtime", "NetworkMode", "CapDrop", "SecurityOpt", "Privileged", "ReadonlyRootfs", "IpcMode"}
    sealed |= {"CgroupnsMode", "Init", "RestartPolicy", "AutoRemove", "LogConfig", "MaskedPaths", "ReadonlyPaths"}
    assert set(made) == about
    assert set(made["HostConfig"]) == limits | sealed | {"Mounts"}


def test_a_sandbox_runs_as_its_own_uid_and_group() -> None:
    assert settings()["User"] == f"{UID}:{UID}"


def test_the_limits_are_those_of_the_profile() -> None:
    host = settings(Profile(cpus=0.5, memory_mb=512, pids=99, disk_mb=100, tmp_mb=33, runtime="runsc"))["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 512 * MIB
    assert (host["NanoCpus"], host["PidsLimit"], host["Runtime"]) == (500_000_000, 99, "runsc")
    assert host["CpuShares"] < 1024  # what everybody else has
    ulimits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]}
    assert ulimits == {
        "core": (0, 0),
        "nofile": (4096, 4096),
        "nproc": (99, 99),
        "fsize": (100 * MIB, 100 * MIB),
        "memlock": (8 * MIB, 8 * MIB),
        "msgqueue": (0, 0),
        "nice": (0, 0),
        "rtprio": (0, 0),
        "sigpending": (4096, 4096),
    }
    assert set(host["Tmpfs"]) == {"/tmp", "/home/sandbox"}
    for options in host["Tmpfs"].values():
        assert {"noexec", "nosuid", "nodev", "size=33m", "nr_inodes=8192"} <= set(options.split(","))
    assert f"mode=0700,uid={UID},gid={UID}" in host["Tmpfs"]["/home/sandbox"]


@pytest.mark.parametrize(("cpus", "threads"), [(0.25, 1), (1, 1), (1.5, 2), (4, 4)])
def test_the_environment_is_a_short_list_of_our_own(cpus: float, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    environ = dict(line.split("=", 1) for line in settings(Profile(cpus=cpus))["Env"])
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "LOKY_MAX_CPU_COUNT"]
    assert environ == {
        "PATH": "/opt/python/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/home/sandbox",
        "USER": "sandbox",
        **dict.fromkeys(names, str(threads)),
    }
    assert "canary" not in json.dumps(settings())


PLACES = {"workspace": "/mnt/data", "run": "/run/glovebox", "egress": "/run/egress"}


@pytest.mark.parametrize(
    ("network", "folders"),
    [("none", ["workspace", "run"]), ("packages", list(PLACES)), ("allowlist", list(PLACES))],
)
def test_only_the_folders_of_the_session_are_mounted_and_the_way_out_read_only(
    network: str, folders: list[str]
) -> None:
    profile = Profile(network=network)  # type: ignore[arg-type]
    assert settings(profile, data=DataOnVolume("glovebox-data"))["HostConfig"]["Mounts"] == [
        {
            "Type": "volume",
            "Source": "glovebox-data",
            "Target": PLACES[name],
            "ReadOnly": name == "egress",
            "VolumeOptions": {"Subpath": f"sessions/{ID}/{name}", "NoCopy": True},
        }
        for name in folders
    ]
    assert settings(profile, data=DataInFolder("/data"))["HostConfig"]["Mounts"] == [
        {
            "Type": "bind",
            "Source": f"/data/sessions/{ID}/{name}",
            "Target": PLACES[name],
            "ReadOnly": name == "egress",
            "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
        }
        for name in folders
    ]


def test_what_tells_about_the_host_is_masked() -> None:
    host = settings()["HostConfig"]
    assert {"/proc/kcore", "/proc/cmdline", "/proc/interrupts", "/sys/firmware", "/sys/class/dmi"} <= set(
        host["MaskedPaths"]
    )
    assert {"/proc/sys", "/proc/sysrq-trigger"} <= set(host["ReadonlyPaths"])


def test_the_settings_are_json_and_the_labels_go_through() -> None:
    assert json.loads(json.dumps(settings())) == settings()
    assert settings()["Labels"] == {"label": "1"}


@pytest.fixture
async def spawner(tmp_path: Path) -> AsyncIterator[Path]:
    """Serve a spawner without an engine on a real socket."""
    path = tmp_path / "spawner.sock"
    nowhere = f"unix://{tmp_path / 'no-engine.sock'}"
    engine = Engine("test", {"standard": Profile()}, DataInFolder(str(tmp_path)), nowhere)
    engine.watch_out_of_memory = lambda: None  # type: ignore[method-assign]
    serving = asyncio.create_task(SpawnerServer(engine, path).serve())
    while not path.exists():
        await asyncio.sleep(0.005)
    yield path
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def answer(path: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_only_owner_and_group_may_connect(spawner: Path) -> None:
    assert spawner.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"GET / HTTP/1.1\r\n", b'{"verb":"exec"}\n', b"\xff\xfe\n", b"[" * 1000]
)
async def test_what_makes_no_sense_is_answered_with_a_refusal(spawner: Path, line: bytes) -> None:
    told = json.loads(await answer(spawner, line))
    assert told == {
        "done": None,
        "refused": {"code": "bad_request", "detail": "The spawner does not know that request."},
    }


async def test_a_line_without_end_is_not_answered(spawner: Path) -> None:
    with pytest.raises(ConnectionError):
        if await answer(spawner, b"x" * (3 * REQUEST_LINE_BYTES)) == b"":
            raise ConnectionResetError
    assert b"bad_request" in await answer(spawner, b"{}\n")  # and it still serves


async def test_an_unknown_profile_is_refused_by_name(spawner: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="There is no profile 'huge'") as refused:
        await SpawnerClient(spawner).create(ID, "huge", UID)
    assert refused.value.code == "unknown_profile"


async def test_an_engine_that_does_not_answer_is_told_as_such(spawner: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="Docker Engine does not answer") as refused:
        await SpawnerClient(spawner).create(ID, "standard", UID)
    assert refused.value.code == "engine_unavailable"
