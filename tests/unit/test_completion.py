"""A model's streamed reply, as different providers stream it, becomes one text, one list of calls, and events."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.chat.completion import ModelReply, Rejected, ToolCall, read_call
from orchestrator.events import CodeDelta, Event, ReasoningDelta, TextDelta
from orchestrator.limits import CODE_BYTES, MODEL_REPLY_CALLS, MODEL_REPLY_CHARS

ABOUT = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
Chunk = dict[str, Any]
CODE = "import pandas as pd\nprint('é 数 😀', \"q\\n\")\n\t# end\\"


def chunk(*, finish: str | None = None, usage: dict[str, int] | None = None, **delta: Any) -> Chunk:
    """Make a chunk as OpenAI sends it."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**ABOUT, "choices": [choice], "usage": usage}


def call(index: int = 0, call_id: str | None = None, name: str | None = None, arguments: str | None = None) -> Any:
    """Make one piece of a call, as OpenAI sends it."""
    return {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def raw(**fields: Any) -> Chunk:
    """Make a chunk that breaks the types it should have."""
    return {**ABOUT, **fields}


def odd_chunk(*pieces: dict[str, Any]) -> Chunk:
    return raw(choices=[{"index": 0, "delta": {"tool_calls": list(pieces)}}])


def take(*chunks: Chunk) -> tuple[ModelReply, list[Event]]:
    reply, events = ModelReply(), []
    for one in chunks:
        events += reply.take(one)
    return reply, events


def cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def arguments(code: str) -> str:
    return json.dumps({"code": code})


def codes(reply: ModelReply) -> list[str | Rejected]:
    return [read_call(one) for one in reply.calls]


def code_deltas(events: list[Event], number: int) -> str:
    return "".join(event.text for event in events if isinstance(event, CodeDelta) and event.call == number)


def test_text_comes_piece_by_piece() -> None:
    first = chunk(role="assistant", content="")
    reply, events = take(first, chunk(content="Hel"), chunk(content="lo 数"), chunk(finish="stop"))
    assert (reply.text, reply.calls, reply.finish_reason) == ("Hello 数", [], "stop")
    assert events == [TextDelta("Hel"), TextDelta("lo 数")]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_call_in_fragments_as_openai_sends_it(size: int) -> None:
    pieces = [chunk(tool_calls=[call(arguments=piece)]) for piece in cut(arguments(CODE), size)]
    first = chunk(role="assistant", content=None, tool_calls=[call(0, "call_1", "run_python", "")])
    reply, events = take(first, *pieces, chunk(finish="tool_calls"))
    assert [(one.id, one.name) for one in reply.calls] == [("call_1", "run_python")]
    assert codes(reply) == [CODE]
    assert code_deltas(events, 0) == CODE


def test_a_call_that_comes_whole() -> None:
    reply, events = take(chunk(tool_calls=[call(0, "call_1", "run_python", arguments(CODE))], finish="tool_calls"))
    assert codes(reply) == [CODE]
    assert events == [CodeDelta(0, CODE)]


def test_text_and_a_call_in_one_reply() -> None:
    reply, events = take(chunk(content="I look."), chunk(tool_calls=[call(0, "c", "run_python", arguments("1"))]))
    assert (reply.text, codes(reply)) == ("I look.", ["1"])
    assert events == [TextDelta("I look."), CodeDelta(0, "1")]


def test_two_calls_in_one_chunk() -> None:
    calls = [call(0, "a", "run_python", arguments("1")), call(1, "b", "run_python", arguments("2"))]
    reply, events = take(chunk(tool_calls=calls))
    assert [one.id for one in reply.calls] == ["a", "b"]
    assert codes(reply) == ["1", "2"]
    assert events == [CodeDelta(0, "1"), CodeDelta(1, "2")]


def test_two_calls_whose_pieces_take_turns() -> None:
    first, second = cut(arguments("a = 1"), 4), cut(arguments("b = 2"), 4)
    chunks = [chunk(tool_calls=[call(0, "a", "run_python", "")]), chunk(tool_calls=[call(1, "b", "run_python", "")])]
    for one, other in zip(first, second, strict=True):
        chunks += [chunk(tool_calls=[call(0, arguments=one), call(1, arguments=other)])]
    reply, events = take(*chunks)
    assert codes(reply) == ["a = 1", "b = 2"]
    assert (code_deltas(events, 0), code_deltas(events, 1)) == ("a = 1", "b = 2")


def test_two_calls_under_one_index_are_told_apart_by_their_ids() -> None:
    chunks = []
    for call_id, code in (("a", "x = 1"), ("b", "y = 2")):
        chunks += [chunk(tool_calls=[call(0, call_id, "run_python", "")])]
        chunks += [chunk(tool_calls=[call(0, None, None, piece)]) for piece in cut(arguments(code), 5)]
    reply, events = take(*chunks)
    assert ([one.id for one in reply.calls], codes(reply)) == (["a", "b"], ["x = 1", "y = 2"])
    assert (code_deltas(events, 0), code_deltas(events, 1)) == ("x = 1", "y = 2")


def test_two_same_calls_without_ids_are_two() -> None:
    calls = [call(number, "", "run_python", arguments("roll()")) for number in (0, 1)]
    reply, events = take(*[chunk(tool_calls=[one]) for one in calls])
    assert codes(reply) == ["roll()", "roll()"]
    assert events == [CodeDelta(0, "roll()"), CodeDelta(1, "roll()")]


def test_the_id_may_come_again_and_the_name_too() -> None:
    pieces = [chunk(tool_calls=[call(0, "a", "run_python", piece)]) for piece in cut(arguments(CODE), 9)]
    reply, _ = take(*pieces)
    assert ([one.name for one in reply.calls], codes(reply)) == (["run_python"], [CODE])


@pytest.mark.parametrize("no_index", [{"index": None}, {}])
def test_pieces_without_an_index_belong_by_id_or_to_the_last_call(no_index: dict[str, Any]) -> None:
    one, other = cut(arguments("a = 1"), 6), cut(arguments("b = 2"), 6)
    reply, events = take(
        odd_chunk({**no_index, "id": "a", "function": {"name": "run_python", "arguments": one[0]}}),
        odd_chunk({**no_index, "id": None, "function": {"arguments": one[1]}}),
        odd_chunk({**no_index, "id": "b", "function": {"name": "run_python", "arguments": other[0]}}),
        odd_chunk(*({**no_index, "id": "a", "function": {"arguments": piece}} for piece in one[2:])),
        odd_chunk(*({**no_index, "id": "b", "function": {"arguments": piece}} for piece in other[1:])),
    )
    assert codes(reply) == ["a = 1", "b = 2"]
    assert (code_deltas(events, 0), code_deltas(events, 1)) == ("a = 1", "b = 2")


def test_two_whole_calls_without_index_and_without_id_are_two() -> None:
    pieces = [
        {"index": None, "id": None, "function": {"name": "run_python", "arguments": arguments(code)}} for code in "12"
    ]
    assert codes(take(odd_chunk(*pieces))[0]) == ["1", "2"]
    assert codes(take(*(odd_chunk(piece) for piece in pieces))[0]) == ["1", "2"]


@pytest.mark.parametrize(
    "piece",
    [
        {"index": 0, "id": "a", "function": None},
        {"index": 0, "id": None, "function": {}},
        {"index": 0, "id": "a", "function": {"name": None, "arguments": ["1"]}},
        {"index": None, "id": None, "function": {"name": "run_python"}},
        {"function": {"name": ["run_python"], "arguments": "{}"}},
        {"id": "a"},
        {},
    ],
)
def test_an_odd_piece_is_a_call_that_is_rejected_later(piece: dict[str, Any]) -> None:
    reply, events = take(odd_chunk(piece))
    assert (len(reply.calls), events) == (1, [])
    assert isinstance(codes(reply)[0], Rejected)


def test_a_reply_without_an_end_has_no_finish_reason() -> None:
    reply, _ = take(chunk(content="I am"))
    assert (reply.text, reply.finish_reason) == ("I am", None)


def test_a_finish_reason_stays_when_later_chunks_have_none() -> None:
    assert take(chunk(finish="length"), chunk(content=""))[0].finish_reason == "length"


def test_usage_comes_last_with_no_choices() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    last = {**ABOUT, "choices": [], "usage": usage}
    reply, events = take(chunk(content="a", finish="stop"), last)
    assert reply.usage == {"prompt_tokens": 12, "completion_tokens": 3, "cached_tokens": 0}
    assert (reply.text, reply.finish_reason, events) == ("a", "stop", [TextDelta("a")])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {}}]},
        {"choices": [{"delta": {"content": None, "tool_calls": None}}]},
        {"choices": [{"delta": {"content": ["text"], "tool_calls": []}}], "usage": None},
    ],
)
def test_a_chunk_that_says_nothing_is_nothing(fields: dict[str, Any]) -> None:
    reply, events = take(raw(**fields))
    assert (reply.text, reply.calls, reply.usage, events) == ("", [], None, [])


