"""Chat turns with the demo model: the real SDK, the real wire format, real cells."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import nbformat
import pytest

from tests.stack import RUNTIMES, ApiSession, Stack, sse_events


def by_type(events: list[dict], kind: str) -> list[dict]:  # type: ignore[type-arg]
    return [event for event in events if event["type"] == kind]


def run(session: ApiSession, code: str) -> list[dict]:  # type: ignore[type-arg]
    return list(session.say(f"demo:run {code}"))


def table(session: ApiSession) -> bytes:
    """Return the real table that scikit-learn ships, out of the sandbox's image."""
    session.run(
        "import importlib.util, shutil\n(package,) = importlib.util.find_spec('sklearn').submodule_search_locations\n"
        "shutil.copy(package + '/datasets/data/breast_cancer.csv', '.')"
    )
    return session.client.get(f"{session.path}/files/breast_cancer.csv").content


def test_a_regression_is_repaired_leaves_a_picture_and_a_file_and_its_notebook_runs_again(
    session: ApiSession, runtime: str
) -> None:
    session.put("breast_cancer.csv", table(session))
    events = list(session.say("Fit a linear regression and plot it", attachments=["breast_cancer.csv"]))
    cells = by_type(events, "cell_finished")
    assert [cell["status"] for cell in cells] == ["error", "ok"]
    assert any("image/png" in o.get("data", {}) for o in cells[1]["outputs"])
    assert {"predictions.csv", "regression.png"} <= {file["path"] for file in cells[1]["files"]}
    assert len(by_type(events, "text_delta")) > 10
    for cell in cells:
        assert cell["code"] in "".join(e["text"] for e in by_type(events, "code_delta"))
    live = [e for e in events if e["type"] == "stream" and "fold" in e["text"]]
    assert len(live) >= 3, "the folds came at once"
    assert events[-1] | {"id": 0} == {"id": 0, "type": "turn_finished", "status": "done", "problem": None}
    if runtime == RUNTIMES[0]:  # what is in the notebook does not depend on it, and this takes as long again
        assert_that_the_notebook_runs_again_to_the_same_outputs(session)


def assert_that_the_notebook_runs_again_to_the_same_outputs(session: ApiSession) -> None:
    exported = session.client.get(f"{session.path}/export", params={"format": "ipynb"})
    assert exported.status_code == 200
    notebook = nbformat.reads(exported.text, 4)
    nbformat.validate(notebook)
    session.put("again.ipynb", exported.content)
    again = session.run(
        "import nbformat, nbclient\nnb = nbformat.read('again.ipynb', 4)\n"
        "nbclient.NotebookClient(nb, timeout=120).execute()\nnbformat.write(nb, 'again.ipynb')"
    )
    assert again["status"] == "ok", again["outputs"]
    second = nbformat.reads(session.client.get(f"{session.path}/files/again.ipynb").text, 4)
    assert [told(cell) for cell in notebook.cells] == [told(cell) for cell in second.cells]


def told(cell: nbformat.NotebookNode) -> list[object]:
    """Return what a cell's outputs say: printed text as one, pictures whole, errors by name and value."""
    printed: dict[str, str] = {}
    rest: list[object] = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            printed[output.name] = printed.get(output.name, "") + output.text
        elif output.output_type == "error":
            rest.append((output.ename, output.evalue))
        else:
            rest.append({key: "".join(value).strip() for key, value in output.data.items()})
    return [printed, rest]


@pytest.mark.any_runtime
def test_the_conversation_is_kept_with_its_cells(session: ApiSession) -> None:
    run(session, "print('kept')")
    question, answer = session.client.get(f"{session.path}/messages").json()
    assert question["content"].startswith("demo:run")
    assert answer["status"] == "done"
    (cell,) = [part for part in answer["parts"] if part["type"] == "cell"]
    assert cell["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "kept\n"}]
    assert session.client.get(session.path).json()["name"].startswith("demo:run print")


@pytest.mark.any_runtime
def test_the_model_reads_a_traceback_without_colours_and_a_note_for_each_picture_and_file(session: ApiSession) -> None:
    text = "".join(e["text"] for e in by_type(run(session, "1/0"), "text_delta"))
    assert "status: error" in text
    assert "ZeroDivisionError" in text
    assert "\x1b" not in text
    drawn = run(session, "import matplotlib.pyplot as plt; plt.plot([1]); plt.show(); open('f.txt','w').write('x')")
    text = "".join(e["text"] for e in by_type(drawn, "text_delta"))
    assert "[picture: image/png" in text


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("demo:no-arguments", "no arguments"),
        ("demo:half-json", "not valid JSON"),
        ("demo:unknown-tool", "no tool 'browse'"),
    ],
)
@pytest.mark.any_runtime
def test_a_call_that_makes_no_sense_is_told_to_the_model_and_the_person(
    session: ApiSession, prompt: str, reason: str
) -> None:
    events = list(session.say(prompt))
    (rejected,) = by_type(events, "call_rejected")
    assert reason in rejected["reason"]
    assert events[-1]["status"] == "done"
    parts = session.client.get(f"{session.path}/messages").json()[1]["parts"]
    assert [part["type"] for part in parts].count("rejected_call") == 1


