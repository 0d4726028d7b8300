"""Glovebox and its peers in turns: a session with its first cell, and further cells in it."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.errors import CannotMeasure, PeerFailed, WrongResult
from bench.figures import Bound, Comparison, Measured, NotMeasured, percentile
from bench.peer_environment import peers_python
from bench.peer_images import peers_settings
from bench.peer_process import PeerProcess, running_peer
from bench.peers.catalogue import CATALOGUE, About
from bench.progress import say
from bench.rounds import Progress
from bench.stack import Stack
from bench.warm_start import wait_until_refilled

FIRST, FURTHER = "warm_first_cell", "cell_round_trip"
_ROUNDS, _QUICK_ROUNDS = 12, 3
_CELLS = 8  # of each session, after the first
_FIRST_BOUND = Bound("quicker", 10)
_FURTHER_BOUND = Bound("quicker", 8)
_CODE, _PRINTED = "print(1 + 1)", "2"
_GLOVEBOX = "glovebox"

Samples = dict[str, list[float]]


def measure_peers(stack: Stack, *, quick: bool) -> list[Measured]:
    """Measure `warm_first_cell` and `cell_round_trip` beside each peer."""
    first: Samples = defaultdict(list)
    further: Samples = defaultdict(list)
    failed: dict[str, str] = {}
    with ExitStack() as cleanup:
        try:
            python = peers_python()
            settings = cleanup.enter_context(peers_settings(stack))
        except CannotMeasure as error:
            return [NotMeasured(name, "all peers", str(error), asked=True) for name in (FIRST, FURTHER)]
        peers: list[PeerProcess] = []
        for about in CATALOGUE:
            say(f"preparing {about.name}")
            log = stack.folder / f"peer {about.name}.log"
            peer = cleanup.enter_context(running_peer(python, about, settings, log))
            with _noting_failure(about.name, failed):
                peer.wait_until_ready()
                peers.append(peer)
        rounds = 1 + (_QUICK_ROUNDS if quick else _ROUNDS)
        progress = Progress("peers", rounds)
        for number in range(rounds):
            counted = number > 0  # the first round fills caches
            _run_glovebox(stack, first, further, counted=counted)
            for peer in peers:
                if peer.about.name not in failed:
                    with _noting_failure(peer.about.name, failed):
                        _run_peer(peer, first, further, counted=counted)
            progress.say_round()
    return compare(first, further, failed)


def compare(first: Samples, further: Samples, failed: dict[str, str]) -> list[Measured]:
    """Return what was found of each peer; the bound is for the quickest of those that promise the same.

    That is a fresh container for a session's first cell, and variables that are kept for any further cell.
    """
    rows: list[Measured] = []
    working = [about for about in CATALOGUE if about.name not in failed]
    for name, samples, bound, rivals in (
        (FIRST, first, _FIRST_BOUND, [about for about in working if about.fresh]),
        (FURTHER, further, _FURTHER_BOUND, [about for about in working if about.stateful]),
    ):
        quickest = min(rivals, key=lambda about: percentile(samples[about.name], 50), default=None)
        for about in working:
            asked = bound if about == quickest else None
            ours, theirs = samples[_GLOVEBOX], samples[about.name]
            rows.append(Comparison(name, "ms", ours, theirs, asked, about.name, (_promises(about), about.note)))
    rows += [NotMeasured(FIRST, name, why, asked=True) for name, why in failed.items()]
    return rows


def _promises(about: About) -> str:
    container = "a fresh container each session" if about.fresh else "containers are used again"
    return f"{container}, variables {'are kept' if about.stateful else 'are lost'} between cells"


def _run_glovebox(stack: Stack, first: Samples, further: Samples, *, counted: bool) -> None:
    wait_until_refilled(stack)
    began = time.perf_counter()
    session = stack.api.make_session()
    _check(stack.api.run(session, _CODE)["outputs"][0]["text"])
    times = [time.perf_counter() - began]
    wait_until_refilled(stack)  # the pool's own work belongs to no cell
    for _ in range(_CELLS):
        began = time.perf_counter()
        _check(stack.api.run(session, _CODE)["outputs"][0]["text"])
        times.append(time.perf_counter() - began)
    stack.api.delete_session(session)
    if counted:
        _note(_GLOVEBOX, times, first, further)


def _run_peer(peer: PeerProcess, first: Samples, further: Samples, *, counted: bool) -> None:
    try:
        times = [peer.start(_CODE, _PRINTED)]
        times += [peer.run(_CODE, _PRINTED) for _ in range(_CELLS)]
    finally:
        peer.close()
    if counted:
        _note(peer.about.name, times, first, further)


def _note(who: str, times: list[float], first: Samples, further: Samples) -> None:
    first[who].append(times[0] * 1000)
    further[who] += [taken * 1000 for taken in times[1:]]


def _check(printed: str) -> None:
    if printed.strip() != _PRINTED:
        raise WrongResult(f"{_CODE} printed {printed!r}")


@contextmanager
def _noting_failure(name: str, failed: dict[str, str]) -> Iterator[None]:
    try:
        yield
    except PeerFailed as error:
        failed[name] = str(error)
        say(f"not measured: {name}: {error}")
