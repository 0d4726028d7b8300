"""Fixtures of the suite of providers' behaviours."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.provider import FakeProvider, running_provider
from tests.unit.provider_world import KINDS, World, made_world


@pytest.fixture(scope="session")
def provider() -> Iterator[FakeProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
async def world(kind: str, provider: FakeProvider, tmp_path: Path) -> AsyncIterator[World]:
    async for made in made_world(kind, provider, tmp_path):
        yield made
