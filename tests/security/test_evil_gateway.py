"""The gateway as an enemy (THREATS G1 to G9, G15): code in a sandbox takes its socket over and plays each case.

The oracles are on the host's side: another session's `1+1` keeps answering, the orchestrator's memory stays bounded,
and the attacked session answers again afterwards, from a container that is not the attacker's.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.security.watch import assert_held, watching
from tests.stack import ApiSession, MakeSession, Stack, wait_for

MALFORMED = 10  # of the messages that "odd-messages" sends; others are well formed, and for nobody
SCRIPTS = [Path(__file__).with_name(name) for name in ("evil_wire.py", "evil_gateway.py")]
WAITING = ("no-answer", "slow-loris", "says-nothing")
CONNECTING = (
    "endless-headers",
    "huge-status-line",
    "continue-flood",
    "chunked-for-ever",
    "redirect",
    "gzip-bomb",
    "deflate",
)
RESTARTING = ("restart-continue-flood", "restart-huge-status-line", "restart-redirect")
# What ends the connection at once, what goes on until it is cut off or the cell's time is over, what ends by itself.
POISON = (
    "ff-frame",
    "text-frame",
    "deep-json",
    "long-number",
    "not-a-number",
    "million-keys",
    "ping-flood",
    "pong-flood",
    "long-ping",
    "ping-in-pieces",
    "reserved-bits",
    "masked-frame",
)
ENDLESS = (
    "endless-fragments",
    "close-in-the-middle",
    "empty-fragments",
    "busy-for-ever",
    "idle-without-a-reply",
    "endless-stream",
    "tiny-messages",
    "clearing",
    "updating",
)
# An output that is too large is an accident as a rule, so the gateway keeps its place.
ENDING = (
    "huge-frame-header",
    "huge-picture",
    "reply-without-an-idle",
    "endless-after-the-reply",
    "many-pictures",
    "large-lists",
    "never-closes",
)


def take_over(session: ApiSession, stack: Stack, case: str) -> None:
    """Have the session's own code replace its gateway, and the orchestrator connect to what is there now."""
    for script in SCRIPTS:
        session.put(script.name, script.read_bytes())
    session.run(
        "import subprocess, sys, os\n"
        f"subprocess.Popen([sys.executable, 'evil_gateway.py', {case!r}, str(os.getppid())], start_new_session=True)"
    )
    run_folder = stack.folder / "data" / "sessions" / session.id / "run"
    wait_for((run_folder / "taken").exists, "the takeover")
    assert session.client.post(f"{session.path}/restart").status_code == 204


def some(cases: tuple[str, ...], stack: Stack) -> tuple[str, ...]:
    """Return all cases with runc, and one with gVisor: the same bytes come out of either."""
    return cases if stack.runtime == "runc" else cases[:1]


def each(cases: Iterable[str], play: Callable[[str], None], at_once: int) -> None:
    """Play some cases at the same time, each in a session of its own."""

    def named(case: str) -> None:
        try:
            play(case)
        except AssertionError as error:
            raise AssertionError(f"{case}: {error}") from error

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(named, cases))


@pytest.fixture
def attack(make_session: MakeSession, stack: Stack) -> Callable[[str, set[str]], ApiSession]:
    """Play a case: the attacked cell ends in one of some ways, and the session answers again from another container."""

    def play(case: str, ends: set[str]) -> ApiSession:
        session = make_session()
        take_over(session, stack, case)
        attacker = stack.containers(f"label=glovebox.session={session.id}")
        if ends:
            cell = session.run("print('asked')", timeout_s=2 if "timeout" in ends else 30)
            assert cell["status"] in ends, cell
            assert session.client.post(f"{session.path}/restart").status_code == 204
        if ends <= {"sandbox_lost", "timeout"}:  # else the attacker is still believed to be a gateway
            assert session.printed("print('recovered')") == "recovered\n"
            assert stack.containers(f"label=glovebox.session={session.id}") != attacker
        session.delete()
        assert stack.containers(f"label=glovebox.session={session.id}") == []
        return session

    return play


