"""Every behaviour of providers by name, over real HTTP, for OpenAI, Azure and a model without tools: good replies."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter

from orchestrator.chat import asking
from orchestrator.chat.fenced import PROTOCOL, RESULT
from orchestrator.chat.prompt import TOOL
from orchestrator.events import CodeDelta, ReasoningDelta, TextDelta
from tests.provider import (
    DONE,
    USAGE,
    FakeProvider,
    call,
    delta,
    raw_call,
    says,
    stream,
    usage,
    words,
)
from tests.unit.provider_world import (
    CODE,
    KEY,
    TOLD,
    WITH_TOOLS,
    World,
    made_world,
    reason_of,
    until,
)

_SHAPE: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsStreaming)


async def test_a_request_has_the_shape_of_the_sdks_own_types(world: World) -> None:
    history = [
        *TOLD,
        {"role": "assistant", "content": "I look.", "tool_calls": [call(CODE, None)]},
        {"role": "tool", "tool_call_id": "call_1", "content": "status: ok"},
        {"role": "assistant", "content": "Done."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "And this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}],
        },
    ]
    await world.ask(says("Yes."), told=history)
    (asked,) = world.provider.requests
    _SHAPE.validate_python(asked.body, strict=True)
    known = CompletionCreateParamsStreaming.__required_keys__ | CompletionCreateParamsStreaming.__optional_keys__
    assert asked.body.keys() <= known
    assert (asked.body["stream"], asked.body["stream_options"]) == (True, {"include_usage": True})
    if world.kind == "tool-less":
        assert "tools" not in asked.body
        assert asked.body["messages"][0]["content"] == f"You are.\n\n{PROTOCOL}"
        assert [m["role"] for m in asked.body["messages"]] == [
            "system",
            "user",
            "assistant",
            "user",
            "assistant",
            "user",
        ]
        assert asked.body["messages"][3]["content"] == f"{RESULT}\nstatus: ok"
    else:
        assert (asked.body["tools"], asked.body["messages"]) == ([TOOL], history)


async def test_a_request_goes_where_the_kind_has_it(world: World) -> None:
    await world.ask(says("Yes."))
    (asked,) = world.provider.requests
    if world.kind == "azure":
        assert (asked.path, asked.query) == (
            "/openai/deployments/prod-m/chat/completions",
            {"api-version": "2024-10-21"},
        )
        assert (asked.headers["api-key"], asked.headers.get("authorization")) == (KEY, None)
        assert asked.body["model"] == "prod-m"
    else:
        assert (asked.path, asked.query) == ("/v1/chat/completions", {})
        assert (asked.headers["authorization"], asked.headers.get("api-key")) == (f"Bearer {KEY}", None)
        assert asked.body["model"] == "m"


@pytest.mark.parametrize(
    ("more", "header", "value"),
    [
        ({"headers": {"X-Team": "data"}}, "x-team", "data"),
        ({"key_header": "Ocp-Apim-Subscription-Key"}, "ocp-apim-subscription-key", KEY),
        ({"key_header": "Authorization"}, "authorization", f"Bearer {KEY}"),
    ],
)
async def test_headers_are_sent_as_the_config_has_them(
    kind: str, provider: FakeProvider, tmp_path: Path, more: Any, header: str, value: str
) -> None:
    async for world in made_world(kind, provider, tmp_path, **more):
        assert (await world.ask(says("Yes."))).reply.text == "Yes."
    (asked,) = provider.requests
    assert asked.headers[header] == value
    if "key_header" in more:
        assert sum(KEY in told for told in asked.headers.values()) == 1
        assert "none" not in {asked.headers.get("authorization"), asked.headers.get("api-key")}


async def test_the_longest_reply_and_what_else_the_config_adds(
    provider: FakeProvider, kind: str, tmp_path: Path
) -> None:
    entry = {"name": "m", "max_output": 500, "parallel_calls": False, "tools": kind != "tool-less"}
    entry["extra_body"] = {"reasoning_effort": "low"}
    async for world in made_world(kind, provider, tmp_path, models=[entry], deployments={}):
        await world.ask(says("Yes."))
    (asked,) = provider.requests
    limit = "max_completion_tokens" if kind == "azure" else "max_tokens"
    assert (asked.body[limit], asked.body["reasoning_effort"]) == (500, "low")
    assert asked.body.get("parallel_tool_calls") is (None if kind == "tool-less" else False)


async def test_text_streams_as_it_comes(world: World) -> None:
    answer = await world.ask(says("One two three."))
    assert (answer.reply.text, answer.codes, answer.problem) == ("One two three.", [], None)
    assert answer.shown(TextDelta) == "One two three."
    assert len([one for one in answer.events if isinstance(one, TextDelta)]) >= (3 if world.kind != "tool-less" else 2)


async def test_a_call_streams_as_code(world: World) -> None:
    answer = await world.ask(world.runs(CODE))
    assert (answer.reply.text.strip(), answer.codes) == ("I look.", [CODE])
    assert answer.shown(CodeDelta).removesuffix("\n") == CODE
    assert "42" not in answer.shown(TextDelta)


async def test_a_slow_stream_is_waited_for(world: World) -> None:
    pieces = [part for word in words("One two.") for part in (word, 0.01)]
    answer = await world.ask(stream(0.05, *pieces, delta("stop"), usage(), DONE))
    assert (answer.reply.text, answer.problem) == ("One two.", None)


@WITH_TOOLS
async def test_parallel_calls(world: World) -> None:
    both = [call("1", 0, call_id="a"), call("2", 1, call_id="b")]
    answer = await world.ask(says("", *both))
    assert ([one.id for one in answer.reply.calls], answer.codes) == (["a", "b"], ["1", "2"])
    whole = await world.ask(stream(delta("tool_calls", tool_calls=both), DONE))
    assert whole.codes == ["1", "2"]


@pytest.mark.parametrize("kind", ["tool-less"])
async def test_of_several_blocks_the_first_is_run_and_the_server_is_freed(world: World) -> None:
    text = "```python\n1\n```\nThen:\n```python\n2\n```\n"
    answer = await world.ask(stream(*words(text), endless=delta(content="and on ")))
    assert (answer.codes, answer.reply.text) == (["1"], "")
    await until(lambda: world.provider.left == 1)


@WITH_TOOLS
@pytest.mark.parametrize(
    "one",
    [call(CODE), call(CODE, None), call(CODE, 0, call_id=None), call(CODE, None, call_id=None)],
    ids=["as it should be", "without index", "without id", "without both"],
)
async def test_a_whole_call_in_one_chunk_that_says_stop(world: World, one: dict[str, Any]) -> None:
    assert (await world.ask(stream(delta(tool_calls=[one]), delta("stop"), DONE))).codes == [CODE]


@WITH_TOOLS
async def test_wrong_arguments_are_repaired_or_told(world: World) -> None:
    made = [
        raw_call("print(1)", 0, call_id="a"),
        call("print(2)", 1, "python", "b"),
        raw_call('{"code": "print(\n3)"}', 2, call_id="c"),
        raw_call('{"code": "print(', 3, call_id="d"),
        call("4", 4, "browse", "e"),
    ]
    one, two, three, four, five = (await world.ask(says("", *made))).codes
    assert (one, two, three) == ("print(1)", "print(2)", "print(\n3)")
    assert "not valid JSON" in reason_of(four) and "no tool 'browse'" in reason_of(five)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_thoughts_are_told_as_such(world: World, field: str) -> None:
    answer = await world.ask(stream(delta(**{field: "Hm."}), *words("Yes."), delta("stop"), DONE))
    assert (answer.reply.reasoning, answer.reply.text, answer.shown(ReasoningDelta)) == ("Hm.", "Yes.", "Hm.")


async def test_thoughts_in_the_text_are_not_run(world: World) -> None:
    answer = await world.ask(says("<think>\n```python\n1\n```\n</think>\nNo code."))
    assert (answer.reply.text, answer.codes) == ("No code.", [])


async def test_a_server_that_does_not_stream_is_understood(world: World) -> None:
    message = {"role": "assistant", "content": "Whole."}
    whole = {"id": "1", "object": "chat.completion", "choices": [{"message": message, "finish_reason": "stop"}]}
    answer = await world.ask(stream(json.dumps(whole | {"usage": USAGE}).encode(), media_type="application/json"))
    assert (answer.reply.text, answer.problem, answer.used().tokens_in) == ("Whole.", None, 120)


async def test_comments_and_blank_lines_say_nothing(world: World) -> None:
    noise = b": PROCESSING\n\n", b"\r\n", b"event: ping\n\n", b"data: \n\n", b"id: 1\nretry: 5\n\n"
    answer = await world.ask(stream(*noise, *words("Yes."), *noise, delta("stop").replace(b"\n", b"\r\n"), DONE))
    assert (answer.reply.text, answer.problem) == ("Yes.", None)


@pytest.mark.parametrize("last", [(DONE,), (delta("stop"),), (delta("stop"), 60.0), (delta("stop"), DONE, 60.0)])
async def test_an_end_is_an_end_however_it_is_said(world: World, last: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MODEL_LAST_CHUNK_S", 0.05)
    monkeypatch.setattr(asking, "MODEL_CLOSE_S", 0.05)
    answer = await world.ask(stream(*words("Yes."), *last))
    assert (answer.reply.text, answer.notices(), answer.problem) == ("Yes.", [], None)
