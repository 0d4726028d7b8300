"""`python -m bench`: measure, print a table, and write JSON."""

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.errors import CannotMeasure
from bench.figures import Measured, NotMeasured
from bench.host import check_host, describe_host
from bench.load import Load, run_load
from bench.progress import say
from bench.report import as_json, as_table
from bench.stack import Stack, running_stack
from bench.subjects import LOAD_PROFILE, NAMES, PEERS, Subject, by_profile, chosen
from orchestrator.config import Profile


def main() -> int:
    """Do what the command line says; return the exit code."""
    parser = _parser()
    options = parser.parse_args()
    if not options.load and (options.url or options.tokens):
        parser.error("--url and --tokens go with --load")
    # An end by SIGTERM cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.load:
        return _load(options)
    subjects = chosen(options.names, peers=options.peers)
    chosen_profile = _chosen_profile(options)
    profile = Profile.model_validate(chosen_profile)
    measured: list[Measured] = []
    failures = 0
    try:
        check_host(profile, max(subject.disk_gib for subject in subjects))
        host = describe_host(profile)
        for group in by_profile(subjects):
            with running_stack({**group[0].profile, **chosen_profile}) as stack:
                failures += _measure(stack, group, measured, quick=options.quick)
    except CannotMeasure as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130
    wanted = [item for item in measured if _is_wanted(item, options.names, peers=options.peers)]
    print(as_table(host, wanted))
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(host, wanted), indent=2) + "\n")
    broken = [item.name for item in wanted if item.broken]
    if options.check and broken:
        say(f"not as it was asked: {', '.join(broken)}")
    return 1 if failures or (options.check and broken) else 0


def _chosen_profile(options: argparse.Namespace) -> dict[str, str]:
    """Return what the command line says about the profile."""
    said = {"image": options.image, "runtime": options.runtime}
    return {name: value for name, value in said.items() if value is not None}


def _load(options: argparse.Namespace) -> int:
    """Let many users work at once; return the exit code."""
    try:
        with ExitStack() as cleanup:
            url = options.url
            if url is None:
                chosen_profile = _chosen_profile(options)
                check_host(Profile.model_validate(chosen_profile), 1)
                url = cleanup.enter_context(running_stack({**LOAD_PROFILE, **chosen_profile})).url
            tokens = options.tokens.read_text().split() if options.tokens else ()
            tallied = run_load(Load(url, options.users, options.minutes * 60, tokens))
    except CannotMeasure as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130
    print(tallied.as_table())
    if options.json is not None:
        options.json.write_text(json.dumps(tallied.as_json(), indent=2) + "\n")
    return 0 if tallied.kept() or not options.check else 1


def _measure(stack: Stack, subjects: Sequence[Subject], measured: list[Measured], *, quick: bool) -> int:
    """Add all measurements; return how many failed, which does not stop the others."""
    failures = 0
    for subject in subjects:
        say(", ".join(subject.names))
        try:
            measured += subject.measure(stack, quick=quick)
        except Exception as error:  # of whatever kind: what was measured before is worth hours
            failures += 1
            traceback.print_exc()
            say(f"FAILED: {', '.join(subject.names)}: {error!r}")
            measured += [NotMeasured(name, "glovebox", str(error), asked=True) for name in subject.names]
    return failures


def _is_wanted(item: Measured, names: Sequence[str], *, peers: bool) -> bool:
    """Tell whether a measurement is to be shown: one go may give more than what was named."""
    return not names or peers or item.name in names or bool(set(PEERS.names) & set(names))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./glovebox bench", description="Measure Glovebox beside its floors.")
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help=f"measure only: {', '.join(NAMES)}")
    parser.add_argument("--peers", action="store_true", help="measure everything, and the peers in the same run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a first impression")
    parser.add_argument("--check", action="store_true", help="exit with 1 when something is not as it was asked")
    parser.add_argument("--image", help="measure with this sandbox image, beside the floor with the same")
    parser.add_argument("--runtime", help="and with this OCI runtime")
    load = parser.add_argument_group("load", "many users at once instead, each with sessions, files and plots")
    load.add_argument("--load", action="store_true", help="do so; names, --peers and --quick are ignored")
    load.add_argument("--users", type=int, default=20, help="how many (20)")
    load.add_argument("--minutes", type=float, default=10, help="how long (10)")
    load.add_argument("--url", help="of a Glovebox that runs; without it, one of the bench's own is started")
    load.add_argument("--tokens", type=Path, metavar="FILE", help="a token a line, given to the users in turn")
    return parser


def _name(text: str) -> str:
    if text not in NAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is unknown; known: {', '.join(NAMES)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
