"""`python -m bench`: measure, print a table, and write JSON."""

import argparse
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx2

from bench.cold_start import measure_cold_start
from bench.errors import CannotMeasure, WrongResult
from bench.figures import Comparison
from bench.host import check_host, describe_host
from bench.long_output import measure_long_output
from bench.progress import say
from bench.report import as_json, as_table
from bench.stack import Stack, running_stack
from bench.transfers import measure_transfers
from bench.warm_cells import measure_first_line, measure_round_trip
from orchestrator.config import Profile


class _Measure(Protocol):
    def __call__(self, stack: Stack, *, quick: bool) -> list[Comparison]: ...


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is measured in one go, and what it needs of the disk."""

    names: tuple[str, ...]
    measure: _Measure
    disk_gib: int = 1


_SUBJECTS = (
    _Subject(("cold_first_cell",), measure_cold_start),
    _Subject(("cell_round_trip",), measure_round_trip),
    _Subject(("first_line",), measure_first_line),
    _Subject(("upload_1g", "download_1g", "orchestrator_rss"), measure_transfers, disk_gib=5),
    _Subject(("output_20mb",), measure_long_output),
)
_NAMES = tuple(name for subject in _SUBJECTS for name in subject.names)


def main() -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args()
    wanted = options.only or _NAMES
    # An end by SIGTERM cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    subjects = [subject for subject in _SUBJECTS if set(subject.names) & set(wanted)]
    profile = Profile()
    try:
        check_host(profile, max(subject.disk_gib for subject in subjects))
        host = describe_host(profile)
        with running_stack() as stack:
            measured, failures = _measure(stack, subjects, quick=options.quick)
    except CannotMeasure as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130
    comparisons = [item for item in measured if item.name in wanted]
    print(as_table(host, comparisons))
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(host, comparisons), indent=2) + "\n")
    broken = [item.name for item in comparisons if item.broken]
    if options.check and broken:
        say(f"beyond what was asked: {', '.join(broken)}")
    return 1 if failures or (options.check and broken) else 0


def _measure(stack: Stack, subjects: list[_Subject], *, quick: bool) -> tuple[list[Comparison], int]:
    """Return all measurements, and how many failed; one of those does not stop the others."""
    measured: list[Comparison] = []
    failures = 0
    for subject in subjects:
        say(", ".join(subject.names))
        try:
            measured += subject.measure(stack, quick=quick)
        except (WrongResult, httpx2.HTTPError) as error:
            failures += 1
            say(f"FAILED: {', '.join(subject.names)}: {error!r}")
    return measured, failures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Glovebox beside its floors.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    parser.add_argument("--only", type=_names, metavar="NAME,NAME", help=f"measure only these: {', '.join(_NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a first impression")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is broken")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in _NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(_NAMES)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
