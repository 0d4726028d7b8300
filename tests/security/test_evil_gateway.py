"""The gateway as an enemy (THREATS G1 to G7): code in a sandbox takes its socket over and plays each case.

The oracles are on the host's side: another session's `1+1` keeps answering, the orchestrator's memory stays bounded,
and the attacked session answers again afterwards, from a container that is not the attacker's.
"""

from pathlib import Path

import pytest

from tests.security.watch import MOST_RSS_MB, watching
from tests.stack import ApiSession, MakeSession, Stack, wait_for

SCRIPT = Path(__file__).with_name("evil_gateway.py").read_text()
CONNECTING = ("no-answer", "endless-headers", "redirect", "gzip-bomb", "deflate", "says-nothing")
ANSWERING = (
    "huge-frame-header",
    "ff-frame",
    "text-frame",
    "deep-json",
    "long-number",
    "ping-flood",
    "endless-fragments",
    "endless-stream",
    "endless-after-the-reply",
    "many-pictures",
    "large-lists",
)


def take_over(session: ApiSession, stack: Stack, case: str) -> None:
    """Have the session's own code replace its gateway, and the orchestrator connect to what is there now."""
    session.put("evil.py", SCRIPT.encode())
    session.run(
        "import subprocess, sys, os\n"
        f"subprocess.Popen([sys.executable, 'evil.py', {case!r}, str(os.getppid())], start_new_session=True)"
    )
    run_folder = stack.folder / "data" / "sessions" / session.id / "run"
    wait_for((run_folder / "taken").exists, "the takeover")
    assert session.client.post(f"{session.path}/restart").status_code == 204


@pytest.mark.parametrize("case", CONNECTING)
def test_a_gateway_that_does_not_let_us_in_properly_is_replaced(
    make_session: MakeSession, stack: Stack, peer: ApiSession, case: str
) -> None:
    session = make_session()
    take_over(session, stack, case)
    attacker = stack.container_of(session.id)
    with watching(stack, peer) as watch:
        assert session.printed("print('recovered')") == "recovered\n"
    assert stack.container_of(session.id) != attacker
    assert watch.rss_mb < MOST_RSS_MB
    assert watch.peer_kept_answering()


@pytest.mark.parametrize("case", ANSWERING)
def test_a_gateway_that_answers_with_poison_or_floods_harms_only_its_own_session(
    make_session: MakeSession, stack: Stack, peer: ApiSession, case: str
) -> None:
    session = make_session()
    take_over(session, stack, case)
    with watching(stack, peer) as watch:
        cell = session.run("print('asked')", timeout_s=6)
        assert cell["status"] in ("sandbox_lost", "timeout", "ok")
        recovered = session.client.post(f"{session.path}/restart")
        assert recovered.status_code == 204
    assert watch.rss_mb < MOST_RSS_MB, case
    assert watch.peer_kept_answering(), case
    session.delete()
    assert stack.containers(f"label=glovebox.session={session.id}") == []


def test_answers_to_other_requests_and_after_the_end_are_not_believed(make_session: MakeSession, stack: Stack) -> None:
    session = make_session()
    take_over(session, stack, "other-peoples-answers")
    cell = session.run("print('asked')", timeout_s=6)
    assert (cell["status"], [o.get("text") for o in cell["outputs"]]) == ("ok", ["mine"])
