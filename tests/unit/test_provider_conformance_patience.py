"""Every behaviour of providers by name, over real HTTP: what is asked again, and what servers do without."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.chat.completion import ModelReply
from orchestrator.chat.fenced import PROTOCOL
from orchestrator.events import EventLog, ReplyRestarted
from tests.provider import (
    DONE,
    Act,
    Acting,
    FakeProvider,
    call,
    delta,
    says,
    status,
    stream,
    words,
)
from tests.unit.provider_world import (
    CODE,
    TOLD,
    WITH_TOOLS,
    World,
    made_world,
)


@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 529])
async def test_what_may_pass_is_asked_again(world: World, code: int) -> None:
    answer = await world.ask(status(code), status(code), world.runs("1"))
    assert (answer.codes, answer.problem) == (["1"], None)
    assert [0.25, 0.5] <= answer.waits <= [0.5, 1.0]
    assert not any(isinstance(one, ReplyRestarted) for one in answer.events)


async def test_what_does_not_pass_is_told(world: World) -> None:
    answer = await world.ask(status(503, {"message": "The model is loading."}))
    assert (answer.code, len(world.provider.requests)) == ("model_failed", 3)
    assert "The model is loading." in str(answer.problem)


@pytest.mark.parametrize(
    ("headers", "wait"), [({"retry_after": "7"}, 7), ({"retry_after_ms": "1500"}, 1.5), ({"retry_after": "0"}, 0)]
)
async def test_retry_after_is_heeded(world: World, headers: dict[str, str], wait: float) -> None:
    answer = await world.ask(status(429, **headers), says("Yes."))
    assert (answer.waits, answer.reply.text) == ([wait], "Yes.")
    assert answer.notices() == (["model_waits"] if wait >= 2 else [])


async def test_a_wait_that_is_too_long_is_told(world: World) -> None:
    answer = await world.ask(status(429, retry_after="3600"))
    assert (answer.code, answer.waits) == ("model_rate_limited", [])
    assert "Try again in 60 min." in str(answer.problem)


async def test_retry_after_may_be_a_date_and_nonsense_is_none(world: World) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=20)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    (waited,) = (await world.ask(status(503, retry_after=soon), says("Yes."))).waits
    assert 0 < waited <= 20
    for nonsense in ("soon", "nan", "-1", ""):
        (waited,) = (await world.ask(status(503, retry_after=nonsense), says("Yes."))).waits
        assert 0.25 <= waited <= 0.5


async def test_a_server_that_says_that_it_is_no_use_is_believed(world: World) -> None:
    assert len((await world.ask(status(500, x_should_retry="false"))).waits) == 0
    assert len((await world.ask(status(400, x_should_retry="true"), says("Yes."))).waits) == 1


async def test_a_silent_server_is_told_as_such(kind: str, provider: FakeProvider, tmp_path: Path) -> None:
    async for world in made_world(kind, provider, tmp_path, timeout_s=0.2, retries=1):
        answer = await world.ask(stream(600.0))
        assert (answer.code, len(provider.requests)) == ("model_timeout", 2)
        late = await world.ask(stream(*words("Half of"), 600.0))
        assert (late.code, late.reply.text) == ("model_timeout", "Half of")


async def test_a_server_that_is_not_there_is_told_as_such(kind: str, tmp_path: Path) -> None:
    async for world in made_world(kind, FakeProvider("http://127.0.0.1:1"), tmp_path):
        answer = await world.ask(says(""))
        assert (answer.code, len(answer.waits)) == ("model_unreachable", 2)
        assert "attempts failed" in str(answer.problem) or "refused" in str(answer.problem)


def strict(*refused: tuple[str, Act]) -> Acting:
    """Answer like a server that knows not all fields."""

    def act(asked: Any) -> Act:
        return next((answer for name, answer in refused if name in asked.body), says("Yes."))

    return act


async def test_a_server_without_stream_options_is_asked_without_from_then_on(world: World) -> None:
    act = strict(("stream_options", status(400, {"message": "Unknown field: stream_options"})))
    for number in (2, 1):
        answer = await world.ask(act)
        assert (answer.reply.text, answer.waits) == ("Yes.", [0] if number == 2 else [])
        assert len(world.provider.requests) == number


@WITH_TOOLS
@pytest.mark.parametrize(
    "refusal",
    [
        status(400, {"message": "registry.ollama.ai/library/gemma3 does not support tools"}),
        status(
            400, {"message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'}
        ),
        status(500, {"message": "tools param requires --jinja flag"}),
        status(404, {"message": "No endpoints found that support tool use."}),
        status(
            422,
            {
                "detail": [
                    {"type": "extra_forbidden", "loc": ["body", "tools"], "msg": "Extra inputs are not permitted"}
                ]
            },
        ),
        status(400, {"message": "Unsupported.", "param": "tools"}),
    ],
    ids=["ollama", "vllm", "llama.cpp", "openrouter", "fastapi", "openai"],
)
async def test_a_server_without_tools_is_told_of_blocks_from_then_on(world: World, refusal: Act) -> None:
    def act(asked: Any) -> Act:
        return refusal if "tools" in asked.body else says("```python\n1\n```\n")

    for number in (2, 1):
        assert (await world.ask(act)).codes == ["1"]
        assert len(world.provider.requests) == number
    assert PROTOCOL in world.provider.requests[0].body["messages"][0]["content"]


def history(call_id: str) -> list[Any]:
    """Return a conversation with a call in it."""
    made = {"role": "assistant", "content": None, "tool_calls": [call(CODE, None, call_id=call_id)]}
    return [*TOLD, made, {"role": "tool", "tool_call_id": call_id, "content": "status: ok"}]


@WITH_TOOLS
async def test_calls_of_another_model_get_the_ids_that_a_server_wants(world: World) -> None:
    told = {"message": "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."}

    def act(asked: Any) -> Act:
        made, result = asked.body["messages"][2]["tool_calls"][0]["id"], asked.body["messages"][3]["tool_call_id"]
        return says("Yes.") if made == result and len(made) == 9 else status(400, told)

    assert (await world.ask(act, told=history("call_1"))).reply.text == "Yes."


@WITH_TOOLS
async def test_thoughts_before_a_call_come_back_where_a_server_wants_them(world: World) -> None:
    asker = await world.asker()
    thinking = stream(delta(reasoning_content="Hm."), delta("tool_calls", tool_calls=[call("1", 0, call_id="c")]), DONE)
    missing = {"message": "Missing `reasoning_content` field in the assistant message at index 2."}

    def act(asked: Any) -> Act:
        return says("Yes.") if asked.body["messages"][2].get("reasoning_content") == "Hm." else status(400, missing)

    world.provider.will(thinking, act)
    await asker.ask(ModelReply(), TOLD, EventLog())
    reply = ModelReply()
    await asker.ask(reply, history("c"), EventLog())
    assert reply.text == "Yes."


@WITH_TOOLS
async def test_a_complaint_about_a_message_is_none_about_tools(world: World) -> None:
    told = {"message": "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."}
    answer = await world.ask(status(400, told))
    assert (answer.code, len(world.provider.requests)) == ("model_refused", 1)


async def test_fields_are_changed_until_the_server_takes_them(
    provider: FakeProvider, kind: str, tmp_path: Path
) -> None:
    entry = {"name": "m", "max_output": 500, "parallel_calls": False, "tools": kind != "tool-less"}
    first, second = ("max_tokens", "max_completion_tokens")[:: -1 if kind == "azure" else 1]
    act = strict(
        ("parallel_tool_calls", status(400, {"message": "parallel_tool_calls: extra fields not permitted"})),
        (
            first,
            status(
                400, {"message": f"Unsupported parameter: '{first}'.", "param": first, "code": "unsupported_parameter"}
            ),
        ),
    )
    async for world in made_world(kind, provider, tmp_path, models=[entry], deployments={}):
        assert (await world.ask(act)).reply.text == "Yes."
        assert (await world.ask(act)).reply.text == "Yes."
        (asked,) = provider.requests
        assert (asked.body[second], first in asked.body, "parallel_tool_calls" in asked.body) == (500, False, False)
        large = status(400, {"message": f"{second} is too large: 500", "param": None})
        assert (await world.ask(strict((second, large)))).code == "model_refused"
