"""Whole turns with a provider that misbehaves, and the doors of keys and usage: real cells, real HTTP on both sides."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.provider import FakeProvider, call, delta, running_provider, says, status, stream, words
from tests.stack import ApiSession, Stack, stopping_stack

pytestmark = pytest.mark.any_runtime
KEY = "sk-canary-of-the-team-0123"
OWN = "sk-canary-of-my-own-4567"
LIMIT = 400


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, provider: FakeProvider, runtime: str) -> Iterator[Stack]:
    models = ["m", {"name": "plain", "tools": False, "window": 8192, "price": {"input": 2, "output": 10}}]
    made = {"name": "fake", "base_url": f"{provider.url}/v1", "api_key_env": "KEY", "own_keys": True, "models": models}
    config = {"providers": [made], "quotas": {"admin": {"tokens_per_day": LIMIT}}}
    with stopping_stack(Stack(tmp_path_factory.mktemp("stack"), config, environ={"KEY": KEY}, runtime=runtime)) as one:
        yield one


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx2.Client]:
    """A client of somebody who has used nothing of their quota, since a key of their own pays."""
    with stack.client() as made:
        assert made.put("/v1/me/keys/fake", json={"key": OWN}).status_code == 204
        yield made


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_a_reply_that_breaks_off_is_asked_for_again_and_no_cell_runs_twice(
    client: httpx2.Client, provider: FakeProvider
) -> None:
    half = stream(*words("It is"), breaks=True)
    provider.will(says("I count.", call("open('n', 'a').write('x')")), half, status(500), says("It is done."))
    session = ApiSession(client)
    events = list(session.say("Count.", model="m"))
    assert events[-1]["status"] == "done"
    assert session.files() == {"n": 1}
    restarted = kinds(events).index("reply_restarted")
    assert events[restarted]["round"] == 1
    assert "".join(e["text"] for e in events[restarted:] if e["type"] == "text_delta") == "It is done."
    answer = client.get(f"{session.path}/messages").json()[1]
    assert [part.get("text") for part in answer["parts"] if part["type"] == "text"] == ["I count.", "It is done."]
    assert kinds(events).count("usage") == 2


def test_a_model_without_tools_runs_cells_in_blocks(client: httpx2.Client, provider: FakeProvider) -> None:
    block = says("I look.\n```python\nprint(6 * 7)\n```\nIt printed 41.")
    provider.will(block, says("It is 42."))
    session = ApiSession(client)
    events = list(session.say("What is it?", model="plain"))
    (cell,) = [event for event in events if event["type"] == "cell_finished"]
    assert (cell["code"], cell["outputs"][0]["text"]) == ("print(6 * 7)", "42\n")
    _, second = provider.requests
    assert "```python" in second.body["messages"][-2]["content"]
    assert "42" in second.body["messages"][-1]["content"]
    assert "printed 41" not in str(second.body) + str(client.get(f"{session.path}/messages").json())
    usages = [event for event in events if event["type"] == "usage"]
    assert (usages[1]["window"], usages[1]["cost"] > 0) == (8192, True)


def test_a_failure_is_told_and_the_turn_can_be_tried_again(client: httpx2.Client, provider: FakeProvider) -> None:
    too_long = status(400, {"message": "maximum context length is 10 tokens", "code": "context_length_exceeded"})
    # It is asked again with less, twice.
    provider.will(too_long, too_long, too_long, says("Yes."))
    session = ApiSession(client)
    problem = list(session.say("Go.", model="m"))[-1]["problem"]
    assert (problem["code"], "maximum context length is 10" in problem["detail"]) == ("context_too_long", True)
    assert list(session.say("Again.", model="m"))[-1]["status"] == "done"


def test_what_is_used_is_told_and_ends_at_the_quota_but_for_who_brings_a_key(
    stack: Stack, client: httpx2.Client, provider: FakeProvider
) -> None:
    assert client.delete("/v1/me/keys/fake").status_code == 204
    provider.will(says("Yes."))
    session = ApiSession(client)
    before = client.get("/v1/me/usage").json()
    assert (before["tokens_today"], before["tokens_per_day"], before["cost_per_day"]) == (0, LIMIT, None)
    for _ in range(3):
        assert list(session.say("Go.", model="m"))[-1]["status"] == "done"
    assert client.get("/v1/me/usage").json()["tokens_today"] == 450
    refused = client.post(f"{session.path}/messages", json={"content": "Go.", "model": "m"})
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_reached")
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert len(client.get(f"{session.path}/messages").json()) == 6
    assert client.put("/v1/me/keys/fake", json={"key": OWN}).status_code == 204
    assert list(session.say("Go.", model="m"))[-1]["status"] == "done"
    assert provider.requests[-1].headers["authorization"] == f"Bearer {OWN}"


def test_keys_are_told_nowhere(stack: Stack, client: httpx2.Client, provider: FakeProvider) -> None:
    (shown,) = client.get("/v1/me/keys").json()
    assert (shown["provider"], shown["hint"]) == ("fake", "…4567")
    session = ApiSession(client)
    provider.will(status(401, {"message": f"Incorrect API key provided: {OWN}"}))
    events = list(session.say("Go.", model="m"))
    assert events[-1]["problem"]["code"] == "model_key_refused"
    provider.will(stream(delta(content="x"), b"data: nonsense\n\n"))
    events += list(session.say("Go.", model="m"))
    bad = client.put("/v1/me/keys/fake", json={"key": f"{OWN} {KEY}"})
    assert (bad.status_code, bad.json()["code"]) == (422, "bad_key")
    told = [str(events), bad.text, client.get("/v1/models").text, client.get(f"{session.path}/messages").text]
    kept = [file.read_bytes() for file in stack.folder.rglob("*") if file.is_file() and file.suffix in (".log", "")]
    kept += [(stack.folder / "data" / f"glovebox.sqlite{end}").read_bytes() for end in ("", "-wal")]
    assert "canary" not in "".join(told)
    assert not any(b"canary" in content for content in kept)


def test_a_provider_that_takes_no_own_keys_says_so(client: httpx2.Client) -> None:
    answer = client.put("/v1/me/keys/openai", json={"key": OWN})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_own_keys")
