"""A team on the real stack: accounts by the command line and by the API, and what ends at once when they do."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.stack import Stack, stopping_stack
from tests.team import PASSWORD, TEAM, Team

pytestmark = pytest.mark.any_runtime
COMMAND = "orchestrator.people"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stopping_stack(Stack(tmp_path_factory.mktemp("stack"), **TEAM)) as running:
        yield running


@pytest.fixture(scope="module")
def team(stack: Stack) -> Iterator[Team]:
    with stack.client() as client:
        yield Team(client, ["ann", "bob"])


@pytest.fixture
def asking(stack: Stack) -> Iterator[httpx2.Client]:
    with stack.client() as made:
        yield made


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_a_first_admin_whose_password_nobody_chose_is_told_in_one_file(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("stack")
    with stopping_stack(Stack(folder, config=TEAM["config"])) as running, running.client() as asking:
        file = folder / "data" / "first-admin-password"
        password = file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        assert password not in running.log("orchestrator.log") and str(file) in running.log("orchestrator.log")
        assert asking.post("/v1/login", json={"name": "admin", "password": password}).status_code == 200


def test_an_account_is_made_used_and_shut_by_the_command_line(stack: Stack, team: Team, asking: httpx2.Client) -> None:
    made = stack.command(COMMAND, "add", "Carl", "--admin", "--password-stdin", given=f"{PASSWORD}\n")
    assert (made.returncode, made.stdout) == (0, "carl is an admin now.\n"), made.stderr
    again = stack.command(COMMAND, "add", "carl")
    assert (again.returncode, again.stderr) == (1, "glovebox: There is already somebody called 'carl'.\n")
    token = stack.command(COMMAND, "token", "carl", "a script").stdout.strip()
    login = team.log_in("carl")
    for secret in (token, login):
        assert asking.get("/v1/me", headers=bearer(secret)).json()["role"] == "admin"
    listed = stack.command(COMMAND, "list").stdout.splitlines()
    assert any(line.split() == ["carl", "admin", "active", "yes"] for line in listed), listed
    assert stack.command(COMMAND, "disable", "carl").returncode == 0
    for secret in (token, login):
        assert asking.get("/v1/me", headers=bearer(secret)).status_code == 401
    assert stack.command(COMMAND, "enable", "carl").returncode == 0
    assert asking.get("/v1/me", headers=bearer(token)).status_code == 200
    told = stack.command(COMMAND, "password", "carl").stdout.split()[-1]
    assert asking.post("/v1/login", json={"name": "carl", "password": PASSWORD}).status_code == 401
    assert asking.post("/v1/login", json={"name": "carl", "password": told}).status_code == 200


def test_too_many_tries_are_told_how_long_to_wait(team: Team, asking: httpx2.Client) -> None:
    answers = [asking.post("/v1/login", json={"name": "bob", "password": "wrong"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[-1].json()["code"] == "too_many_tries"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 300