@pytest.mark.any_runtime
def test_several_calls_in_one_reply_run_in_order(session: ApiSession) -> None:
    cells = by_type(list(session.say("demo:two-calls")), "cell_finished")
    assert [cell["outputs"][0]["text"] for cell in cells] == ["one\n", "two\n"]


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("demo:http-401", "model_key_refused"),
        ("demo:http-429", "model_rate_limited"),
        ("demo:http-500", "model_failed"),
        ("demo:error-in-stream", "model_failed"),
        ("demo:fail-forever", "repairs_used_up"),
    ],
)
@pytest.mark.any_runtime
def test_a_turn_that_fails_says_why_and_the_next_one_works(session: ApiSession, prompt: str, code: str) -> None:
    events = list(session.say(prompt))
    assert events[-1]["status"] == "failed"
    assert events[-1]["problem"]["code"] == code
    assert session.client.get(f"{session.path}/messages").json()[1]["problem"]["code"] == code
    assert list(session.say("hello"))[-1]["status"] == "done"


@pytest.mark.any_runtime
def test_a_reply_that_breaks_off_is_kept_and_said(session: ApiSession) -> None:
    events = list(session.say("demo:cut"))
    assert by_type(events, "notice")[0]["code"] == "reply_cut"
    assert session.client.get(f"{session.path}/messages").json()[1]["parts"][0]["text"]


@pytest.mark.any_runtime
def test_stop_in_the_text_ends_the_turn_and_keeps_what_was_said(session: ApiSession, stack: Stack) -> None:
    words = 0
    last: dict[str, object] = {}
    with stack.client() as other:
        for event in session.say("demo:slow"):
            words += event["type"] == "text_delta"
            if words == 3:
                began = time.monotonic()
                assert other.post(f"{session.path}/stop").status_code == 204
                assert time.monotonic() - began < 14
            last = event
    assert last["status"] == "stopped"
    answer = session.client.get(f"{session.path}/messages").json()[1]
    assert (answer["status"], bool(answer["parts"][0]["text"])) == ("stopped", True)


def test_stop_in_a_cell_interrupts_it_and_keeps_the_variables(session: ApiSession, stack: Stack) -> None:
    events = []
    with stack.client() as other:
        for event in session.say("demo:run x = 7\nprint('go', flush=True)\nimport time; time.sleep(60)"):
            events.append(event)
            if event["type"] == "stream":
                assert other.post(f"{session.path}/stop").status_code == 204
    assert by_type(events, "cell_finished")[0]["status"] == "interrupted"
    assert events[-1]["status"] == "stopped"
    assert session.printed("print(x)") == "7\n"


def test_a_deaf_cell_is_stopped_and_what_is_said_next_waits_for_its_kernel_and_tells_the_loss(
    session: ApiSession, stack: Stack
) -> None:
    deaf = "import time\nx = 7\nprint('go', flush=True)\nwhile True:\n try: time.sleep(9)\n except BaseException: pass"
    events = []
    with stack.client() as other:
        for event in session.say(f"demo:run {deaf}"):
            events.append(event)
            if event["type"] == "stream":
                assert other.post(f"{session.path}/stop").status_code == 204
    (cell,) = by_type(events, "cell_finished")
    assert (cell["status"], events[-1]["status"]) == ("interrupted", "stopped")
    assert "has not ended yet" in cell["outputs"][-1]["evalue"]
    assert session.client.get(session.path).json()["state"] == "busy"
    events = list(session.say("!print('x' in globals())"))
    assert [event["code"] for event in by_type(events, "notice")] == ["kernel_ending", "kernel_ended"]
    assert by_type(events, "cell_finished")[0]["outputs"][0]["text"] == "False\n"
    _, first, _, second = session.client.get(f"{session.path}/messages").json()
    (stopped,) = [part for part in first["parts"] if part["type"] == "cell"]
    assert "Variables are lost" in stopped["outputs"][-1]["evalue"]
    assert second["parts"][0]["code"] == "kernel_ended"


