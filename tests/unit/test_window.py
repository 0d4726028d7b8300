"""What is too much for a window is made shorter in order, and says so."""

import json
from typing import Any

import pytest

from orchestrator.chat.capabilities import Capabilities
from orchestrator.chat.tokens import count_messages, count_text
from orchestrator.chat.window import Message, fitted, folded, least_tokens, room, shortened

LINES = "a line of some result, 12345\n"


def asked(text: str = "a question") -> Message:
    return {"role": "user", "content": text}


def ran(result: str, code: str = "print(1)") -> list[Message]:
    function = {"name": "run_python", "arguments": json.dumps({"code": code})}
    call = {"id": "c", "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": result},
    ]


@pytest.mark.parametrize("window", [2048, 8000, 16_000, 128_000, 1_000_000])
@pytest.mark.parametrize("exact", [True, False])
def test_room_is_left_for_the_reply_and_a_margin(window: int, exact: bool) -> None:
    found = room(Capabilities(window=window), exact=exact)
    assert 0.5 * window < found < 0.97 * window
    assert room(Capabilities(window=window), exact=exact, share=0.5) == pytest.approx(found / 2, abs=1)
    assert room(Capabilities(window=window, max_output=500), exact=exact) >= found


def test_what_fits_is_told_as_it_is() -> None:
    before, now = [asked(), *ran(LINES * 50)], [asked(), *ran(LINES)]
    found = fitted(before, now, 10_000)
    assert found is not None
    assert found.messages == [*before, *now]
    assert found.tokens == count_messages(found.messages)


def test_the_oldest_outputs_are_shortened_first_and_only_as_many_as_needed() -> None:
    before = [message for _ in range(4) for message in (asked(), *ran(LINES * 300))]
    now = [asked(), *ran(LINES * 300)]
    whole = count_messages([*before, *now])
    found = fitted(before, now, whole - 1000)
    assert found is not None and found.tokens <= whole - 1000
    results = [message["content"] for message in found.messages if message["role"] == "tool"]
    assert ["tokens cut here" in result for result in results] == [True, False, False, False, False]
    assert before[2]["content"] == LINES * 300, "a message was changed in place"


def test_the_latest_results_are_kept_whole_for_as_long_as_can_be() -> None:
    now = [asked(), *ran(LINES * 300), *ran(LINES * 300)]
    found = fitted([], now, 4500)
    assert found is not None
    assert "cut here" in found.now[2]["content"]
    assert found.now[4]["content"] == LINES * 300
    assert fitted([], now, 3000) is None
    harder = fitted([], now, 3000, harder=True)
    assert harder is not None and harder.tokens <= 3000
    assert harder.now[0] == asked()


def test_long_code_is_cut_only_when_nothing_else_is_left_and_is_still_valid() -> None:
    now = [asked(), *ran("status: ok", "x = 1  # and so on\n" * 500)]
    assert fitted([], now, 1000) is None
    found = fitted([], now, 1000, harder=True)
    assert found is not None
    arguments = json.loads(found.now[1]["tool_calls"][0]["function"]["arguments"])
    assert "tokens cut here" in arguments["code"]


def test_a_shortened_output_says_where_the_whole_is() -> None:
    note = "[… 9,000 lines are not shown here; the whole is in outputs/cell-0a1b2c3d-stdout.txt …]\n"
    spilled = LINES * 100 + note + LINES * 100
    told = shortened({"role": "tool", "tool_call_id": "c", "content": spilled}, 80)["content"]
    assert told.endswith("the whole of what was printed is in outputs/cell-0a1b2c3d-stdout.txt]")
    assert count_text(told) < 80 + 90
    plain = shortened({"role": "tool", "tool_call_id": "c", "content": LINES * 200}, 80)["content"]
    assert plain.endswith("[shortened, since it is long ago; run the code again where the whole is needed]")
    assert plain.startswith(LINES) and LINES.strip() in plain.split("…")[-1]


@pytest.mark.parametrize("message", [asked(LINES * 500), {"role": "tool", "tool_call_id": "c", "content": "short"}])
def test_questions_and_short_outputs_stay_as_they_are(message: dict[str, Any]) -> None:
    assert shortened(message, 80) is message


def test_a_turn_of_many_rounds_is_folded_and_says_how_many_steps_are_left_out() -> None:
    now = [asked(), *(message for number in range(40) for message in ran(LINES * 20, f"step({number})"))]
    found = folded(now, 1500)
    assert found is not None and count_messages(found) <= 1500
    assert found[0] == asked() and found[1]["role"] == "assistant"
    assert found[1]["content"].startswith("[") and "earlier steps of this turn are left out here" in found[1]["content"]
    calls = sum(len(message.get("tool_calls", ())) for message in found)
    assert calls == sum(message["role"] == "tool" for message in found) > 1
    assert "step(39)" in json.dumps(found)
    assert folded(now, 50) is None


def test_no_message_can_be_shorter_than_the_least() -> None:
    messages = [asked(), *ran(LINES * 300)]
    found = fitted(messages, [], least_tokens(messages) + 60)
    assert found is not None
