"""Every behaviour of providers by name, over real HTTP: replies that break off, never end, or are refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from orchestrator.chat import asking
from orchestrator.chat.completion import ModelReply
from orchestrator.chat.failures import WindowRefused
from orchestrator.events import CodeDelta, EventLog, ReplyRestarted, TextDelta
from tests.provider import (
    DONE,
    call,
    delta,
    event,
    raw_call,
    says,
    status,
    stream,
    words,
)
from tests.unit.provider_world import (
    BROKEN,
    KEY,
    TOLD,
    World,
    reason_of,
    until,
)


@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_stream_is_asked_for_again(world: World, how: str) -> None:
    answer = await world.ask(BROKEN[how], says("The whole of it."))
    assert (answer.reply.text, answer.shown(TextDelta), answer.problem) == ("The whole of it.",) * 2 + (None,)
    assert [one for one in answer.events if isinstance(one, ReplyRestarted)] == [ReplyRestarted(3)]
    assert len(world.provider.requests) == 2
    assert world.provider.requests[0].body == world.provider.requests[1].body


@pytest.mark.parametrize("how", BROKEN)
async def test_a_stream_that_breaks_again_and_again_is_told_and_what_came_is_kept(world: World, how: str) -> None:
    answer = await world.ask(BROKEN[how])
    assert answer.reply.text == "Half of"
    assert len(world.provider.requests) == 3
    if how == "cut":
        assert (answer.notices(), answer.problem) == (["reply_cut"], None)
    else:
        codes = {"connection lost": "model_unreachable", "error in the stream": "model_failed"}
        assert answer.code == codes.get(how, "model_nonsense")


async def test_a_half_written_call_of_a_broken_stream_is_dropped(world: World) -> None:
    if world.kind == "tool-less":
        half = stream(*words("```python\nos.remove('a')\n"), breaks=True)
    else:
        half = stream(delta(tool_calls=[raw_call('{"code": "os.remove(')]), breaks=True)
    answer = await world.ask(half, world.runs("print(1)"))
    assert answer.codes == ["print(1)"]
    assert answer.shown(CodeDelta).strip() == "print(1)"


async def test_a_reply_that_ends_at_its_longest_is_said_to(world: World) -> None:
    answer = await world.ask(says("On and", finish="length"))
    assert (answer.reply.text, answer.notices(), answer.problem) == ("On and", ["reply_too_long"], None)
    if world.kind == "tool-less":
        half = says("```python\nprint(", finish="length")
    else:
        half = says("", raw_call('{"code": "print('), finish="length")
    (rejected,) = (await world.ask(half)).codes
    assert "divide it into several cells" in reason_of(rejected)


ENDLESS = {
    "text": delta(content="word " * 1000),
    "thoughts": delta(reasoning_content="word " * 1000),
    "calls": delta(tool_calls=[raw_call("", None, call_id=None), raw_call("{}", None, call_id=None)]),
    "nothing": delta(content="") * 1000,
    "comments": b": still here\n\n" * 1000,
    "one line": b"x" * 100_000,
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_an_endless_reply_ends(world: World, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.chat.stream.MODEL_STREAM_BYTES", 2 * 2**20)
    monkeypatch.setattr("orchestrator.chat.stream.MODEL_CHUNK_BYTES", 2**20)
    answer = await world.ask(stream(endless=ENDLESS[what]))
    assert (answer.notices(), answer.reply.calls, answer.problem) == (["reply_too_long"], [], None)
    await until(lambda: world.provider.left == 1)
    assert len(world.provider.requests) == 1


async def test_a_reply_that_takes_for_ever_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MODEL_REPLY_S", 0.3)
    answer = await world.ask(stream(*words("Half of"), 600.0))
    assert (answer.reply.text, answer.notices(), answer.problem) == ("Half of", ["reply_too_long"], None)


async def test_stop_frees_the_server(world: World) -> None:
    world.provider.will(stream(*words("Half of"), 600.0))
    reply, log = ModelReply(), EventLog()
    asked = asyncio.create_task((await world.asker()).ask(reply, TOLD, log))
    await until(lambda: bool(reply.text))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await until(lambda: world.provider.left == 1)
    assert (await world.use.of_session("s1")).used.tokens_out > 0


async def test_a_refusal_is_said_in_the_models_words(world: World) -> None:
    answer = await world.ask(stream(delta(refusal="I cannot help with that."), delta("stop"), DONE))
    assert (answer.reply.text, answer.shown(TextDelta)) == ("I cannot help with that.",) * 2


async def test_a_filter_that_ends_a_reply_is_told_and_nothing_is_run(world: World) -> None:
    answer = await world.ask(stream(*words("Half"), delta(tool_calls=[call("1")]), delta("content_filter"), DONE))
    assert (answer.code, answer.reply.text, answer.codes) == ("model_filtered", "Half", [])
    assert len(world.provider.requests) == 1


REFUSALS = {
    "wrong key": (status(401, {"message": "Incorrect API key."}), "model_key_refused"),
    "forbidden": (status(403), "model_key_refused"),
    "unknown model": (status(404, {"message": "No such model.", "code": "model_not_found"}), "model_unknown"),
    "quota": (
        status(429, {"message": "You exceeded your current quota.", "code": "insufficient_quota"}),
        "model_quota_used_up",
    ),
    "no credit": (status(402), "model_quota_used_up"),
    "long context": (
        status(400, {"message": "maximum context length is 8192", "code": "context_length_exceeded"}),
        "context_too_long",
    ),
    "long context of llama.cpp": (
        status(400, {"message": "the request exceeds the available context size"}),
        "context_too_long",
    ),
    "long context of vLLM": (
        status(400, {"message": "This model's maximum context length is 4096 tokens."}),
        "context_too_long",
    ),
    "too large": (status(413), "context_too_long"),
    "content filter": (
        status(400, {"message": "The response was filtered.", "code": "content_filter"}),
        "model_filtered",
    ),
    "bad request": (status(400, {"message": "Nonsense."}), "model_refused"),
    "bad request, in FastAPI's way": (status(422, {"detail": [{"loc": ["body", "messages"]}]}), "model_refused"),
    "context error in the stream": (
        stream(event({"error": {"message": "prompt is too long: 9000 tokens"}})),
        "context_too_long",
    ),
    "elsewhere": (status(307, location="http://127.0.0.1:1/"), "model_refused"),
}


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_refusal_of_the_server_is_told_with_its_reason_and_not_asked_again(world: World, what: str) -> None:
    act, code = REFUSALS[what]
    answer = await world.ask(act)
    assert (answer.code, len(world.provider.requests)) == (code, 1)
    assert isinstance(answer.problem, WindowRefused) is (code == "context_too_long")
    if isinstance(act.error, dict) and "error" in act.error:
        assert act.error["error"]["message"] in str(answer.problem)


async def test_a_key_that_a_provider_repeats_is_not_told(world: World) -> None:
    answer = await world.ask(status(401, {"message": f"Incorrect API key provided: {KEY}."}))
    assert answer.problem is not None
    assert KEY not in answer.problem.detail and "Incorrect API key provided: …." in answer.problem.detail


async def test_a_server_that_never_pauses_keeps_nobody_else_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail when what had come already was taken without a pause: a stop took eleven seconds."""

    async def flood(_body: object) -> AsyncIterator[bytes]:
        for piece in [b": ping\n\n"] * 500 + [delta("stop", content="Hello."), DONE]:
            yield piece

    asker, reply = await world.asker(), ModelReply()
    monkeypatch.setattr(asker, "_bytes", flood)
    asking_ = asyncio.create_task(asker.ask(reply, TOLD, EventLog()))
    turns = 0
    while not asking_.done():
        await asyncio.sleep(0)
        turns += 1
    await asking_
    assert reply.text == "Hello." and turns > 500