def test_usage_may_be_told_in_part() -> None:
    for told in ({"prompt_tokens": 3}, {"prompt_tokens": 3, "completion_tokens": "many", "prompt_tokens_details": []}):
        usage = take(raw(choices=[], usage=told))[0].usage
        assert usage == {"prompt_tokens": 3, "completion_tokens": 0, "cached_tokens": 0}


def test_only_the_first_choice_counts() -> None:
    choices = [{"index": number, "delta": {"content": f"{number}"}, "finish_reason": None} for number in (0, 1)]
    assert take({**ABOUT, "choices": choices})[0].text == "0"


def test_a_reply_without_end_is_too_long() -> None:
    reply, _ = take(chunk(content="x" * MODEL_REPLY_CHARS))
    assert not reply.too_long
    reply.take(chunk(tool_calls=[call(0, "a", "run_python", "x")]))
    assert reply.too_long


def test_halves_of_a_character_in_two_deltas_become_one() -> None:
    reply, events = take(
        chunk(content="a\ud83d"), chunk(content="\ude00b"), chunk(content="\ud83d"), chunk(content="c")
    )
    assert reply.text == "a😀b\ufffdc"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == reply.text


def test_the_code_of_another_tool_is_not_shown() -> None:
    reply, events = take(chunk(tool_calls=[call(0, "a", "browse", arguments("1"))]))
    assert (events, len(reply.calls)) == ([], 1)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), st.integers(1, 9), st.booleans())