@pytest.mark.any_runtime
def test_a_second_message_while_a_turn_runs_is_refused_and_changes_nothing(session: ApiSession, stack: Stack) -> None:
    with stack.client() as other:
        for event in session.say("demo:slow"):
            if event["type"] == "text_delta":
                second = other.post(f"{session.path}/messages", json={"content": "me too"})
                assert (second.status_code, second.json()["code"]) == (409, "turn_running")
                other.post(f"{session.path}/stop")
    assert len(session.client.get(f"{session.path}/messages").json()) == 2


@pytest.mark.any_runtime
def test_a_turn_goes_on_when_its_watcher_leaves_and_is_taken_up_from_any_point(
    session: ApiSession, stack: Stack
) -> None:
    seen = []
    with (
        stack.client() as leaving,
        leaving.stream(
            "POST",
            f"{session.path}/messages",
            json={"content": "demo:run import time\nfor i in range(6): print(i, flush=True); time.sleep(0.4)"},
        ) as answer,
    ):
        for event in sse_events(answer):
            seen.append(event)
            if event["type"] == "stream":
                break
    with session.client.stream(
        "GET", f"{session.path}/events", headers={"Last-Event-ID": str(seen[-1]["id"])}
    ) as answer:
        assert answer.status_code == 200
        rest = list(sse_events(answer))
    assert rest[0]["id"] == seen[-1]["id"] + 1
    assert rest[-1]["type"] == "turn_finished"
    assert by_type(rest, "cell_finished")[0]["outputs"][0]["text"] == "0\n1\n2\n3\n4\n5\n"
    assert session.client.get(f"{session.path}/events").status_code == 204


@pytest.mark.any_runtime
def test_a_number_of_an_earlier_turn_gives_the_whole_of_this_one(session: ApiSession, stack: Stack) -> None:
    with stack.client() as other:
        for event in session.say("demo:slow"):
            if event["type"] == "text_delta":
                break
        with other.stream("GET", f"{session.path}/events", headers={"Last-Event-ID": "99999"}) as answer:
            assert next(sse_events(answer))["type"] == "turn_started"
        other.post(f"{session.path}/stop")


@pytest.mark.any_runtime
def test_a_missing_attachment_is_refused_before_anything_is_stored(session: ApiSession) -> None:
    answer = session.client.post(f"{session.path}/messages", json={"content": "look", "attachments": ["no.csv"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "attachment_missing")
    assert session.client.get(f"{session.path}/messages").json() == []


@pytest.mark.any_runtime
def test_a_model_without_a_key_and_an_unknown_one_are_told(tmp_path: Path) -> None:
    provider = {"name": "some", "api_key_env": "GLOVEBOX_TEST_NO_SUCH_KEY", "models": ["big"]}
    stack = Stack(tmp_path, {"providers": [provider]})
    try:
        stack.start_spawner()
        stack.start_orchestrator()
        with stack.client() as client:
            models = {model["id"]: model for model in client.get("/v1/models").json()}
            assert "GLOVEBOX_TEST_NO_SUCH_KEY" in models["big"]["detail"]
            assert models["glovebox-demo"]["default"] is True
            path = ApiSession(client).path
            for model, status, code in (("big", 502, "model_no_key"), ("huge", 422, "unknown_model")):
                answer = client.post(f"{path}/messages", json={"content": "hi", "model": model})
                assert (answer.status_code, answer.json()["code"]) == (status, code)
    finally:
        stack.stop()


@pytest.mark.any_runtime
def test_no_sandbox_for_a_turn_is_told_and_the_conversation_is_not_stuck(client: httpx2.Client) -> None:
    session = ApiSession(client, profile="no-image")
    events = list(session.say("demo:run 1+1"))
    assert events[-1]["problem"]["code"] == "sandbox_image_missing"
    assert json.dumps(client.get(f"{session.path}/messages").json()).count('"failed"') == 1
    session.delete()


def test_a_turn_that_begins_is_told_to_who_waits_for_it(session: ApiSession) -> None:
    events = f"{session.path}/events"
    assert session.client.get(events).status_code == 204
    assert session.client.get(events, headers={"Prefer": "wait=1"}).status_code == 204
    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(session.client.get, events, headers={"Prefer": "wait=50"})
        time.sleep(0.5)
        # Long enough for a request that comes late on a busy host.
        said = list(session.say("!import time; time.sleep(2)"))
        seen = waiting.result(60)
    assert seen.status_code == 200
    assert [event["type"] for event in sse_events(seen)] == [event["type"] for event in said]
