"""Admission to a full host: nobody gets more than there is, everybody's turn comes, and nobody's twice."""

import asyncio
from collections.abc import Callable

import pytest

from orchestrator.config_quotas import Quota
from orchestrator.errors import SessionNotFound, TooManyRequests
from orchestrator.sessions import admission as admission_module
from orchestrator.sessions.admission import Admission, Room, Seat
from orchestrator.sessions.quota import CellPaces

ONE = Room(1000, 1)


class House:
    """A host for three, and who is in it."""

    def __init__(self) -> None:
        self.spared: list[str] = []
        self.idle: list[str] = []
        self.admission = Admission(Room(3000, 100), self.make_room)
        self.places: dict[str, list[int]] = {}

    async def make_room(self) -> bool:
        if not self.idle:
            return False
        self.spared.append(self.idle.pop(0))
        self.admission.leave(self.spared[-1])
        return True

    def enter(self, session_id: str, owner: str, room: Room = ONE) -> asyncio.Task[None]:
        tell = self.places.setdefault(session_id, []).append
        return asyncio.create_task(self.admission.enter(Seat(session_id, owner, room), tell))


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(admission_module, "QUEUE_RETRY_S", 0.01)
    return House()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_whoever_fits_comes_in_at_once_and_the_next_waits_for_a_seat(house: House) -> None:
    for name in ("a1", "a2", "a3"):
        await house.enter(name, "ann")
    late = house.enter("b1", "bob")
    await until(lambda: house.admission.place("b1") == 1)
    assert house.admission.promised == Room(3000, 3)
    house.admission.leave("a2")
    await late
    assert house.admission.place("b1") is None
    assert house.admission.promised == Room(3000, 3)
    assert house.places["b1"] == [1]


async def test_a_second_request_of_the_same_session_takes_no_second_seat(house: House) -> None:
    await house.enter("a1", "ann")
    await house.enter("a1", "ann")
    assert house.admission.promised == ONE


async def test_the_queue_serves_people_in_turns_and_not_requests(house: House) -> None:
    for name in ("x1", "x2", "x3"):
        await house.enter(name, "xan")
    order: list[str] = []
    tasks = []
    for name, owner in (("a1", "ann"), ("a2", "ann"), ("a3", "ann"), ("b1", "bob"), ("x4", "xan")):
        tasks.append(house.enter(name, owner))
        tasks[-1].add_done_callback(lambda _, name=name: order.append(name))
        await until(lambda name=name: house.admission.place(name))  # type: ignore[misc]
    assert [house.admission.place(name) for name in ("a1", "b1", "a2", "a3", "x4")] == [1, 2, 3, 4, 5]
    assert house.places["b1"] == [2], "it came after two that wait longer than it"
    for name in ("x1", "x2", "x3"):
        house.admission.leave(name)
    await until(lambda: len(order) == 3)
    assert order == ["a1", "b1", "x4"], "by then xan has none any more, and ann has one"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert house.admission.waiting == 0


async def test_a_small_one_does_not_pass_a_big_one_that_waits(house: House) -> None:
    await house.enter("a1", "ann", Room(2000, 1))
    big = house.enter("b1", "bob", Room(2500, 1))
    await until(lambda: house.admission.place("b1") == 1)
    small = house.enter("c1", "cid", Room(500, 1))
    await until(lambda: house.admission.place("c1") == 2)
    house.admission.leave("a1")
    await asyncio.gather(big, small)


async def test_idle_ones_give_way_one_by_one_and_only_as_many_as_are_needed(house: House) -> None:
    for name in ("a1", "a2", "a3"):
        await house.enter(name, "ann")
    house.idle = ["a1", "a2"]
    await house.enter("b1", "bob")
    assert house.spared == ["a1"]


async def test_a_full_queue_and_a_long_wait_are_refused_with_a_time_to_come_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "QUEUE_MOST", 1)
    monkeypatch.setattr(admission_module, "QUEUE_WAIT_S", 0.1)
    for name in ("a1", "a2", "a3"):
        await house.enter(name, "ann")
    waits = house.enter("b1", "bob")
    await until(lambda: house.admission.place("b1") == 1)
    with pytest.raises(TooManyRequests, match="no place in the queue") as refused:
        await house.enter("c1", "cid")
    assert (refused.value.code, refused.value.retry_after_s) == ("host_full", 60)
    with pytest.raises(TooManyRequests, match="none came free"):
        await waits
    assert house.admission.waiting == 0


async def test_who_stops_waiting_makes_way_and_keeps_no_seat(house: House) -> None:
    for name in ("a1", "a2", "a3"):
        await house.enter(name, "ann")
    first, second = house.enter("b1", "bob"), house.enter("c1", "cid")
    await until(lambda: house.admission.place("c1") == 2)
    first.cancel()
    await until(lambda: house.admission.place("c1") == 1)
    house.admission.leave("a1")
    second.cancel()  # in the very moment in which it is admitted
    await asyncio.gather(first, second, return_exceptions=True)
    assert house.admission.promised == Room(2000, 2)


async def test_a_deleted_session_waits_no_more(house: House) -> None:
    for name in ("a1", "a2", "a3"):
        await house.enter(name, "ann")
    waits = house.enter("b1", "bob")
    await until(lambda: house.admission.place("b1") == 1)
    house.admission.give_up("b1")
    with pytest.raises(SessionNotFound):
        await waits


@pytest.mark.parametrize(
    ("quota", "limit"),
    [
        (Quota(), None),
        (Quota(sessions_running=3), None),
        (Quota(sessions_running=2), "2 sandboxes"),
        (Quota(memory_mb=3000), None),
        (Quota(memory_mb=2999), "2,999 MiB"),
        (Quota(cpus=3), None),
        (Quota(cpus=2.5), "2.5 CPUs"),
    ],
)
def test_a_quota_counts_what_is_promised_to_its_owner(quota: Quota, limit: str | None) -> None:
    async def nobody() -> bool:
        return False

    admission = Admission(Room(10_000, 100), nobody)
    for name, owner in (("a1", "ann"), ("a2", "ann"), ("b1", "bob")):
        admission.hold(Seat(name, owner, ONE))
    told = admission.allows(Seat("a3", "ann", ONE), quota)
    assert (told is None) if limit is None else (told is not None and told.startswith(limit))
    assert admission.allows(Seat("a2", "ann", ONE), quota) is None, "it runs already"


def test_cells_are_counted_by_the_minute_and_by_owner() -> None:
    paces, quota = CellPaces(), Quota(cells_per_minute=2)
    for owner in ("ann", "ann", "bob"):
        paces.note(owner, quota, 0)
    with pytest.raises(TooManyRequests, match="2 cells a minute") as refused:
        paces.note("ann", quota, 0)
    assert refused.value.retry_after_s == 30
    paces.note("ann", quota, 31)
    paces.note("ann", Quota(), 31)
