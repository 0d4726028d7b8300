"""The session's variables, kept in its workspace while it has no container.

`save` writes what can be pickled, `restore` loads it in the next kernel and removes it. Both print a report as JSON:

    {"kept": 12, "lost": [{"name": "db", "kind": "sqlite3.Connection", "why": "cannot be saved", "cells": [3]}]}

Variables are pickled one after the other by one pickler, so that what two of them share is still shared afterwards.
Where one cannot be pickled the pickler starts afresh behind it: a new group. Functions and classes that cells define
are kept by value and go on using the session's names.
"""

import ast
import json
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, BinaryIO

import cloudpickle

FOLDER = Path("/mnt/data/.glovebox")
PICKLE, INDEX, TAKEN = "variables.pickle", "variables.json", "variables.taken"
MOST_LOST = 50
MOST_CELLS_CHARS = 2_000_000  # of the cells' code, which is kept as `In`
_NAMES = "the session's names"


class BudgetSpent(Exception):
    """There is no room, or no time, for more."""


class BoundedFile:
    """A file for a pickler that ends at a size and at a time."""

    def __init__(self, file: BinaryIO, most_bytes: int, ends_at: float) -> None:
        self.file = file
        self.most_bytes = most_bytes
        self.ends_at = ends_at

    def write(self, data: Any) -> int:
        """Write, or raise BudgetSpent."""
        if self.file.tell() + memoryview(data).nbytes > self.most_bytes:
            raise BudgetSpent("it is too large")
        if time.monotonic() > self.ends_at:
            raise BudgetSpent("saving took too long")
        return self.file.write(data)


