"""The disk of a person's sessions in total: counted seldom, and never passed by uploads, however many at once."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from pydantic import ValidationError

from orchestrator.config_quotas import Quota
from orchestrator.errors import DiskFull, TooManyRequests
from orchestrator.limits import MIB
from orchestrator.sessions.disk_quota import DiskQuota
from orchestrator.sessions.session import LiveSession


@dataclass
class FakeDisk:
    taken: int
    looks: int = 0

    async def used_bytes(self) -> int:
        self.looks += 1
        await asyncio.sleep(0)
        return self.taken


@dataclass
class FakeSession:
    id: str
    disk: FakeDisk
    used_at: float = 0.0
    in_use: bool = False


@dataclass
class World:
    most: int | None
    sessions: list[FakeSession] = field(default_factory=list)

    def quota(self) -> DiskQuota:
        async def quota_of(_: str) -> Quota:
            return Quota(disk_mb=self.most)

        async def sessions_of(_: str) -> Iterable[LiveSession]:
            return cast("list[LiveSession]", self.sessions)

        return DiskQuota(quota_of, sessions_of)

    def add(self, name: str, mib: float, **fields: Any) -> FakeSession:
        self.sessions.append(FakeSession(name, FakeDisk(int(mib * MIB)), **fields))
        return self.sessions[-1]


async def test_all_sessions_count_and_one_that_was_not_used_is_looked_at_once() -> None:
    world = World(10)
    quota = world.quota()
    asleep, busy = world.add("a", 3), world.add("b", 2, in_use=True)
    assert await quota.used("ann") == 5 * MIB
    asleep.disk.taken = 0
    for _ in range(50):
        await quota.used("ann")
    assert (asleep.disk.looks, busy.disk.looks) == (1, 1)  # a busy one is not looked at for each request either
    asleep.used_at = asyncio.get_running_loop().time() + 1
    quota._counted["a"] = (quota._counted["a"][0] - 60, 3 * MIB)
    assert await quota.used("ann") == 2 * MIB


async def test_a_new_session_is_refused_when_all_is_taken() -> None:
    world = World(5)
    quota = world.quota()
    await quota.allow_session("ann")
    world.add("a", 5)
    with pytest.raises(
        TooManyRequests, match=r"all of the 5 MiB that you may use. Delete files or sessions"
    ) as refused:
        await quota.allow_session("ann")
    assert (refused.value.code, refused.value.status) == ("disk_quota", 429)
    world.most = None
    await quota.allow_session("ann")


async def test_an_upload_is_refused_before_its_first_byte_where_its_length_is_known() -> None:
    world = World(5)
    world.add("a", 3)
    with pytest.raises(DiskFull, match=r"Of the 5 MiB that you may use, your sessions leave 2.") as refused:
        async with world.quota().upload("ann", "a", 3 * MIB):
            pytest.fail("it must not begin")
    assert (refused.value.code, refused.value.status) == ("disk_quota", 507)


async def test_uploads_at_the_same_time_share_what_is_left() -> None:
    world = World(10)
    session = world.add("a", 4)
    quota = world.quota()
    done: list[int] = []

    async def upload() -> None:
        async with quota.upload("ann", "a", None) as charge:
            for _ in range(4):
                charge(MIB // 2)
                await asyncio.sleep(0)
        session.disk.taken += 2 * MIB
        done.append(2)

    results = await asyncio.gather(*(upload() for _ in range(10)), return_exceptions=True)
    assert {type(one) for one in results} == {type(None), DiskFull}
    assert sum(done) <= 6
    await asyncio.gather(*(upload() for _ in range(3)), return_exceptions=True)
    assert session.disk.taken <= 10 * MIB


async def test_an_upload_that_broke_off_gives_back_its_room() -> None:
    world = World(5)
    world.add("a", 1)
    quota = world.quota()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with quota.upload("ann", "a", 4 * MIB) as charge:
                charge(4 * MIB)
                raise ZeroDivisionError


async def test_whoever_has_no_limit_is_never_counted() -> None:
    world = World(None)
    session = world.add("a", 1)
    async with world.quota().upload("ann", "a", 10**12) as charge:
        charge(10**12)
    assert session.disk.looks == 0


@pytest.mark.parametrize(
    "fields", [{"disk_mb": 0}, {"tokens_per_day": 0}, {"cost_per_day": 0}, {"disk_mb": 1.5}, {"tokens_per_day": -1}]
)
def test_a_quota_of_nothing_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Quota(**fields)