Attack = Callable[[str, set[str]], ApiSession]


def test_gateways_that_do_not_let_us_in_properly_are_replaced(stack: Stack, peer: ApiSession, attack: Attack) -> None:
    with watching(stack, peer) as watch:
        each(some((*WAITING, *CONNECTING, *RESTARTING), stack), lambda case: attack(case, set()), 4)
    assert_held(watch)


def test_gateways_that_break_the_protocol_are_replaced(stack: Stack, peer: ApiSession, attack: Attack) -> None:
    before = stack.counted("glovebox_gateway_violations_total")
    with watching(stack, peer) as watch:
        each(some(POISON, stack), lambda case: attack(case, {"sandbox_lost"}), 3)
    assert_held(watch)
    assert stack.counted("glovebox_gateway_violations_total") - before >= len(some(POISON, stack))


def test_gateways_without_an_end_are_replaced_when_the_time_is_over(
    stack: Stack, peer: ApiSession, attack: Attack
) -> None:
    with watching(stack, peer) as watch:
        each(some(ENDLESS, stack), lambda case: attack(case, {"timeout", "sandbox_lost"}), 3)
    assert_held(watch)


def test_gateways_that_say_too_much_cost_only_their_own_session(stack: Stack, peer: ApiSession, attack: Attack) -> None:
    with watching(stack, peer) as watch:
        each(some(ENDING, stack), lambda case: attack(case, {"ok", "error", "timeout", "sandbox_lost"}), 3)
    assert_held(watch)


def texts(cell: dict[str, Any]) -> list[str]:
    return [output.get("text") for output in cell["outputs"]]


@pytest.mark.any_runtime
def test_answers_to_other_requests_and_after_the_end_are_not_believed(make_session: MakeSession, stack: Stack) -> None:
    session = make_session()
    take_over(session, stack, "other-peoples-answers")
    cell = session.run("print('asked')", timeout_s=6)
    assert (cell["status"], texts(cell)) == ("ok", ["mine"])


@pytest.mark.any_runtime
def test_what_was_meant_for_the_last_cell_never_reaches_the_next(make_session: MakeSession, stack: Stack) -> None:
    session = make_session()
    take_over(session, stack, "answers-the-last-cell")
    for number in (1, 2, 3):
        cell = session.run("print('asked')", timeout_s=6)
        assert (cell["status"], texts(cell)) == ("ok", [f"cell {number}"])


@pytest.mark.any_runtime
def test_messages_that_make_no_sense_are_dropped_one_by_one(make_session: MakeSession, stack: Stack) -> None:
    session = make_session()
    take_over(session, stack, "odd-messages")
    before = stack.counted("glovebox_gateway_messages_dropped_total")
    events = list(session.events("print('asked')", timeout_s=6))
    (end,) = (event for event in events if event["type"] == "cell_finished")
    assert end["status"] == "ok"
    assert end["execution_count"] is None
    assert "".join(texts(end)) == "before\nthe last of two keys counts\nhalf ? and \N{REPLACEMENT CHARACTER}\nafter\n"
    assert {event["type"] for event in events} <= {"sandbox_state", "cell_started", "stream", "cell_finished"}
    assert stack.counted("glovebox_gateway_messages_dropped_total") - before >= MALFORMED


@pytest.mark.any_runtime
def test_outputs_that_no_page_should_get_are_dropped(make_session: MakeSession, stack: Stack) -> None:
    session = make_session()
    take_over(session, stack, "odd-outputs")
    cell = session.run("print('asked')", timeout_s=6)
    assert cell["status"] == "ok"
    assert [output["data"] for output in cell["outputs"]] == [
        {"text/plain": "kept \x1b]8;;http://x\x07"},
        {"application/json": {"__proto__": {"deep": [[[]]]}}},
    ]
