"""Bytes of a provider's answer become chunks, however they are cut; nothing of it is without a bound."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.chat.stream import BrokenStream, ChunkReader, EndlessStream
from orchestrator.limits import MODEL_CHUNK_BYTES, MODEL_STREAM_BYTES

CHUNKS: list[dict[str, Any]] = [{"n": 1, "text": "é\u2028数😀"}, {"n": 2, "text": "a\nb\r"}, {}]
STREAM = "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in CHUNKS).encode()


def read(*pieces: bytes) -> tuple[list[dict[str, Any]], bool]:
    reader = ChunkReader()
    found = [chunk for piece in pieces for chunk in reader.feed(piece)] + reader.finish()
    return found, reader.done


@given(st.integers(1, 40))
def test_a_stream_is_the_same_however_it_is_cut(size: int) -> None:
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert read(*pieces, b"data: [DONE]\n\n") == (CHUNKS, True)


def test_a_stream_without_its_end_has_all_that_came_before() -> None:
    assert read(STREAM) == (CHUNKS, False)
    assert read(STREAM.rstrip()) == (CHUNKS, False)


def test_what_comes_behind_the_end_is_nothing() -> None:
    assert read(b"data: [DONE]\n\n" + STREAM + b"data: nonsense\n\n") == ([], True)


def test_an_event_may_have_several_lines_and_other_fields() -> None:
    assert read(b'event: x\nid: 1\ndata: {"a":\ndata:1}\n\n') == ([{"a": 1}], False)


def test_an_object_that_is_no_stream_is_one_chunk() -> None:
    assert read(b' \n{"a":\n', b"1}\n") == ([{"a": 1}], True)
    with pytest.raises(BrokenStream):
        read(b'{"a":')


@pytest.mark.parametrize("data", ["{", "[]", "1", "null", '"x"', "[" * 100_000, "\x00"])
def test_what_is_no_chunk_is_said_to_be_none(data: str) -> None:
    with pytest.raises(BrokenStream):
        read(f"data: {data}\n\n".encode())


def test_bytes_that_are_no_text_do_not_break_it() -> None:
    assert read(b'data: {"a": "\xff"}\n\n') == ([{"a": "\ufffd"}], False)


def test_a_line_and_a_stream_have_an_end() -> None:
    reader = ChunkReader()
    reader.feed(b"data: " + b"x" * (MODEL_CHUNK_BYTES - 6))
    with pytest.raises(EndlessStream):
        reader.feed(b"x")
    reader, comment = ChunkReader(), b":" + b"x" * (2**20 - 2) + b"\n"
    for _ in range(MODEL_STREAM_BYTES // len(comment)):
        assert reader.feed(comment) == []
    with pytest.raises(EndlessStream):
        reader.feed(b"\n")
