"""Every behaviour of providers by name, over real HTTP, for OpenAI, Azure and a model without tools."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter
from sqlalchemy import create_engine

from orchestrator.chat import asking
from orchestrator.chat.asking import Asker
from orchestrator.chat.completion import ModelReply, Rejected, read_call
from orchestrator.chat.failures import WindowRefused
from orchestrator.chat.fenced import PROTOCOL, RESULT
from orchestrator.chat.models import Models
from orchestrator.chat.prompt import TOOL
from orchestrator.chat.usage import ModelUse
from orchestrator.config import Config
from orchestrator.config_quotas import Quota
from orchestrator.errors import BadRequest, ModelUnavailable, NotFound, TooManyRequests
from orchestrator.events import CodeDelta, Event, EventLog, ReasoningDelta, ReplyRestarted, ReplyUsage, TextDelta
from orchestrator.people.keys import OwnKeys
from orchestrator.store.database import Database, migrate
from orchestrator.store.keys import KeyStore
from orchestrator.store.usage import UsageStore
from tests.provider import (
    DONE,
    USAGE,
    Act,
    Acting,
    FakeProvider,
    call,
    delta,
    event,
    raw_call,
    running_provider,
    says,
    status,
    stream,
    usage,
    words,
)

KINDS = ("openai", "azure", "tool-less")
WITH_TOOLS = pytest.mark.parametrize("kind", KINDS[:2])
KEY = "sk-of-the-team-0123456789"
OWN = "sk-of-ann-9876543210abcd"
CODE = "import pandas as pd\nprint('é 数')"
TOLD: Any = [{"role": "system", "content": "You are."}, {"role": "user", "content": "Go."}]
_MIGRATED: list[Path] = []
_SHAPE: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsStreaming)


@dataclass
class World:
    """Models of one kind at the fake provider, and what is kept of their use."""

    kind: str
    provider: FakeProvider
    models: Models
    use: ModelUse
    keys: OwnKeys
    quota: list[Quota]
    waits: list[float] = field(default_factory=list)

    async def asker(self, name: str = "m", owner: str = "ann") -> Asker:
        asker = await self.models.asker(owner, "s1", name)

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        asker._sleep = sleep
        return asker

    async def ask(self, *acts: Acting, name: str = "m", owner: str = "ann", told: Any = TOLD) -> "Answer":
        """Let the provider act, ask for a reply, and return what came of it."""
        self.provider.will(*acts)
        reply, log, problem = ModelReply(), EventLog(), None
        self.waits.clear()
        try:
            await (await self.asker(name, owner)).ask(reply, told, log, round_number=3)
        except ModelUnavailable as error:
            problem = error
        log.close()
        return Answer(reply, [one async for _, one in log.follow()], problem, list(self.waits))

    def runs(self, code: str) -> Act:
        """Answer with one cell, in the way of this kind."""
        if self.kind == "tool-less":
            return says(f"I look.\n```python\n{code}\n```\nIt printed 42.")
        return says("I look.", call(code))


@dataclass
class Answer:
    """A reply, what watchers saw of it, and the error that it ended with."""

    reply: ModelReply
    events: list[Event]
    problem: ModelUnavailable | None
    waits: list[float]

    @property
    def codes(self) -> list[str | Rejected]:
        return [read_call(one) for one in self.reply.calls]

    @property
    def code(self) -> str | None:
        return None if self.problem is None else self.problem.code

    def notices(self) -> list[str]:
        return [one.code for one in self.events if hasattr(one, "code")]

    def shown(self, kind: type[TextDelta] | type[CodeDelta] | type[ReasoningDelta]) -> str:
        """Return the text that a page shows: what came before a restart is dropped."""
        restarts = [at for at, one in enumerate(self.events) if isinstance(one, ReplyRestarted)]
        counted = self.events[restarts[-1] if restarts else 0 :]
        return "".join(one.text for one in counted if isinstance(one, kind))

    def used(self) -> ReplyUsage:
        (found,) = [one for one in self.events if isinstance(one, ReplyUsage)]
        return found


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def migrated(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make the tables once: each test copies them."""
    file = tmp_path_factory.mktemp("database") / "glovebox.sqlite"
    engine = create_engine(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()
    _MIGRATED.append(file)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


def config_of(kind: str, url: str, **more: Any) -> Config:
    """Return a config of one provider of this kind, with its models `m` and `n`."""
    entry = {"window": 8192, "price": {"input": 2, "output": 10}, "tools": kind != "tool-less"}
    ways = {"kind": "azure", "endpoint": url, "api_version": "2024-10-21", "deployments": {"m": "prod-m"}}
    made = ways if kind == "azure" else {"base_url": f"{url}/v1"}
    provider = {"name": "fake", "api_key_env": "KEY", "own_keys": True, "models": [{"name": "m", **entry}, "n"]}
    return Config.model_validate({"providers": [made | provider | more]})


@pytest.fixture
async def world(kind: str, provider: FakeProvider, tmp_path: Path) -> AsyncIterator[World]:
    async for made in made_world(kind, provider, tmp_path):
        yield made


async def made_world(kind: str, provider: FakeProvider, folder: Path, **more: Any) -> AsyncIterator[World]:
    file = folder / "glovebox.sqlite"
    shutil.copyfile(_MIGRATED[-1], file)
    database = Database(f"sqlite:///{file}")
    quota = [Quota()]

    async def quota_of(_: str) -> Quota:
        return quota[0]

    config = config_of(kind, provider.url, **more)
    keys = OwnKeys(KeyStore(database), folder / "seal", config.providers)
    use = ModelUse(UsageStore(database), quota_of)
    models = Models(config, folder / "no.sock", keys, use, {"KEY": f"{KEY}\n"})
    yield World(kind, provider, models, use, keys, quota)
    await models.close()
    await database.close()


# --- what is asked ---


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


# --- replies as they should be ---


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


# --- replies that break off ---


BROKEN = {
    "cut": stream(*words("Half of")),
    "connection lost": stream(*words("Half of"), breaks=True),
    "malformed chunk": stream(*words("Half of"), b'data: {"choices": [{"delta": {"con\n\n'),
    "chunk that is no object": stream(*words("Half of"), b"data: [1]\n\n"),
    "error in the stream": stream(
        *words("Half of"), event({"error": {"message": "Overloaded.", "code": "overloaded"}})
    ),
}


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


# --- refusals ---


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
        "model_window_full",
    ),
    "long context of llama.cpp": (
        status(400, {"message": "the request exceeds the available context size"}),
        "model_window_full",
    ),
    "long context of vLLM": (
        status(400, {"message": "This model's maximum context length is 4096 tokens."}),
        "model_window_full",
    ),
    "too large": (status(413), "model_window_full"),
    "content filter": (
        status(400, {"message": "The response was filtered.", "code": "content_filter"}),
        "model_filtered",
    ),
    "bad request": (status(400, {"message": "Nonsense."}), "model_refused"),
    "bad request, in FastAPI's way": (status(422, {"detail": [{"loc": ["body", "messages"]}]}), "model_refused"),
    "context error in the stream": (
        stream(event({"error": {"message": "prompt is too long: 9000 tokens"}})),
        "model_window_full",
    ),
    "elsewhere": (status(307, location="http://127.0.0.1:1/"), "model_refused"),
}


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_refusal_of_the_server_is_told_with_its_reason_and_not_asked_again(world: World, what: str) -> None:
    act, code = REFUSALS[what]
    answer = await world.ask(act)
    assert (answer.code, len(world.provider.requests)) == (code, 1)
    assert isinstance(answer.problem, WindowRefused) is (code == "model_window_full")
    if isinstance(act.error, dict) and "error" in act.error:
        assert act.error["error"]["message"] in str(answer.problem)


