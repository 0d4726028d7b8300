"""What those cost that do nothing: sessions the orchestrator, and a sandbox the host."""

import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from bench.docker_cli import docker
from bench.figures import Bound, Comparison, Measured
from bench.floor_sandbox import running_floor
from bench.progress import say
from bench.stack import Stack
from bench.waking import wait_until_asleep

IDLE_S = 5.0  # so soon their sandboxes sleep: 50 that are awake do not fit on every host
_SESSIONS = 50
_WARM_UP = 5
_WATCHED_S, _QUICK_WATCHED_S = 60.0, 15.0
_ROUNDS, _QUICK_ROUNDS = 5, 2
_SETTLE_S = 2.0
_MB = 2**20


def measure_idle_sessions(stack: Stack, *, quick: bool) -> list[Measured]:
    """Measure `idle_sessions_rss` (of each) and `idle_sessions_cpu` (of all): what the orchestrator has to bear."""
    orchestrator = psutil.Process(stack.orchestrator_pid)
    _use_sessions(stack, _WARM_UP)  # what is loaded at first use is nobody's share
    wait_until_asleep(stack)
    before = orchestrator.memory_info().rss
    _use_sessions(stack, _SESSIONS)
    wait_until_asleep(stack)
    each_mb = (orchestrator.memory_info().rss - before) / _SESSIONS / _MB
    watched_s = _QUICK_WATCHED_S if quick else _WATCHED_S
    say(f"idle_sessions: watching for {watched_s:g} s")
    used = _cpu_seconds(orchestrator)
    time.sleep(watched_s)
    percent = (_cpu_seconds(orchestrator) - used) / watched_s * 100
    return [
        Comparison("idle_sessions_rss", "MB each", [each_mb], bound=Bound("at_most", 2)),
        Comparison("idle_sessions_cpu", "% of a core", [percent], bound=Bound("at_most", 2)),
    ]


def measure_idle_sandbox(stack: Stack, *, quick: bool) -> list[Measured]:
    """Measure `idle_sandbox_pss`: the memory of a sandbox's processes after one cell; what is shared counts in part."""
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(_QUICK_ROUNDS if quick else _ROUNDS):
        session = stack.api.make_session()
        stack.api.run(session, "1+1")
        time.sleep(_SETTLE_S)
        name = docker("ps", "--quiet", "--filter", f"label=glovebox.session={session}")
        ours.append(_pss_mb(name))
        stack.api.delete_session(session)
        with running_floor(stack) as bare:
            time.sleep(_SETTLE_S)
            floor.append(_pss_mb(bare.name))
    return [Comparison("idle_sandbox_pss", "MB", ours, floor)]


def _use_sessions(stack: Stack, number: int) -> None:
    for count in range(number):
        stack.api.run(stack.api.make_session(), "1+1")
        if (count + 1) % 10 == 0:
            say(f"idle_sessions: {count + 1} of {number} were used")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _pss_mb(container: str) -> float:
    pids = docker("top", container, "-eo", "pid").split()[1:]
    return sum(_pss_kb(int(pid)) for pid in pids) / 1024


def _pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
