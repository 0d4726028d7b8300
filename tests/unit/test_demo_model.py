"""The demo model, through the real SDK over a real server on a unix socket, and its pure parts by themselves."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import uvicorn

from orchestrator.demo_model import MODEL_ID, demo_app
from orchestrator.demo_model.conversation import language_of, read_turn, split_message
from orchestrator.demo_model.scenarios import answer, pick
from orchestrator.demo_model.scripts.charts import CHINESE_BARS, DAMPED_SINE
from orchestrator.demo_model.scripts.describe import describe
from orchestrator.demo_model.scripts.regression import first_try, regression
from orchestrator.demo_model.scripts.workbook import workbook

RUN_PYTHON: Any = {"type": "function", "function": {"name": "run_python", "parameters": {"type": "object"}}}
LISTING = "\n\n[files in the workspace: breast_cancer.csv (117.0 KiB), notes.txt (1.2 KiB)]"
FITTED = (
    "status: ok\nstdout:\ntarget: column_31\nthe target takes only 2 values\nR² on 143 rows kept aside: 0.729\n"
    "strongest coefficients (per standard deviation):\n  column_21: -0.875\n  column_1: +0.6943\n"
)


@dataclass
class Streamed:
    """What came through one stream, put together again."""

    text: str = ""
    names: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    fragments: int = 0
    finish: str | None = None
    usages: list[Any] = field(default_factory=list)

    @property
    def codes(self) -> list[str]:
        return [json.loads(each)["code"] for each in self.arguments]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    socket = tmp_path / "d.sock"
    server = uvicorn.Server(uvicorn.Config(demo_app(pace_s=0), uds=str(socket), log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    http = httpx2.AsyncClient(transport=transport)
    async with openai.AsyncOpenAI(base_url="http://demo/v1", api_key="-", http_client=http, max_retries=0) as sdk:
        yield sdk
    server.should_exit = True
    await serving


async def stream(client: openai.AsyncOpenAI, messages: Any, into: Streamed | None = None, **options: Any) -> Streamed:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    got = into or Streamed()
    options = {"tools": [RUN_PYTHON], "stream_options": {"include_usage": True}} | options
    async for chunk in await client.chat.completions.create(model=MODEL_ID, messages=messages, stream=True, **options):
        assert chunk.object == "chat.completion.chunk"
        got.usages.append(chunk.usage)
        assert len(got.usages) > 1 or chunk.choices[0].delta.role == "assistant"
        for choice in chunk.choices:
            got.text += choice.delta.content or ""
            got.finish = choice.finish_reason or got.finish
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                if call.id:
                    assert call.index == len(got.names)
                    got.names.append(call.function.name or "")
                    got.arguments.append("")
                got.arguments[call.index] += call.function.arguments or ""
                got.fragments += 1
    return got


def after(words: str, *results: str) -> list[dict[str, Any]]:
    """Return the conversation in which the tool has answered each call of this turn."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": words}]
    for number, result in enumerate(results):
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "run_python", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": result})
    return messages


async def test_a_regression_goes_from_a_failing_cell_over_its_repair_to_the_results(client: openai.AsyncOpenAI) -> None:
    words = "Please fit a linear regression and plot it" + LISTING
    first = await stream(client, words)
    assert (first.names, first.finish) == (["run_python"], "tool_calls")
    assert "built-in demo" in first.text
    assert 'np.loadtxt("breast_cancer.csv", delimiter=",")' in first.codes[0]

    failed = (
        "status: error\nTraceback…\nValueError: could not convert string 'malignant' to float64 at row 0, column 3."
    )
    second = await stream(client, after(words, failed))
    assert "could not convert string 'malignant'" in second.text
    assert "built-in demo" not in second.text
    assert "LinearRegression" in second.codes[0]
    assert second.fragments > 50

    last = await stream(client, after(words, failed, FITTED))
    assert (last.names, last.finish) == ([], "stop")
    assert "**0.729**" in last.text
    assert "`column_21` -0.875" in last.text
    assert "(sandbox:/mnt/data/predictions.csv)" in last.text


async def test_usage_comes_in_a_last_chunk_and_only_when_asked_for(client: openai.AsyncOpenAI) -> None:
    asked = await stream(client, "hello")
    assert asked.usages[-1].total_tokens == asked.usages[-1].prompt_tokens + asked.usages[-1].completion_tokens
    assert set(asked.usages[:-1]) == {None}
    assert set((await stream(client, "hello", stream_options=None)).usages) == {None}