class Saver(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles by value what cells define, without dragging along all that it mentions."""

    def __init__(self, file: BoundedFile, names: dict[str, Any]) -> None:
        super().__init__(file, protocol=5)
        self.names = names
        self.globals_ref[id(names)] = names

    def persistent_id(self, value: Any) -> str | None:
        """Name the session's names themselves; they are not copied."""
        return _NAMES if value is self.names else None

    def _dynamic_function_reduce(self, function: FunctionType) -> Any:
        reduced = super()._dynamic_function_reduce(function)
        if function.__globals__ is self.names:
            reduced[2][1]["__globals__"] = {}
        return reduced


class Loader(pickle.Unpickler):
    """Loads what a Saver wrote into these names."""

    def __init__(self, file: BinaryIO, names: dict[str, Any]) -> None:
        super().__init__(file)
        self.names = names

    def persistent_load(self, key: str) -> Any:
        """Return the session's names."""
        return self.names


def save(most_bytes: int, most_s: float) -> None:
    """Save the variables within so many bytes and seconds, and print the report."""
    shell = _shell()
    mine = {name: value for name, value in shell.user_ns.items() if is_users(name, shell.user_ns_hidden)}
    cells = list(shell.history_manager.input_hist_parsed)
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    with open(FOLDER / PICKLE, "wb") as file:
        kept, lost = save_names(mine, shell.user_ns, file, most_bytes, time.monotonic() + most_s)
    made_by = cells_that_make([name for name, _, _ in lost], cells)
    told = [
        {"name": name[:100], "kind": kind[:200], "why": why[:300], "cells": made_by[name]}
        for name, kind, why in lost[:MOST_LOST]
    ]
    index = {"count": shell.execution_count, "cells": last_chars(cells), "groups": kept, "lost": told}
    (FOLDER / TAKEN).unlink(missing_ok=True)
    unfinished = FOLDER / (INDEX + ".new")
    unfinished.write_text(json.dumps(index))
    os.replace(unfinished, FOLDER / INDEX)
    _report(sum(len(group["names"]) for group in kept), told)


def restore() -> None:
    """Load what was saved, once, and print the report."""
    shell = _shell()
    # Whatever loading does to this kernel, no other one tries it again.
    os.replace(FOLDER / INDEX, FOLDER / TAKEN)
    index = json.loads((FOLDER / TAKEN).read_text())
    with open(FOLDER / PICKLE, "rb") as file:
        kept, failed = load_names(index["groups"], file, shell.user_ns)
    shell.execution_count = index["count"]
    for hist in (shell.history_manager.input_hist_parsed, shell.history_manager.input_hist_raw):
        hist[:] = index["cells"]
    made_by = cells_that_make([name for name, _ in failed], index["cells"])
    told = [{"name": name[:100], "kind": "", "why": why[:300], "cells": made_by[name]} for name, why in failed]
    for name in (PICKLE, TAKEN):
        (FOLDER / name).unlink(missing_ok=True)
    _report(kept, [*index["lost"], *told][:MOST_LOST])


def is_users(name: str, hidden: dict[str, Any]) -> bool:
    """Tell whether a name is the person's own and not the shell's."""
    return not name.startswith("_") and name not in hidden


def save_names(
    mine: dict[str, Any], names: dict[str, Any], file: BinaryIO, most_bytes: int, ends_at: float
) -> tuple[list[dict[str, Any]], list[tuple[str, str, str]]]:
    """Return the groups that were written, and `(name, kind, why)` of what could not be."""
    bounded = BoundedFile(file, most_bytes, ends_at)
    groups: list[dict[str, Any]] = []
    lost: list[tuple[str, str, str]] = []
    saver: Saver | None = None
    for name, value in mine.items():
        whole = file.tell()
        if saver is None:
            saver = Saver(bounded, names)
            groups.append({"offset": whole, "names": []})
        try:
            saver.dump(value)
        except Exception as error:
            file.seek(whole)
            file.truncate()
            saver = None
            lost.append((name, _kind(value), str(error) if isinstance(error, BudgetSpent) else "it cannot be saved"))
        else:
            groups[-1]["names"].append(name)
    return groups, lost


def load_names(
    groups: list[dict[str, Any]], file: BinaryIO, names: dict[str, Any]
) -> tuple[int, list[tuple[str, str]]]:
    """Return how many variables were loaded, and `(name, why)` of what could not be.

    What follows in the same group shares objects with what failed, and is not loaded: it might be wrong.
    """
    kept, failed = 0, []
    for group in groups:
        file.seek(group["offset"])
        loader = Loader(file, names)
        for number, name in enumerate(group["names"]):
            try:
                names[name] = loader.load()
            except Exception as error:
                failed.append((name, f"loading it failed with {type(error).__name__}: {error}"))
                failed += [(other, f"it was saved after {name}") for other in group["names"][number + 1 :]]
                break
            kept += 1
    return kept, failed


def cells_that_make(wanted: Sequence[str], cells: Sequence[str]) -> dict[str, list[int]]:
    """Return for each name the numbers of the cells (the last three) that bind it."""
    made: dict[str, list[int]] = {name: [] for name in wanted}
    for number, code in enumerate(cells):
        for name in set(bound_names(code)) & made.keys():
            made[name].append(number)
    return {name: numbers[-3:] for name, numbers in made.items()}


def bound_names(code: str) -> Iterator[str]:
    """Yield the names that a cell's code binds; nothing for code that is no Python."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                yield from (alias.asname or alias.name.partition(".")[0] for alias in imported)


def last_chars(cells: Sequence[str]) -> list[str]:
    """Return the cells' code; the oldest is left out where all of it would be too long. Numbers stay as they are."""
    room = MOST_CELLS_CHARS
    kept: list[str] = []
    for code in reversed(cells):
        room -= len(code)
        kept.append(code if room >= 0 else "")
    return kept[::-1]


def _kind(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _report(kept: int, lost: list[dict[str, Any]]) -> None:
    """Print as the kernel itself does, whatever stands at `sys.stdout`."""
    shell = _shell()
    text = json.dumps({"kept": kept, "lost": lost})
    shell.kernel.send_response(shell.kernel.iopub_socket, "stream", {"name": "stdout", "text": text})


def _shell() -> Any:
    from IPython import get_ipython

    get: Callable[[], Any] = get_ipython
    return get()
