"""What admins see and may do: all sandboxes with what they take, and an end to each; and what is written down."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.stack import ApiSession, Stack, profiles, stopping_stack, wait_for
from tests.team import TEAM, Team

pytestmark = pytest.mark.any_runtime


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    known = profiles("runc")
    config = TEAM["config"] | {"profiles": known | {"big": {**known["standard"], "roles": ["admin"]}}}
    with stopping_stack(Stack(tmp_path_factory.mktemp("stack"), config, TEAM["environ"])) as running:
        yield running


@pytest.fixture(scope="module")
def team(stack: Stack) -> Iterator[Team]:
    with stack.client() as client:
        yield Team(client, ["ann", "bob"])


def client_of(stack: Stack, secret: str) -> httpx2.Client:
    return stack.client(headers={"Authorization": f"Bearer {secret}"})


def test_an_admin_sees_what_all_sandboxes_take_and_ends_them(stack: Stack, team: Team) -> None:
    with client_of(stack, team.token("ann")) as ann, client_of(stack, team.token("admin")) as admin:
        busy, idle, asleep = (ApiSession(ann, name=name) for name in ("busy", "idle", "asleep"))
        idle.run("x = 1; open('a.bin', 'wb').write(b'0' * 2_000_000)")
        asleep.run("1")
        ann.post(f"{asleep.path}/sleep")
        ended: list[dict[str, Any]] = []
        thread = threading.Thread(target=lambda: ended.append(busy.run("import time\nwhile True: time.sleep(0.1)")))
        thread.start()
        wait_for(lambda: ann.get(busy.path).json()["state"] == "busy", "a busy session")
        time.sleep(1)
        host = admin.get("/v1/admin/sandboxes").json()
        seen = {one["name"]: one for one in host["sandboxes"]}
        assert seen.keys() == {"busy", "idle"}
        assert {one["owner"] for one in seen.values()} == {"ann"}
        assert (seen["busy"]["state"], seen["idle"]["state"]) == ("busy", "idle")
        assert seen["busy"]["cell_runs_s"] >= 1
        assert seen["idle"]["cell_runs_s"] is None
        assert seen["idle"]["disk_bytes"] > 2_000_000
        for one in seen.values():
            assert one["memory_bytes"] > 20_000_000
            assert one["cpu_s"] > 0.05
            assert one["pids"] >= 3
        assert host["promised"]["memory_mb"] == 2 * stack.profiles["standard"]["memory_mb"]
        assert host["capacity"]["memory_mb"] > host["promised"]["memory_mb"]
        for session in (busy, idle):
            assert admin.post(f"/v1/admin/sandboxes/{session.id}/stop").status_code == 204
        thread.join(30)
        assert ended[0]["status"] == "sandbox_lost"
        assert admin.get("/v1/admin/sandboxes").json()["sandboxes"] == []
        assert admin.post(f"/v1/admin/sandboxes/{idle.id}/stop").status_code == 204, (
            "it has none any more, as was meant"
        )
        assert admin.post(f"/v1/admin/sandboxes/{'f' * 32}/stop").json()["code"] == "session_not_found"
        assert idle.printed("print(x)") == "1\n", "variables of an idle one are kept"


def test_a_profile_may_be_for_admins_only(stack: Stack, team: Team) -> None:
    with client_of(stack, team.token("ann")) as ann, client_of(stack, team.token("admin")) as admin:
        assert "big" not in {one["name"] for one in ann.get("/v1/profiles").json()}
        refused = ann.post("/v1/sessions", json={"profile": "big"})
        assert (refused.status_code, refused.json()["code"]) == (403, "profile_not_allowed")
        assert "standard" in refused.json()["detail"]
        assert "big" in {one["name"] for one in admin.get("/v1/profiles").json()}
        assert admin.post("/v1/sessions", json={"profile": "big"}).status_code == 201


def test_who_ran_what_with_which_files_is_written_down_and_outlives_the_session(stack: Stack, team: Team) -> None:
    with client_of(stack, team.token("bob")) as bob:
        session = ApiSession(bob)
        session.put("in.csv", b"a,b\n")
        session.run("open('out.csv', 'w').write('x')")
        session.run("1 / 0")
        bob.get(f"{session.path}/files/out.csv")
        bob.delete(f"{session.path}/files/in.csv")
        session.delete()
    bobs = next(user["id"] for user in team.accounts() if user["name"] == "bob")

    def entries() -> list[tuple[str, str, str, str]]:
        database = sqlite3.connect(stack.folder / "data" / "glovebox.sqlite")
        try:
            query = "SELECT action, decision, subject, detail FROM audit WHERE user = ? AND session_id = ? ORDER BY id"
            return list(database.execute(query, (bobs, session.id)))
        finally:
            database.close()

    wait_for(lambda: len(entries()) >= 7, "the entries")
    found = entries()
    assert [one[:2] for one in found] == [
        ("session_made", "allowed"),
        ("upload", "allowed"),
        ("cell", "allowed"),
        ("cell", "failed"),
        ("download", "allowed"),
        ("file_deleted", "allowed"),
        ("session_deleted", "allowed"),
    ]
    assert found[1][2:] == ("in.csv", "4 bytes")
    assert found[2][2] == "open('out.csv', 'w').write('x')"
    assert found[2][3].startswith("ok, 0.")
    assert found[2][3].endswith("files: out.csv")
    assert found[3][3].startswith("error, ")