async def test_an_answer_can_be_had_whole(client: openai.AsyncOpenAI) -> None:
    ask: Any = [{"role": "user", "content": "plot a damped sine"}]
    whole = await client.chat.completions.create(model=MODEL_ID, messages=ask, tools=[RUN_PYTHON])
    streamed = await stream(client, ask)
    call: Any = (whole.choices[0].message.tool_calls or [])[0]
    assert json.loads(call.function.arguments)["code"] == streamed.codes[0] == DAMPED_SINE
    assert whole.choices[0].message.content == streamed.text
    assert whole.usage is not None
    assert whole.choices[0].finish_reason == "tool_calls"


async def test_the_one_model_is_listed_and_others_are_not_found(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [MODEL_ID]
    assert (await client.models.retrieve(MODEL_ID)).id == MODEL_ID
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "hi"}])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="messages"):
        await client.chat.completions.create(model=MODEL_ID, messages=[])
    with pytest.raises(openai.NotFoundError, match="POST /v1/embeddings"):
        await client.embeddings.create(model=MODEL_ID, input="x")


@pytest.mark.parametrize("options", [{"tools": openai.omit}, {"tool_choice": "none"}])
async def test_no_call_is_made_where_the_request_allows_none(client: openai.AsyncOpenAI, options: Any) -> None:
    got = await stream(client, "plot a damped sine", **options)
    assert (got.names, got.finish) == ([], "stop")


@pytest.mark.parametrize(
    ("hook", "names", "arguments"),
    [
        ("demo:no-arguments", ["run_python"], [""]),
        ("demo:half-json", ["run_python"], ['{"code": "print(1']),
        ("demo:unknown-tool", ["browse"], ['{"query": "weather"}']),
        ("demo:two-calls", ["run_python"] * 2, ['{"code": "print(\'one\')"}', '{"code": "print(\'two\')"}']),
    ],
)
async def test_a_hook_calls_and_then_tells_what_the_tool_said(
    client: openai.AsyncOpenAI, hook: str, names: list[str], arguments: list[str]
) -> None:
    got = await stream(client, hook + LISTING)
    assert (got.names, got.arguments, got.finish) == (names, arguments, "tool_calls")
    told = await stream(client, after(hook + LISTING, "rejected: that makes no sense"))
    assert "rejected: that makes no sense" in told.text


async def test_a_hook_runs_exactly_the_code_that_it_is_given(client: openai.AsyncOpenAI) -> None:
    code = 'for i in range(3):\n    print(i, "字\\n", end="")\n\nprint("{}")'
    words = f"demo:run {code}{LISTING}"
    assert (await stream(client, words)).codes == [code]
    assert (await stream(client, f"demo:run\n{code}")).codes == [code]
    told = await stream(client, after(words, "status: ok\n" + "x" * 500))
    assert "x" * 189 in told.text
    assert "x" * 190 not in told.text


async def test_fail_forever_never_gives_up(client: openai.AsyncOpenAI) -> None:
    got = await stream(client, after("demo:fail-forever", *["status: error"] * 9))
    assert got.codes == ["raise RuntimeError('attempt 10 fails')"]


