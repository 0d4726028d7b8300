"""On a host that is short of CPU, sandboxes that spin give way to those that do not."""

import threading

import pytest

from tests.engine import docker
from tests.stack import ApiSession, MakeSession, Stack, wait_for

SPINNING = 2


def weight(stack: Stack, session: ApiSession) -> int:
    return int(docker("inspect", "--format", "{{.HostConfig.CpuShares}}", stack.container_of(session.id)))


@pytest.mark.any_runtime
def test_who_spins_has_the_least_weight_until_they_rest(stack: Stack, make_session: MakeSession) -> None:
    quiet, *busy = (make_session() for _ in range(1 + SPINNING))
    for session in (quiet, *busy):
        session.run("1")
    cells = [threading.Thread(target=session.run, args=("while True: pass",)) for session in busy]
    for cell in cells:
        cell.start()
    wait_for(lambda: all(weight(stack, session) == 2 for session in busy), "the spinning ones to give way")
    assert weight(stack, quiet) == 128
    assert quiet.printed("print(1 + 1)") == "2\n"
    for session in busy:
        assert session.client.post(f"{session.path}/interrupt").status_code == 204
    for cell in cells:
        cell.join()
    wait_for(lambda: all(weight(stack, session) == 128 for session in busy), "their weight to come back")
