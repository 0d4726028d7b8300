"""Who runs what where tests run in several processes: the tests of a file that share a stack stay together.

Used by `pytest -n 2 --dist loadscope`. What takes longest is begun first: no process is left with it at the end.
"""

import re

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# Tests that look at what the whole host has, or take much of it, run one after the other; those of gVisor much later.
OF_THE_WHOLE_HOST = {
    "security/test_bombs.py",
    "security/test_fills.py",
    "security/test_hard_disks.py",
}
# These share what takes long to start: the second stack of Compose.
OF_THE_SITE = {
    "browser/test_foreign_pages.py",
    "browser/test_outputs_are_sealed.py",
    "browser/test_page.py",
}
TOGETHER = dict.fromkeys(OF_THE_WHOLE_HOST, "whole host") | dict.fromkeys(OF_THE_SITE, "site")
# What to begin with, of each runtime.
LONG = (
    "whole host",
    "site",
    "browser/test_panels.py",
    "integration/test_backup.py",
    "integration/test_chat.py",
    "integration/test_executions.py",
    "integration/test_faults.py",
    "security/test_evil_gateway.py",
    "security/test_races.py",
    "security/test_swaps.py",
)
_RUNTIME = re.compile(r"\[(runc|runsc)\b")


def scope_of(nodeid: str) -> str:
    """Return what this test must run together with: a name, after the runtime where the test has one."""
    path, _, test = nodeid.partition("::")
    path = path.removeprefix("tests/")
    name = TOGETHER.get(path, path)
    found = _RUNTIME.search(test)
    return f"{found[1]} {name}" if found else name


def turn(scope: str) -> tuple[bool, int]:
    """Return when a scope's turn is: that of gVisor last, so that a process changes its stack once."""
    runtime, _, name = scope.partition(" ") if scope.startswith(("runc ", "runsc ")) else ("", "", scope)
    return runtime == "runsc", LONG.index(name) if name in LONG else len(LONG)


class Scheduling(LoadScopeScheduling):
    """Gives each process the next scope when it has hardly anything left."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=turn), last=False)
        super()._assign_work_unit(node)
