"""Requests end in the middle when their person may not be here any more; others go on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.requests import Request as HttpRequest

from orchestrator.api import accounts
from orchestrator.api.services import STAYS
from orchestrator.api.visits import Visits
from orchestrator.people.presence import Presence, Visit
from orchestrator.people.service import Caller, People, Person
from orchestrator.store.database import Database
from orchestrator.store.people import PeopleStore

PASSWORD = "a good long password"
START = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.fixture
def people(database: Database) -> People:
    return People(PeopleStore(database))


@pytest.fixture
async def presence(people: People) -> AsyncIterator[Presence]:
    presence = Presence(people)
    watching = asyncio.create_task(presence.watch_for_ever())
    yield presence
    watching.cancel()


@pytest.fixture
async def ann(people: People) -> Caller:
    person = await people.add("ann", "member", PASSWORD)
    _, token = await people.add_token(person, "t")
    return await people.identify(token)


class Request:
    """One request behind the middleware, and what was answered."""

    def __init__(self, presence: Presence, caller: Caller | None, kind: str = "http", begins: bool = True) -> None:
        self.sent: list[dict[str, Any]] = []
        self.begun = asyncio.Event()
        self.cancelled = False
        self.scope: dict[str, Any] = {"type": kind, "state": {} if caller is None else {"caller": caller}}

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            if begins:
                await send(START if kind == "http" else {"type": "websocket.accept"})
            self.begun.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled = True
                raise

        async def send(message: Any) -> None:
            self.sent.append(message)

        self.task = asyncio.create_task(Visits(app, lambda: presence)(self.scope, Any, send))

    @property
    def visit(self) -> Visit:
        found: Visit = self.scope["state"]["visit"]
        return found


async def test_a_stream_ends_within_moments_and_as_a_whole(people: People, presence: Presence, ann: Caller) -> None:
    request = Request(presence, ann)
    await request.begun.wait()
    await people.set_disabled("ann", disabled=True)
    await asyncio.wait_for(request.task, 20)
    assert request.cancelled
    assert request.sent == [START, {"type": "http.response.body", "body": b""}]


async def test_what_was_not_answered_yet_is_refused(people: People, presence: Presence, ann: Caller) -> None:
    request = Request(presence, ann, begins=False)
    await request.begun.wait()
    assert ann.secret_id is not None
    await people.revoke(ann.person, ann.secret_id)
    await asyncio.wait_for(request.task, 20)
    assert request.sent[0]["status"] == 401


@pytest.mark.parametrize("begins", [True, False])
async def test_a_websocket_is_closed(people: People, presence: Presence, ann: Caller, begins: bool) -> None:
    request = Request(presence, ann, "websocket", begins)
    await request.begun.wait()
    await people.set_disabled("ann", disabled=True)
    await asyncio.wait_for(request.task, 20)
    assert request.sent[-1] == {"type": "websocket.close", "code": 1008, "reason": "unauthorized"}


async def test_a_change_by_another_process_is_seen_within_a_second(
    people: People, presence: Presence, ann: Caller, database_url: str
) -> None:
    request = Request(presence, ann)
    await request.begun.wait()
    database = Database(database_url)
    await People(PeopleStore(database)).set_disabled("ann", disabled=True)
    await asyncio.wait_for(request.task, 20)
    await database.close()


async def test_others_and_those_who_came_by_no_secret_go_on(people: People, presence: Presence, ann: Caller) -> None:
    bob = await people.add("bob", "member", PASSWORD)
    others = [Request(presence, Caller(bob)), Request(presence, None)]
    his, hers = Request(presence, Caller(bob)), Request(presence, ann)
    await people.set_disabled("ann", disabled=True)
    await asyncio.wait_for(hers.task, 20)
    await presence.look()
    assert not any(request.task.done() for request in [*others, his])
    await people.set_disabled("bob", disabled=True)
    await asyncio.wait_for(his.task, 20)
    for request in others:
        request.task.cancel()


async def test_who_is_no_admin_any_more_begins_anew(people: People, presence: Presence) -> None:
    await people.make_first_admin(PASSWORD)
    eve = await people.add("eve", "admin", PASSWORD)
    request = Request(presence, Caller(eve))
    await request.begun.wait()
    await people.set_role("eve", "member")
    await asyncio.wait_for(request.task, 20)


async def test_a_request_that_ends_its_own_visits_lives_to_tell(
    people: People, presence: Presence, ann: Caller
) -> None:
    request = Request(presence, ann)
    await request.begun.wait()
    request.visit.stays = True
    await people.set_disabled("ann", disabled=True)
    await presence.look()
    assert not request.task.done()
    request.task.cancel()


async def test_a_withdrawn_grant_ends_that_readers_visits_of_that_session_alone(presence: Presence) -> None:
    ann, bob = Caller(Person("a", "ann", "member")), Caller(Person("b", "bob", "member"))
    visits = []
    for caller, session in ((bob, "s"), (bob, "t"), (ann, "s")):
        visits.append(presence.begin(caller, asyncio.get_running_loop().create_future()))
        visits[-1].session_id = session
    presence.end_in_session("b", "s")
    assert [visit.ended for visit in visits] == [True, False, False]


async def test_what_fails_fails_as_it_would_without(presence: Presence, ann: Caller) -> None:
    async def failing(*_: Any) -> None:
        raise LookupError("of its own")

    with pytest.raises(LookupError):
        await Visits(failing, lambda: presence)({"type": "http", "state": {"caller": ann}}, Any, Any)


async def test_a_client_that_goes_away_takes_its_request_with_it(presence: Presence, ann: Caller) -> None:
    request = Request(presence, ann)
    await request.begun.wait()
    request.task.cancel()
    await asyncio.gather(request.task, return_exceptions=True)
    await asyncio.sleep(0)
    assert request.cancelled


async def test_requests_that_can_end_their_own_caller_are_known_as_such() -> None:
    ending = {("POST", "/v1/logout"), ("PUT", "/v1/me/password"), ("DELETE", "/v1/tokens/{token_id}")}
    ending |= {("PATCH", "/v1/users/{name}")}
    marked = {
        (method, route.path)
        for route in accounts.router.routes
        if isinstance(route, APIRoute) and STAYS in route.dependencies
        for method in route.methods
    }
    assert marked == ending
    visit = Visit(Caller(Person("a", "ann", "member")), asyncio.get_running_loop().create_future())
    scope = {"type": "http", "state": {"visit": visit}}
    assert STAYS.dependency is not None
    await STAYS.dependency(HttpRequest(scope))
    assert visit.stays
