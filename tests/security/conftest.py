"""A stack for this suite alone: the orchestrator's memory is one of its oracles."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.security import watch
from tests.stack import ApiSession, MakeSession, Stack, stopping_stack

# Values that no test here judges, and that they would have to wait for.
LIMITS = {"SANDBOX_ADOPT_S": 6.0, "RESTART_S": 15.0, "SPILL_FILE_BYTES": 256 << 20, "USAGE_ENTRIES": 10_000}


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, runtime: str) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("stack"), runtime=runtime, limits=LIMITS)
    with stopping_stack(made) as running:
        yield running


@pytest.fixture
def peer(make_session: MakeSession) -> ApiSession:
    session = make_session()
    session.run("1+1")
    return session


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was measured to the process that prints it."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["peers"] = watch.REPORT


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    watch.REPORT += getattr(node, "workeroutput", {}).get("peers", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what a peer noticed of each attack: it is measured here, and judged by nobody's stopwatch."""
    if watch.REPORT:
        terminalreporter.section("what a peer noticed")
        for line in watch.REPORT:
            terminalreporter.write_line(line)