@example("{", 1, False)
@example('{"a": 1}', 3, False)
@example('{"code": 1}', 3, False)
def test_the_pieces_of_any_code_join_to_the_code(code: str, size: int, ascii_only: bool) -> None:
    text = json.dumps({"code": code}, ensure_ascii=ascii_only, indent=1)
    reply, events = take(*[chunk(tool_calls=[call(0, "a", "run_python", piece)]) for piece in cut(text, size)])
    assert code_deltas(events, 0) == code
    assert codes(reply) == ([code] if code.strip() else [read_call(reply.calls[0])])


@given(
    st.lists(st.text(max_size=9) | st.sampled_from(['{"code": "', "\\u", "\\ud83d", '"}', "{", "[", "1"]), max_size=9)
)
def test_any_arguments_are_code_or_rejected(pieces: list[str]) -> None:
    reply, events = take(*[chunk(tool_calls=[call(0, "a", "run_python", piece)]) for piece in ("", *pieces)])
    (made,) = codes(reply)
    if isinstance(made, str):
        assert made.encode()
    assert all(isinstance(event, CodeDelta) for event in events)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (ToolCall(name="browse", arguments=arguments("1")), "There is no tool 'browse'"),
        (ToolCall(name="pythonic_search", arguments=arguments("1")), "There is no tool 'pythonic_search'"),
        (ToolCall(name="run_python", arguments=arguments("1"), cut=True), "ended at its longest"),
        (ToolCall(name="run_python", arguments='{"code": "print(1)\\'), "not valid JSON"),
        (ToolCall(name="run_python", arguments="{code: 1}"), "not valid JSON"),
        (ToolCall(name="run_python", arguments='{"code": "1"} and then'), "not valid JSON"),
        (ToolCall(name="run_python", arguments="true"), "have no code"),
        (ToolCall(name="run_python", arguments="[]"), "have no code"),
        (ToolCall(name="run_python", arguments='["1"]'), "have no code"),
        (ToolCall(name="run_python", arguments='{"code": {"deep": "1"}}'), "have no code"),
        (ToolCall(name="x" * 1000, arguments=arguments("1")), "the only tool is run_python"),
        (ToolCall(name="run_python"), "no arguments"),
        (ToolCall(name="run_python", arguments=" \n"), "no arguments"),
        (ToolCall(name="run_python", arguments='{"code": "1'), "not valid JSON"),
        (ToolCall(name="run_python", arguments='{"code": "1"}{"code": "2"}'), "not valid JSON"),
        (ToolCall(name="run_python", arguments="[" * 100_000), "not valid JSON"),
        (ToolCall(name="run_python", arguments='{"code": ' + "1" * 5000 + "}"), "not valid JSON"),
        (ToolCall(name="run_python", arguments="{}"), "have no code"),
        (ToolCall(name="run_python", arguments="null"), "have no code"),
        (ToolCall(name="run_python", arguments=arguments(" \n\t")), "have no code"),
        (ToolCall(name="run_python", arguments=arguments("x" * (CODE_BYTES + 1))), "longer than"),
        (ToolCall(name="run_python", arguments=arguments("数" * (CODE_BYTES // 3 + 1))), "longer than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_that_makes_no_sense_is_rejected_with_a_reason(made: ToolCall, reason: str) -> None:
    rejected = read_call(made)
    assert isinstance(rejected, Rejected)
    assert reason in rejected.reason
    assert len(rejected.reason) < 400


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ('{"code": "a\nb\tc"}', "a\nb\tc"),  # line breaks as they are
        ('{"code": "re.findall(\'\\d+\\.\', x)"}', "re.findall('\\d+\\.', x)"),  # backslashes as they are
        ('{"code": "1"}}', "1"),
        ('{"code": "1"}</tool_call>', "1"),
        ('{"code": "1"', "1"),
        ('{"code": "1",}', None),
        ('{"code": """print("a")\nprint(2)"""}', 'print("a")\nprint(2)'),
        ('{"code": ["a = 1\\n", "b = 2"]}', "a = 1\nb = 2"),
        ('{"python": "1"}', "1"),
        ('{"arguments": {"code": "1"}}', "1"),
        ('{"name": "run_python", "parameters": {"code": "1"}}', "1"),
        ('{"arguments": "{\\"code\\": \\"1\\"}"}', "1"),
        ('"{\\"code\\": \\"1\\"}"', "1"),
        ('"print(1)"', "print(1)"),
        ("print(1)", "print(1)"),
        ("import os\nprint('{}')", "import os\nprint('{}')"),
        ("[x for x in range(3)]", "[x for x in range(3)]"),
        ("1", "1"),
        ("```python\nprint(1)\n```", "print(1)"),
        ('{"code": "```py\\nprint(1)\\n```"}', "print(1)"),
    ],
)
def test_what_a_call_plainly_means_is_taken(given: str, code: str | None) -> None:
    read = read_call(ToolCall(name="run_python", arguments=given))
    assert isinstance(read, Rejected) if code is None else read == code


MADE_UP = ["python", "", "ipython", "python3", "code_interpreter", "execute_python", "run_code", "run_python_code"]


@pytest.mark.parametrize("name", [*MADE_UP, "functions.run_python", "python_interpreter", "jupyter", "execute"])
def test_a_made_up_tool_that_can_only_be_this_one_is_this_one(name: str) -> None:
    assert read_call(ToolCall(name=name, arguments=arguments("1"))) == "1"


def test_a_call_that_a_server_left_in_the_text_is_a_call() -> None:
    told = 'I look.\n<tool_call>\n{"name": "run_python", "arguments": {"code": "1"}}\n</tool_call>'
    reply, _ = take(chunk(content=told), chunk(finish="stop"))
    reply.finish()
    assert (reply.text, codes(reply)) == ("I look.", ["1"])


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_what_a_model_thinks_is_no_part_of_its_answer(field: str) -> None:
    reply, events = take(chunk(**{field: "Hm"}), chunk(**{field: "m."}), chunk(content="Yes."), chunk(finish="stop"))
    assert (reply.reasoning, reply.text) == ("Hmm.", "Yes.")
    assert events == [ReasoningDelta("Hm"), ReasoningDelta("m."), TextDelta("Yes.")]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_thoughts_that_a_server_left_in_the_text_are_none_of_it(size: int) -> None:
    told = "<think>If a < b, </b> then\n```python\n1\n```</think>\n\nYes, a < b. <think>"
    reply, events = take(*[chunk(content=piece) for piece in cut(told, size)])
    reply.finish()
    assert (reply.reasoning, reply.text) == ("If a < b, </b> then\n```python\n1\n```", "Yes, a < b. <think>")
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == reply.text


@pytest.mark.parametrize("told", ["<", " <thi", "<thinking>x", "a<think>b</think>"])
def test_what_only_looks_like_thoughts_is_text(told: str) -> None:
    reply, _ = take(*[chunk(content=letter) for letter in told])
    reply.finish()
    assert (reply.text, reply.reasoning) == (told, "")


def test_a_refusal_is_what_the_model_says() -> None:
    assert take(chunk(refusal="I cannot "), chunk(refusal="do that."))[0].text == "I cannot do that."


def test_content_may_be_a_list_of_parts_and_arguments_an_object() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "thinking"}, "b", {"type": "text", "text": 1}]
    assert take(raw(choices=[{"delta": {"content": parts}}]))[0].text == "a"
    reply, _ = take(odd_chunk({"id": "a", "function": {"name": "run_python", "arguments": {"code": "1"}}}))
    assert codes(reply) == ["1"]


