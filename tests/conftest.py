"""What the suites share: one stack for all that needs containers, and sessions that are deleted after their test."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, settings

from tests.engine import ROOT
from tests.scheduling import Scheduling
from tests.stack import RUNTIMES, ApiSession, MakeSession, Stack, running_stack

# Where this is set, each process that a test starts compiles all libraries anew, and takes ten times as long.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A slow machine is no finding. Where the build server judges a change, it is judged by the same examples each time; new
# ones are looked for wherever else the tests run.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "any_runtime: the OCI runtime makes no difference, so it is run with one only")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run whoever asks for a runtime, or for a stack, once with each."""
    if "runtime" in metafunc.fixturenames:
        alike = metafunc.definition.get_closest_marker("any_runtime")
        metafunc.parametrize("runtime", RUNTIMES[:1] if alike else RUNTIMES, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the other runtimes where a single case is marked as `any_runtime`."""
    items[:] = [
        item for item in items if not (runtime_of(item) in RUNTIMES[1:] and item.get_closest_marker("any_runtime"))
    ]


def runtime_of(item: pytest.Item) -> str | None:
    return item.callspec.params.get("runtime") if hasattr(item, "callspec") else None


@pytest.fixture(scope="session")
def runtime(request: pytest.FixtureRequest) -> str:
    """The OCI runtime of all sandboxes."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, runtime: str) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), runtime) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx2.Client]:
    with stack.client() as made:
        yield made


@pytest.fixture
def make_session(client: httpx2.Client) -> Iterator[MakeSession]:
    made: list[ApiSession] = []

    def make(**body: Any) -> ApiSession:
        made.append(ApiSession(client, **body))
        return made[-1]

    yield make
    for session in made:
        client.delete(session.path)


@pytest.fixture
def session(make_session: MakeSession) -> ApiSession:
    return make_session()