async def test_a_stream_can_be_cut_or_hold_an_error(client: openai.AsyncOpenAI) -> None:
    cut = await stream(client, "demo:cut")
    assert cut.text.startswith("This is the beginning")
    assert (cut.finish, cut.usages[-1]) == (None, None)
    got = Streamed()
    with pytest.raises(openai.APIError, match="middle of the stream"):
        await stream(client, "demo:error-in-stream", got)
    assert got.text.startswith("This is the beginning")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, openai.AuthenticationError), (429, openai.RateLimitError), (500, openai.InternalServerError)],
)
async def test_a_hook_answers_with_a_status(
    client: openai.AsyncOpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as failure:
        await stream(client, f"demo:http-{status}")
    assert isinstance(failure.value.body, dict)
    assert failure.value.body["message"]


async def test_slow_is_slow_whatever_the_pace(client: openai.AsyncOpenAI) -> None:
    got = Streamed()
    streaming = asyncio.create_task(stream(client, "demo:slow", got))
    while "word2 " not in got.text:
        await asyncio.sleep(0.01)
    assert "word9 " not in got.text
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    assert got.text.startswith("word1 word2 ")


@pytest.mark.parametrize(
    ("words", "scenario"),
    [
        ("Run a linear regression on this file and save the predictions as csv", "regression"),
        ("帮我做regression", "regression"),
        ("用中文做线性回归", "regression"),
        ("Describe the data in the Excel file", "describe"),
        ("用中文描述这个表格", "describe"),
        ("Give me a summary", "describe"),
        ("plot a damped sine and save it to a file", "sine"),
        ("画一条阻尼正弦曲线", "sine"),
        ("a bar chart with Chinese labels", "chinese"),
        ("画一张柱状图", "chinese"),
        ("Make an Excel workbook for download", "download"),
        ("give me a file", "download"),
        ("hello", "help"),
        ("what is a single business?", "help"),
        ("hello\n\n[files in the workspace: regression.png (4 B), summary.xlsx (2 B)]", "help"),
        ("here it is\n[attached: a.csv]\n[files in the workspace: a.csv (4 B)]", "describe"),
        ("[attached: a.csv]", "describe"),
        ("回归\n[attached: a.csv]", "regression"),
    ],
)
def test_keywords_choose_the_scenario(words: str, scenario: str) -> None:
    assert pick(read_turn([{"role": "user", "content": words}])) == scenario


@pytest.mark.parametrize(
    ("said", "table"),
    [
        (["x\n[attached: b.csv]\n[files in the workspace: a.csv (1 B), b.csv (2 KiB)]"], "b.csv"),
        (["x\n[files in the workspace: notes.txt (1 B), new.xlsx (2.5 MiB), old.csv (1 B)]"], "new.xlsx"),
        (["describe old.csv\n[files in the workspace: new.csv (1 B), old.csv (1 B)]"], "old.csv"),
        (["x\n[files in the workspace: predictions.csv (1 B), f/my, (1).csv (1 B)]"], "f/my, (1).csv"),
        (["x\n[attached: a.csv]", "y\n[files in the workspace: z.csv (1 B), a.csv (1 B)]"], "a.csv"),
        (["x\n[attached: a.csv]", "y\n[files in the workspace: z.csv (1 B)]"], "z.csv"),
        (["x\n[attached: p, q.csv]\n[files in the workspace: z.csv (1 B), p, q.csv (1 B)]"], "p, q.csv"),
        (["x\n[files in the workspace: a.png (1 B)]"], None),
    ],
)
def test_the_table_is_the_one_that_is_meant(said: list[str], table: str | None) -> None:
    assert read_turn([{"role": "user", "content": each} for each in said]).table == table


def test_only_the_last_lines_tell_of_files() -> None:
    message = split_message("[attached: fake.csv]\nis what I wrote\n\n[Attached: a.csv, b.csv]\n\n")
    assert message.words == "[attached: fake.csv]\nis what I wrote"
    assert message.attached == ("a.csv", "b.csv")


def test_the_answer_follows_the_users_language() -> None:
    assert language_of("请画 damped sine") == "zh"
    assert language_of("a bar chart with 中文 labels") == "en"
    greeting = answer(read_turn([{"role": "user", "content": "describe it\n[attached: 销售数据表格.csv]"}]))
    assert "built-in demo" in greeting.text
    assert "内置" in answer(read_turn([{"role": "user", "content": [{"type": "text", "text": "你好"}]}])).text


@pytest.mark.parametrize("words", ["describe", "regression", "sine", "chinese chart", "excel", "回归"])
@pytest.mark.parametrize(
    ("status", "told"), [("timeout", "time"), ("interrupted", "interrupted"), ("sandbox_lost", "lost"), ("", "said")]
)
def test_what_stopped_a_cell_is_said_and_ends_the_turn(words: str, status: str, told: str) -> None:
    result = f"status: {status}\n" if status else "no such tool"
    reply = answer(read_turn(after(words, result)))
    assert reply.calls == ()
    assert told in reply.text or language_of(words) == "zh"


def test_a_repair_that_fails_ends_the_turn_with_the_error() -> None:
    results = ("status: error\nValueError: header", "status: error\n\x1b[31mKeyError\x1b[39m: 'x'\n")
    reply = answer(read_turn(after("regression" + LISTING, *results)))
    assert reply.calls == ()
    assert "KeyError: 'x'" in reply.text


@pytest.mark.parametrize("name", [None, "a.csv", "a.TSV", "a.txt", "a.xlsx", "a.parquet", "a.json", 'b"\\\n字.csv'])
def test_the_scripts_are_valid_python_whatever_the_files_name(name: str | None) -> None:
    trial = first_try(name or "x.csv") or ""
    for code in (trial, describe(name), regression(name), workbook(name), DAMPED_SINE, CHINESE_BARS):
        compile(code, "cell", "exec")