def test_a_reply_that_is_not_streamed_is_a_reply() -> None:
    message = {"role": "assistant", "content": "Hi.", "tool_calls": [call(0, "a", "run_python", arguments("1"))]}
    reply, _ = take(raw(choices=[{"message": message, "finish_reason": "tool_calls"}]))
    assert (reply.text, codes(reply), reply.finish_reason) == ("Hi.", ["1"], "tool_calls")


def test_calls_without_end_are_too_many() -> None:
    reply, _ = take(*[chunk(tool_calls=[call(n, str(n), "run_python", "")]) for n in range(MODEL_REPLY_CALLS + 1)])
    assert reply.too_long


def test_a_reply_that_is_asked_for_again_has_nothing_of_the_first() -> None:
    reply, _ = take(chunk(content="a", reasoning="b", tool_calls=[call(0, "a", "run_python", "{")]), chunk(finish="x"))
    reply.restart()
    assert reply.is_empty
    reply.take(chunk(content="new", tool_calls=[call(0, "b", "run_python", arguments("1"))]))
    assert (reply.text, codes(reply), reply.finish_reason) == ("new", ["1"], None)


def test_the_code_of_a_call_is_text_that_can_be_stored() -> None:
    assert read_call(ToolCall(name="run_python", arguments='{"code": "\\ud83d\\ude00 \\ud83d"}')) == "😀 \ufffd"
    assert read_call(ToolCall(name="run_python", arguments='{"code": "x", "note": 1}')) == "x"
    assert read_call(ToolCall(name="run_python", arguments=arguments("x" * CODE_BYTES))) == "x" * CODE_BYTES
