"""Decision 9: any process can be killed at any instant, and nothing that was acknowledged is lost."""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from tests.engine import ROOT
from tests.integration.under_fire import Killer, assert_all_is_there, assert_nothing_is_orphaned, users
from tests.stack import STANDARD, ApiSession, Stack, free_port, running_stack, stopping_stack, wait_for

KILLS = int(os.environ.get("GLOVEBOX_TEST_KILLS", "12"))
SEED = int(os.environ.get("GLOVEBOX_TEST_SEED", str(random.randrange(10**6))))
USERS = 4
log = logging.getLogger(__name__)


@pytest.mark.any_runtime
def test_whatever_is_killed_what_was_acknowledged_is_there_and_nothing_is_orphaned(
    tmp_path: Path, runtime: str
) -> None:
    profile = {**STANDARD, "memory_mb": 512, "warm": 1, "idle_s": 20, "runtime": runtime}
    log.warning(f"GLOVEBOX_TEST_SEED={SEED} plays the same kills again")
    with stopping_stack(Stack(tmp_path, {"profiles": {"standard": profile}}, runtime=runtime)) as stack:
        killer, pause = Killer(stack, SEED), random.Random(SEED)
        with users(stack, USERS) as working:
            wait_for(lambda: all(user.done["cell"] for user in working), "a first cell of each user")
            while killer.killed.total() < KILLS:
                killer.kill_one()
                time.sleep(pause.uniform(0.2, 2.0))
        told = [session for user in working for session in user.told]
        # What the last kill left is taken up like everything else; what then runs on is ended by a kill of its own.
        stack.kill(stack.orchestrator)
        stack.start_orchestrator()
        done = sum((user.done for user in working), Counter[str]())
        refused = sum((user.refused for user in working), Counter[str]())
        log.warning(
            f"killed {dict(killer.killed)}; done {dict(done)}; not done {refused.total()}: {refused.most_common(8)}"
        )
        assert_all_is_there(stack, told)
        assert_nothing_is_orphaned(stack)
        with stack.client() as client:  # and all of it goes on
            (some,) = [one for one in told if not one.deletion_asked][-1:]
            answer = client.post(f"{some.path}/executions", json={"code": "print('alive')"}).json()
            assert answer["status"] == "ok", answer


@pytest.mark.any_runtime
def test_a_page_server_that_is_killed_comes_back_and_has_lost_nothing(tmp_path: Path, runtime: str) -> None:
    """The page holds nothing that the orchestrator has not: a turn that it showed goes on without it."""
    with running_stack(tmp_path, runtime) as stack, stack.client() as client:
        session = ApiSession(client)
        page = Page(stack)
        turn = threading.Thread(target=lambda: list(session.say("demo:run import time; time.sleep(3); print('said')")))
        turn.start()
        page.kill()
        page = Page(stack)
        turn.join(60)
        answer = client.get(f"{session.path}/messages").json()[-1]
        (cell,) = [part for part in answer["parts"] if part["type"] == "cell"]
        assert (answer["status"], cell["outputs"][0]["text"]) == ("done", "said\n")
        page.kill(signal.SIGTERM)


class Page:
    """The page's server, on a port of its own."""

    def __init__(self, stack: Stack) -> None:
        port = free_port()
        environ = {"GLOVEBOX_API": stack.url, "GLOVEBOX_UI_PORT": str(port)}
        with (stack.folder / "ui.log").open("ab") as log_file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ui"],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": str(stack.folder), "TMPDIR": str(stack.folder), **environ},
                stdout=log_file,
                stderr=subprocess.STDOUT,
            )
        url = f"http://127.0.0.1:{port}/"
        wait_for(lambda: self._answers(url), "the page")

    def kill(self, number: int = signal.SIGKILL) -> None:
        self._process.send_signal(number)
        self._process.wait(30)

    def _answers(self, url: str) -> bool:
        assert self._process.poll() is None, "the page's server ended"
        try:
            return httpx2.get(url, timeout=20, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False
