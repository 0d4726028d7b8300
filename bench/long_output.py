"""A cell that prints 20 MB: how long it takes, and that not one line goes missing unsaid."""

import re
import time
from pathlib import Path

from bench.errors import WrongResult
from bench.figures import Comparison
from bench.floor_kernel import running_floor_kernel
from bench.rounds import in_turns
from bench.stack import Stack

_LINES = 200_000
_ROUNDS, _QUICK_ROUNDS = 3, 1
_CODE = f"for i in range({_LINES}): print(f'{{i:099d}}')"
_CUT = re.compile(r"\n\[… ([\d,]+) lines \(([\d,]+) bytes\) are not shown here; the whole is in (\S+) …\]\n")


def measure_long_output(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure `output_20mb`."""
    whole = "".join(f"{number:099d}\n" for number in range(_LINES)).encode()
    session = stack.api.make_session()
    fetched = stack.folder / "spilled.txt"
    with running_floor_kernel(stack) as kernel:

        def glovebox() -> float:
            began = time.perf_counter()
            cell = stack.api.run(session, _CODE)
            took = time.perf_counter() - began
            spilled = check_account(cell["outputs"], whole)
            stack.api.download(session, spilled, fetched)
            _check_spilled(fetched, whole)
            return took

        def floor() -> float:
            cell = kernel.run(_CODE)
            if cell.lines != _LINES:
                raise WrongResult(f"the floor's client heard {cell.lines:,} of {_LINES:,} lines")
            return cell.seconds

        stack.api.run(session, "1+1")
        kernel.run("1+1")
        samples = in_turns("output_20mb", _QUICK_ROUNDS if quick else _ROUNDS, glovebox, floor, warm_up=0)
    stack.api.delete_session(session)
    return [Comparison("output_20mb", "s", *samples)]


def check_account(outputs: list[dict[str, str]], whole: bytes) -> str:
    """Check that head, said cut and tail are together what was printed; return the path of the file with the whole.

    Raises:
        WrongResult: something is missing, or said wrongly.

    """
    text = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    said = _CUT.search(text)
    if said is None:
        raise WrongResult(f"20 MB were printed, {len(text):,} characters came, and no cut was said")
    head, tail = text[: said.start()].encode(), text[said.end() :].encode()
    cut_lines, cut_bytes = (int(said[group].replace(",", "")) for group in (1, 2))
    lines = head.count(b"\n") + cut_lines + tail.count(b"\n")
    size = len(head) + cut_bytes + len(tail)
    if lines != whole.count(b"\n") or size != len(whole):
        raise WrongResult(f"head, cut and tail are {lines:,} lines and {size:,} bytes together")
    if not whole.startswith(head) or not whole.endswith(tail):
        raise WrongResult("the lines that are shown are not the ones that were printed")
    return said[3]


def _check_spilled(path: Path, whole: bytes) -> None:
    spilled = path.read_bytes()
    lines = spilled.count(b"\n")
    if spilled != whole:
        raise WrongResult(f"the file with the whole output has {lines:,} lines, and not the ones that were printed")