async def test_a_key_that_a_provider_repeats_is_not_told(world: World) -> None:
    answer = await world.ask(status(401, {"message": f"Incorrect API key provided: {KEY}."}))
    assert answer.problem is not None
    assert KEY not in answer.problem.detail and "Incorrect API key provided: …." in answer.problem.detail


# --- patience ---


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


# --- what servers do without ---


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


# --- what is used ---


async def test_what_a_reply_used_is_told_and_counted(world: World) -> None:
    answer = await world.ask(says("Yes."))
    assert answer.used() == ReplyUsage(120, 30, (120 * 2 + 30 * 10) / 1e6, 120, 8192)
    used, quota = await world.use.today("ann")
    assert (used.tokens_in, used.tokens_out, quota) == (120, 30, Quota())
    session = await world.use.of_session("s1")
    assert (session.used, session.last_model, session.last_tokens_in) == (used, "m", 120)


async def test_a_price_that_nobody_knows_is_no_price(world: World) -> None:
    assert (await world.ask(says("Yes."), name="n")).used().cost is None
    assert (await world.use.today("ann"))[0].cost is None


async def test_what_a_provider_does_not_tell_is_estimated(world: World) -> None:
    long = [*TOLD, {"role": "user", "content": [{"type": "text", "text": "word " * 1000}]}]
    answer = await world.ask(says("One two three four.", counted=False), told=long)
    assert 900 < answer.used().tokens_in < 2500
    assert 3 < answer.used().tokens_out < 12


async def test_a_broken_attempt_is_counted_with_the_one_after_it(world: World) -> None:
    answer = await world.ask(BROKEN["connection lost"], says("Yes."))
    assert answer.used().tokens_in > 120
    assert answer.used().window_tokens == 120
    assert (await world.use.today("ann"))[0].tokens_in == answer.used().tokens_in


async def test_a_refused_request_costs_nothing(world: World) -> None:
    answer = await world.ask(status(400))
    assert not any(isinstance(one, ReplyUsage) for one in answer.events)
    assert (await world.use.today("ann"))[0].tokens == 0


