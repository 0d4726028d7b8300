"""A team on the real stack: accounts by the command line and by the API, and what ends at once when they do."""

import threading
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.stack import ApiSession, Stack, stopping_stack, wait_for
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


def test_a_body_that_is_too_large_is_refused_whatever_the_method(team: Team, asking: httpx2.Client) -> None:
    answer = asking.put("/v1/me/password", content=b" " * 9_000_000, headers=bearer(team.token("ann")))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


Ending = Callable[[Stack, Team, str], None]
ENDINGS: dict[str, Ending] = {
    "logging out": lambda stack, team, login: team.send("POST", "/v1/logout", login),
    "another password, by themselves": lambda stack, team, login: team.send(
        "PUT", "/v1/me/password", login, {"old": PASSWORD, "new": PASSWORD}
    ),
    "another password, by an admin": lambda stack, team, login: team.end_logins("ann"),
    "being disabled by an admin": lambda stack, team, login: team.send(
        "PATCH", "/v1/users/ann", team.token("admin"), {"disabled": True}
    ),
    "being disabled by the command line": lambda stack, team, login: disable_by_command(stack),
}


def disable_by_command(stack: Stack) -> None:
    assert stack.command(COMMAND, "disable", "ann").returncode == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_somebody_is_watching_ends_with_their_login(stack: Stack, team: Team, ending: str) -> None:
    """A cell as a stream, one as a single answer, and a turn that is followed, all of them silent just then."""
    login = team.log_in("ann")
    ended: dict[str, float] = {}
    with stack.client(headers=bearer(login)) as mine, stack.client(headers=bearer(login)) as waiting:
        session, other = ApiSession(mine), ApiSession(mine)
        heard = threading.Event()

        def watch() -> None:
            for event in session.events("print('go', flush=True)\nimport time; time.sleep(50)"):
                if event["type"] == "stream":
                    heard.set()
            ended["stream"] = time.monotonic()

        def wait() -> None:
            answer = waiting.post(f"{other.path}/executions", json={"code": "import time; time.sleep(50)"})
            ended["answer"] = time.monotonic()
            assert answer.status_code == 401, answer.text

        threads = [threading.Thread(target=watch), threading.Thread(target=wait)]
        for thread in threads:
            thread.start()
        assert heard.wait(60)
        ENDINGS[ending](stack, team, login)
        out_at = time.monotonic()
        for thread in threads:
            thread.join(20)
        assert ended.keys() == {"stream", "answer"}
        assert max(ended.values()) - out_at < 20, "the cells would take 50 s"
        assert mine.get("/v1/me").status_code == 401
    team.send("PATCH", "/v1/users/ann", team.token("admin"), {"disabled": False})
    with stack.client(headers=bearer(team.log_in("ann"))) as again:
        for path in (session.path, other.path):
            assert again.get(path).json()["state"] in ("starting", "busy"), "the cell goes on"
            assert again.delete(path).status_code == 204


def test_a_grant_lets_somebody_read_until_it_is_withdrawn(stack: Stack, team: Team, asking: httpx2.Client) -> None:
    with (
        stack.client(headers=bearer(team.token("ann"))) as anns,
        stack.client(headers=bearer(team.token("bob"))) as bobs,
    ):
        session = ApiSession(anns, name="the sales")
        session.put("a.txt", b"mine")
        assert bobs.get(session.path).status_code == 404
        assert anns.put(f"{session.path}/shares/bob").status_code == 204
        assert anns.put(f"{session.path}/shares/bob").status_code == 204
        assert anns.get(f"{session.path}/shares").json() == [{"name": "bob"}]
        assert [(one["id"], one["shared_by"]) for one in bobs.get("/v1/sessions").json()] == [(session.id, "ann")]
        assert bobs.get(f"{session.path}/files/a.txt").content == b"mine"
        refused = bobs.put(f"{session.path}/files/a.txt", content=b"his")
        assert (refused.status_code, refused.json()["code"]) == (403, "read_only")
        assert "ann shares this session" in refused.json()["detail"]
        assert anns.put(f"{session.path}/shares/nobody").json()["code"] == "user_not_found"
        assert anns.put(f"{session.path}/shares/ann").json()["code"] == "own_session"

        seen: list[str] = []
        turn = threading.Thread(target=lambda: list(session.say("demo:run import time; time.sleep(50)")))
        turn.start()

        def follow() -> None:
            with bobs.stream("GET", f"{session.path}/events") as events:
                seen.append(str(events.status_code))
                events.read()
            seen.append("end")

        wait_for(lambda: anns.get(session.path).json()["state"] == "busy", "the turn's cell")
        following = threading.Thread(target=follow)
        following.start()
        wait_for(lambda: bool(seen), "who follows")
        assert seen == ["200"]
        assert anns.delete(f"{session.path}/shares/bob").status_code == 204
        following.join(40)
        assert seen == ["200", "end"], "the cell would take 50 s"
        assert bobs.get(session.path).status_code == 404 and bobs.get("/v1/sessions").json() == []
        assert anns.post(f"{session.path}/stop").status_code == 204
        turn.join(20)
        session.delete()
