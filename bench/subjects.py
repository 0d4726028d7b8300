"""What can be measured, by name, and what each measurement needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench import burst, fairness, idle, stops, waking, warm_start
from bench.against_peers import measure_peers
from bench.burst import measure_burst
from bench.cold_start import measure_cold_start
from bench.fairness import measure_fairness
from bench.figures import Measured
from bench.idle import measure_idle_sandbox, measure_idle_sessions
from bench.long_output import measure_long_output
from bench.model_side import measure_call_to_cell, measure_provider_delay
from bench.page import measure_page_conversation, measure_page_loads, measure_page_streams
from bench.stack import Stack
from bench.stops import measure_stops
from bench.throughput import measure_throughput
from bench.transfers import measure_transfers
from bench.waking import measure_waking
from bench.warm_cells import measure_first_line, measure_round_trip
from bench.warm_start import measure_warm_start


class Measure(Protocol):
    """Measures one subject in a Glovebox that runs."""

    def __call__(self, stack: Stack, *, quick: bool) -> Sequence[Measured]:
        """Return what was found."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured in one go; the profile that it needs, and what of the disk.

    `usual`: measured when nothing is named. Subjects with the same profile share one Glovebox.
    """

    names: tuple[str, ...]
    measure: Measure
    profile: Mapping[str, object] = field(default_factory=dict)
    disk_gib: int = 1
    usual: bool = True


# The usual profile promises each sandbox two processors: sixteen seats on a host of two, and four users would wait.
LOAD_PROFILE = {"memory_mb": burst.MEMORY_MB, "cpus": fairness.CPUS, "warm": warm_start.WARM}
_WAITING = {"warm": warm_start.WARM}
PEERS = Subject(("peers",), measure_peers, _WAITING, usual=False)
SUBJECTS = (
    Subject(("warm_first_cell",), measure_warm_start, _WAITING),
    PEERS,
    Subject(("cold_first_cell",), measure_cold_start),
    Subject(("cell_round_trip",), measure_round_trip),
    Subject(("first_line",), measure_first_line),
    Subject(("provider_delay",), measure_provider_delay),
    Subject(("call_to_cell",), measure_call_to_cell),
    Subject(("upload_1g", "download_1g", "orchestrator_rss"), measure_transfers, disk_gib=5),
    Subject(("output_20mb",), measure_long_output),
    Subject(("idle_sandbox_pss",), measure_idle_sandbox),
    Subject(("burst_20",), measure_burst, {"memory_mb": burst.MEMORY_MB} | _WAITING, usual=False),
    Subject(("cells_per_second",), measure_throughput, {"memory_mb": burst.MEMORY_MB}, usual=False),
    Subject(
        ("fair_share",),
        measure_fairness,
        {"cpus": fairness.CPUS, "memory_mb": fairness.MEMORY_MB, "cell_timeout_s": fairness.CELL_S},
        usual=False,
    ),
    Subject(("wake_up",), measure_waking, {"idle_s": waking.IDLE_S}),
    Subject(stops.NAMES, measure_stops, usual=False),
    Subject(("page_first_load", "page_next_load"), measure_page_loads, usual=False),
    Subject(("page_event_to_pixels",), measure_page_streams, usual=False),
    Subject(("page_long_conversation", "page_scroll_frame"), measure_page_conversation, usual=False),
    Subject(("idle_sessions_rss", "idle_sessions_cpu"), measure_idle_sessions, {"idle_s": idle.IDLE_S}, usual=False),
)
NAMES = tuple(name for subject in SUBJECTS for name in subject.names)


def chosen(names: Sequence[str], *, peers: bool) -> list[Subject]:
    """Return what is to be measured: what is named, or with `peers` everything, or else the usual."""
    if names:
        return [subject for subject in SUBJECTS if set(subject.names) & set(names) or (peers and subject is PEERS)]
    return [subject for subject in SUBJECTS if subject.usual or peers]


def by_profile(subjects: Sequence[Subject]) -> list[list[Subject]]:
    """Return the subjects in groups that can share one Glovebox, in their order."""
    groups: list[list[Subject]] = []
    for subject in subjects:
        group = next((group for group in groups if group[0].profile == subject.profile), None)
        if group is None:
            groups.append([subject])
        else:
            group.append(subject)
    return groups
