"""Counting tokens, by tiktoken and by estimate, and cutting text to a budget."""

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.chat import tokens
from orchestrator.chat.prompt import LOOK_TOOL, TOOL
from orchestrator.chat.tokens import count_message, count_messages, count_text, count_tools, cut_middle, encoding

NOTE_TOKENS = 30


@pytest.fixture
def estimated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have tokens estimated, as on a host without the encoding's file."""
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    encoding.cache_clear()
    yield
    encoding.cache_clear()


@pytest.fixture
def counted() -> Iterator[None]:
    """Have tokens counted with tiktoken."""
    encoding.cache_clear()
    if encoding() is None:
        pytest.skip("TIKTOKEN_CACHE_DIR has no encoding")
    yield
    encoding.cache_clear()


def test_without_its_file_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("", str(tmp_path), str(tmp_path / "missing")):
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", folder)
        encoding.cache_clear()
        assert encoding() is None
    encoding.cache_clear()
    assert os.listdir(tmp_path) == []


def test_a_short_text_is_told_whole(estimated: None) -> None:
    assert cut_middle("a" * 700, 200) == "a" * 700
    assert cut_middle("", 200) == ""


def test_a_long_text_keeps_head_and_tail_and_says_what_was_cut(estimated: None) -> None:
    text = "HEAD " + "x " * 6992 + "TAIL"
    cut = cut_middle(text, 1000)
    head, note, tail = cut.split("\n")
    assert (head[:4], note, tail[-4:]) == ("HEAD", "[… about 5,996 tokens cut here …]", "TAIL")
    assert cut_middle("1234567 " * 10, 12).count("cut here") == 1


@pytest.mark.parametrize("character", ["x", "é", "数", "😀", "\n", "\u0e01"])
@pytest.mark.parametrize("most", [200, 1000])
@pytest.mark.parametrize("length", [199, 200, 201, 700, 5000, 1_500_000])
def test_no_text_is_more_than_its_budget(estimated: None, character: str, most: int, length: int) -> None:
    cut = cut_middle(character * length, most)
    assert count_text(cut) <= most + NOTE_TOKENS
    assert "\ufffd" not in cut


@given(st.text(max_size=300), st.integers(1, 40), st.integers(10, 200))
def test_any_text_is_kept_or_cut_in_its_middle(text: str, times: int, most: int) -> None:
    whole = text * times
    cut = cut_middle(whole, most)
    if cut != whole:
        head, tail = cut.split("\n[… ", 1)[0], cut.rsplit(" …]\n…", 1)[1]
        assert whole.startswith(head) and whole.endswith(tail)
        assert len(head.encode()) + len(tail.encode()) <= most * 8
    cut.encode()


@pytest.mark.parametrize("offset", range(8))
def test_no_tail_begins_like_a_line_of_our_own(estimated: None, offset: int) -> None:
    cut = cut_middle("status: ok\n" + "x" * offset + "a\n [files]\n" * 1000, 200)
    assert [line for line in cut.splitlines() if line.startswith("[files")] == []


def test_counted_tokens_stay_in_the_budget(counted: None) -> None:
    known = encoding()
    assert known is not None
    for text in ("word " * 5000, "数据" * 5000, "x" * 50_000, "<|endoftext|>" * 3000, "\u0e01😀" * 300):
        cut = cut_middle(text, 500)
        assert len(known.encode(cut, disallowed_special=())) <= 500 + NOTE_TOKENS
        assert "tokens cut here" in cut


def test_a_message_is_counted_with_its_calls_and_pictures(estimated: None) -> None:
    plain = {"role": "user", "content": "Hello there"}
    function = {"name": "run_python", "arguments": json.dumps({"code": "print(1)"})}
    calling = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "function": function}]}
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (640).to_bytes(4) + (480).to_bytes(4) + bytes(50)
    url = "data:image/png;base64," + b64encode(png).decode()
    seeing = {
        "role": "user",
        "content": [{"type": "text", "text": "Hello there"}, {"type": "image_url", "image_url": {"url": url}}],
    }
    assert count_message(plain) == count_text("Hello there") + tokens.MESSAGE_TOKENS
    assert count_message(calling) > count_text(function["arguments"]) + tokens.MESSAGE_TOKENS + tokens.CALL_TOKENS
    assert count_message(seeing) == count_message(plain) + 425
    assert count_messages([plain, calling]) == count_message(plain) + count_message(calling)


def test_a_tools_schema_counts(estimated: None) -> None:
    assert 60 < count_tools([TOOL]) < 200
    assert count_tools([TOOL, LOOK_TOOL]) == count_tools([TOOL]) + count_tools([LOOK_TOOL])


def test_what_was_counted_once_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    real = tokens._counted
    monkeypatch.setattr(tokens, "_counted", lambda text: counted.append(text) or real(text))  # type: ignore[func-returns-value]
    message = {"role": "user", "content": "something that nobody has counted before " * 10}
    first = count_message(message)
    assert [count_message(dict(message)) for _ in range(300)] == [first] * 300
    assert counted.count(message["content"]) == 1


def test_the_counts_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_KEPT_COUNTS", 10)
    counts = tokens._Counts()
    for number in range(50):
        counts.of(f"text {number} " * 20)
    assert len(counts._kept) == 10


TEXTS = {
    "prose": "Revenue is highest in March, and the reason for that is a campaign that ran in February. " * 20,
    "code": "def step(number: int) -> int:\n    for value in range(number):\n        total += value ** 2\n" * 20,
    "numbers": "0.12345,678.90123,-4.5e-07,1000000\n" * 50,
    "Chinese": "数据分析是一项非常重要的工作，我们需要仔细检查每一个数字。" * 20,
    "table": "0          17.99         10.38          122.80\n" * 40,
}


@pytest.mark.parametrize("kind", TEXTS)
def test_the_estimate_is_never_far_below_what_tiktoken_counts(counted: None, kind: str) -> None:
    known = encoding()
    assert known is not None
    exact = len(known.encode(TEXTS[kind]))
    assert count_text(TEXTS[kind]) == exact
    assert 0.88 * exact <= len(tokens._PIECE.findall(TEXTS[kind])) <= 2 * exact