@pytest.mark.parametrize("quota", [Quota(tokens_per_day=150), Quota(cost_per_day=0.0005)])
async def test_a_quota_that_is_used_up_refuses_before_asking(world: World, quota: Quota) -> None:
    world.quota[0] = quota
    asker = await world.asker()
    assert (await world.ask(says("Yes."))).problem is None
    with pytest.raises(TooManyRequests) as refused:
        await world.asker()
    assert (refused.value.code, "midnight UTC" in refused.value.detail) == ("quota_reached", True)
    assert 0 < refused.value.retry_after_s <= 86_400
    world.provider.will(says("No."))
    with pytest.raises(TooManyRequests):  # in the middle of a turn
        await asker.ask(ModelReply(), TOLD, EventLog())
    assert world.provider.requests == []
    assert (await world.ask(says("Yes."), owner="bob")).reply.text == "Yes."


# --- keys ---


async def test_a_key_of_ones_own_is_used_for_ones_own_sessions(world: World) -> None:
    world.quota[0] = Quota(tokens_per_day=1)
    await world.keys.put("ann", "fake", f" {OWN}\n")
    for _ in range(2):  # and what it pays for counts for no quota
        assert (await world.ask(says("Yes."))).problem is None
    assert OWN in json.dumps(world.provider.requests[0].headers)
    assert KEY not in json.dumps(world.provider.requests[0].headers)
    await world.ask(says("Yes."), owner="bob")
    assert KEY in json.dumps(world.provider.requests[0].headers)
    assert (await world.use.of_session("s1")).used.tokens == 450
    refused = await world.ask(status(401))
    assert "the key that you brought" in str(refused.problem)


async def test_without_a_key_the_model_says_what_to_do(kind: str, provider: FakeProvider, tmp_path: Path) -> None:
    file = tmp_path / "key"
    cases: tuple[tuple[Any, str], ...] = (
        ({"api_key_env": "NO_KEY"}, "set the environment variable NO_KEY"),
        ({"api_key_env": None, "api_key_file": str(file)}, f"put it into the file {file}"),
        ({"api_key_env": None}, "bring yours"),
    )
    for more, told in cases:
        async for world in made_world(kind, provider, tmp_path, **more):
            with pytest.raises(ModelUnavailable, match=told) as refused:
                await world.asker()
            assert refused.value.code == "model_no_key"
            (model, *_) = await world.models.list("ann")
            assert (model.available, model.detail) == (False, refused.value.detail)
            await world.keys.put("ann", "fake", OWN)
            assert (await world.models.list("ann"))[0].available
            await world.keys.remove("ann", "fake")
    file.write_text(f"{KEY}\n")
    async for world in made_world(kind, provider, tmp_path, **cases[1][0]):
        assert (await world.ask(says("Yes."))).problem is None
    assert KEY in json.dumps(provider.requests[0].headers)
    file.write_text("two words\n")
    async for world in made_world(kind, provider, tmp_path, **cases[1][0]):
        with pytest.raises(ModelUnavailable, match="spaces or signs") as refused:
            await world.asker()
        assert "two words" not in refused.value.detail


async def test_what_the_picker_shows(world: World) -> None:
    first, second, demo = await world.models.list("ann")
    shown = (first.id, first.provider, first.available, first.default, first.tools, first.vision, first.window)
    assert shown == ("m", "fake", True, True, world.kind != "tool-less", False, 8192)
    assert first.price == {"input": 2, "output": 10, "cached_input": None}
    assert (second.window, second.tools, second.price) == (128_000, True, None)
    assert (demo.id, demo.provider, demo.available) == ("glovebox-demo", "demo", True)
    assert world.models.about("m").window == 8192
    assert world.models.about("gone").window == 128_000
    with pytest.raises(BadRequest, match="allowed: m, n, glovebox-demo"):
        await world.models.pick("gone", "ann")


async def test_a_bundle_of_certificates_that_is_none_is_told(kind: str, provider: FakeProvider, tmp_path: Path) -> None:
    for content in (None, "nothing"):
        bundle = tmp_path / "ca.pem"
        if content:
            bundle.write_text(content)
        async for world in made_world(kind, provider, tmp_path, ca_bundle=str(bundle)):
            with pytest.raises(ModelUnavailable, match="cannot be read"):
                await world.asker()


async def test_a_provider_that_takes_no_own_keys_has_none(kind: str, provider: FakeProvider, tmp_path: Path) -> None:
    async for world in made_world(kind, provider, tmp_path, own_keys=False):
        for name in ("fake", "other"):
            with pytest.raises(NotFound):
                await world.keys.put("ann", name, OWN)


def reason_of(read: str | Rejected) -> str:
    assert isinstance(read, Rejected)
    return read.reason


async def until(condition: Any) -> None:
    """Wait for something that comes; only a hang fails."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
