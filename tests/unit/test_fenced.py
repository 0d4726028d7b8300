"""Models without tools: a block of Python in a reply is a call, however it streams in, and nothing else is one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.chat.completion import ModelReply, read_call
from orchestrator.chat.fenced import PROTOCOL, RESULT, as_told
from orchestrator.events import CodeDelta, Event, TextDelta

BLOCK = "I look.\n```python\nimport os\n\nprint(`1`)\n```\nIt printed 2."


def said(text: str, size: int, finish: str | None = "stop") -> tuple[ModelReply, list[Event]]:
    """Stream a reply of a model without tools, in pieces of this size."""
    reply, events = ModelReply(), []
    reply.is_fenced = True
    for start in range(0, len(text), size):
        events += reply.take({"choices": [{"delta": {"content": text[start : start + size]}}]})
        if reply.block_ended:
            break
    events += reply.take({"choices": [{"delta": {}, "finish_reason": finish}]})
    return reply, events + reply.finish()


def code(text: str, size: int = 3) -> list[object]:
    return [read_call(call) for call in said(text, size)[0].calls]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_block_is_a_call_and_ends_the_reply(size: int) -> None:
    reply, events = said(BLOCK, size)
    assert reply.block_ended
    assert (reply.text, [read_call(call) for call in reply.calls]) == ("I look.\n", ["import os\n\nprint(`1`)"])
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "I look.\n"
    assert "".join(e.text for e in events if isinstance(e, CodeDelta)) == "import os\n\nprint(`1`)\n"


@pytest.mark.parametrize("opening", ["```python", "```py", "```Python3", "~~~python", "````python", "``` python x.py"])
def test_ways_to_begin_a_block(opening: str) -> None:
    fence = opening[: 4 if opening.startswith("````") else 3]
    assert code(f"{opening}\n1\n{fence}\n") == ["1"]


@pytest.mark.parametrize(
    "text",
    [
        "```text\nprint(1)\n```",
        "```\nprint(1)\n```",
        "```pycon\n>>> 1\n```",
        "```python-repl\n>>> 1\n```",
        "````text\n```python\n1\n```\n````",
        "Write ```python in a line of its own.",
        "`python`",
        "```python",
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_is_no_block_of_python_is_text(text: str, size: int) -> None:
    reply, events = said(text, size)
    assert (reply.text, reply.calls) == (text, [])
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == text


def test_a_block_in_a_list_is_moved_out_of_it() -> None:
    assert code("1. First\n   ```python\n   if x:\n       y\n   ```\n") == ["if x:\n    y"]


def test_a_longer_fence_may_hold_a_shorter_one() -> None:
    assert code('````python\nprint("""\n```python\n```\n""")\n````') == ['print("""\n```python\n```\n""")']


def test_a_block_that_the_model_did_not_close_is_closed_by_the_replys_end() -> None:
    assert code("```python\nprint(1)") == ["print(1)"]
    assert code("```python\nprint(1)\n```") == ["print(1)"]
    assert "ended at its longest" in str(read_call(said("```python\nprint(", 3, "length")[0].calls[0]))


@given(st.lists(st.sampled_from(["a", " ", "\n", "`", "```", "~~~", "python", "text", "\r", "\u2028"]), max_size=30))
def test_however_it_is_cut_it_is_the_same(parts: list[str]) -> None:
    text = "".join(parts)
    whole, by_letters = said(text, 1000)[0], said(text, 1)[0]
    assert whole.text == by_letters.text
    assert [call.arguments for call in whole.calls] == [call.arguments for call in by_letters.calls]


def call(arguments: str) -> Any:
    return {"id": "c", "type": "function", "function": {"name": "run_python", "arguments": arguments}}


def test_a_conversation_with_tools_is_told_without_them() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    told = as_told(
        [
            {"role": "system", "content": "You are."},
            {"role": "user", "content": "Go."},
            {"role": "assistant", "content": "I look.", "tool_calls": [call('{"code": "1"}'), call("nonsense")]},
            {"role": "tool", "tool_call_id": "c", "content": "status: ok"},
            {"role": "tool", "tool_call_id": "c", "content": "status: error"},
            {"role": "user", "content": [{"type": "text", "text": "See."}, picture]},  # type: ignore[list-item]
        ]
    )
    assert told[:3] == [
        {"role": "system", "content": f"You are.\n\n{PROTOCOL}"},
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "I look.\n\n```python\n1\n```\n\n[a call that made no sense]"},
    ]
    results = f"{RESULT}\nstatus: ok\n\n{RESULT}\nstatus: error"
    parts = [{"type": "text", "text": results}, {"type": "text", "text": "See."}, picture]
    assert told[3:] == [{"role": "user", "content": parts}]


def test_a_conversation_without_a_system_prompt_gets_one() -> None:
    assert as_told([{"role": "user", "content": "Go."}])[0] == {"role": "system", "content": PROTOCOL}


def test_a_past_block_is_what_the_model_would_have_written() -> None:
    text = 'print("""\n```\n""")'
    arguments = f'{{"code": {__import__("json").dumps(text)}}}'
    (_, _, told) = as_told([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call(arguments)]}])
    assert told["content"] == f"````python\n{text}\n````"
    assert code(str(told["content"])) == [text]
