"""Branches, approvals and one's own code with a real kernel."""

from typing import Any

import pytest

from tests.stack import ApiSession, Stack, sse_events

pytestmark = pytest.mark.any_runtime


def conversation(session: ApiSession) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.client.get(f"{session.path}/messages").json()
    return found


def printed(message: dict[str, Any]) -> list[str]:
    """Return what the cells of an answer printed."""
    cells = [part for part in message["parts"] if part["type"] == "cell"]
    return ["".join(one.get("text", "") for one in cell["outputs"]).strip() for cell in cells]


def again(session: ApiSession, message_id: str) -> list[dict[str, Any]]:
    with session.client.stream("POST", f"{session.path}/messages/{message_id}/regenerate") as answer:
        assert answer.status_code == 200, answer.read()
        return list(sse_events(answer))


def test_a_conversation_is_edited_answered_again_deleted_and_run_by_hand(session: ApiSession) -> None:
    list(session.say("!count = 0"))
    list(session.say("demo:run count += 1; print(count)"))
    _, own, question, _ = conversation(session)
    assert (own["model"], own["parts"][0]["code"]) == (None, "count = 0")
    again(session, question["id"])
    assert printed(conversation(session)[3]) == ["2"], "variables stay where an answer is made again"
    list(session.say("demo:run count += 10; print(count)", edits=question["id"]))
    edited = conversation(session)
    assert printed(edited[3]) == ["12"]
    assert edited[2]["siblings"] == [question["id"], edited[2]["id"]]
    notebook = session.client.get(f"{session.path}/export").json()
    exported = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert exported == ["count = 0", "count += 10; print(count)"], "only what is shown is exported"
    assert session.client.post(f"{session.path}/messages/{question['id']}/show").status_code == 204
    shown = conversation(session)
    assert (printed(shown[3]), len(shown[3]["siblings"])) == (["2"], 2)
    assert session.client.delete(f"{session.path}/messages/{shown[0]['id']}").status_code == 204
    left = conversation(session)
    assert [one["id"] for one in left] == [one["id"] for one in shown[2:]]
    assert left[0]["parent_id"] is None
    assert session.printed("print(count)") == "12\n", "files and variables stay"


@pytest.mark.any_runtime
def test_a_cell_of_the_model_waits_for_a_click_and_runs_as_it_was_edited(session: ApiSession, stack: Stack) -> None:
    changed = session.client.patch(session.path, json={"approval": "ask", "instructions": "Be brief."}).json()
    assert (changed["approval"], changed["instructions"], changed["model"]) == ("ask", "Be brief.", None)
    events = []
    with stack.client() as other:
        for event in session.say("demo:run print('model')"):
            events.append(event)
            if event["type"] == "approval_asked":
                (waiting,) = [part for part in conversation(session)[1]["parts"] if part["type"] == "waiting_call"]
                assert (waiting["call_id"], waiting["code"]) == (event["call_id"], "print('model')")
                path = f"{session.path}/approvals/{event['call_id']}"
                decided = other.post(path, json={"decision": "run", "code": "print('person')"})
                assert decided.status_code == 204, decided.text
                assert other.post(path, json={"decision": "run"}).json()["code"] == "approval_not_found"
    assert [event["type"] for event in events].count("approval_given") == 1
    assert printed(conversation(session)[1]) == ["person"]
    assert "The user changed this code" in "".join(event.get("text", "") for event in events)


@pytest.mark.any_runtime
def test_a_stop_while_the_sandbox_starts_is_not_waited_for(session: ApiSession, stack: Stack) -> None:
    events = []
    with stack.client() as other:
        for event in session.say("demo:run print('never')"):
            events.append(event)
            if event["type"] == "sandbox_state":
                assert other.post(f"{session.path}/stop").status_code == 204
    assert events[-1]["status"] == "stopped"
    assert "cell_finished" not in [event["type"] for event in events]
    (rejected,) = [part for part in conversation(session)[1]["parts"] if part["type"] == "rejected_call"]
    assert rejected["code"] == "print('never')"
    assert session.printed("print('now')") == "now\n"


def test_a_stopped_cell_that_heeds_ends_its_turn_and_one_that_does_not_loses_its_kernel(
    session: ApiSession, stack: Stack
) -> None:
    deaf = "import time\nprint('go', flush=True)\nwhile True:\n try: time.sleep(60)\n except BaseException: pass"
    with stack.client() as other:
        for code in ("print('go', flush=True)\nimport time; time.sleep(60)", deaf):
            for event in session.say(f"!{code}"):
                if event["type"] == "stream":
                    assert other.post(f"{session.path}/stop").status_code == 204
    assert [one.get("status") for one in conversation(session)] == [None, "stopped", None, "stopped"]
    assert session.printed("print('now')") == "now\n"


@pytest.mark.any_runtime
def test_sessions_are_found_by_what_was_said_in_them(session: ApiSession) -> None:
    list(session.say("!quokka = 'wombat'"))
    for words, found in (("QUOKKA", 1), ("wombat", 1), ("no such marsupial", 0)):
        listed = session.client.get("/v1/sessions", params={"search": words}).json()
        assert [one["id"] for one in listed] == [session.id] * found


@pytest.mark.any_runtime
def test_settings_are_ones_own_and_wrong_ones_are_refused(session: ApiSession) -> None:
    client = session.client
    kept = client.get("/v1/me/settings").json()
    assert kept == {
        "instructions": "", "language": None, "theme": "system", "fold_code": True, "default_model": None,
        "default_profile": None,
    }  # fmt: skip
    changed = client.put("/v1/me/settings", json={"language": "zh-CN", "fold_code": False})
    assert changed.json() == kept | {"language": "zh-CN", "fold_code": False}
    unknown = ({"default_model": "huge"}, {"default_profile": "huge"})
    for wrong in ({"language": "x y"}, {"theme": "pink"}, *unknown, {"fold_code": 1}, {"other": 1}):
        assert client.put("/v1/me/settings", json=wrong).status_code == 422
    assert client.put("/v1/me/settings", json={"default_profile": "tight"}).status_code == 200
    assert client.post("/v1/sessions").json()["profile"] == "tight"
    before = {"language": None, "fold_code": True, "default_profile": None}
    assert client.put("/v1/me/settings", json=before).json() == kept
