"""Frames of the kernel's WebSocket protocol: what is well formed round-trips, all else is a BadFrame, nothing worse."""

import json
import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.frames import BadFrame, Frame, parse_frame, parse_object, serialize_frame

HEADER = b'{"msg_type":"stream"}'
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)
JSON_OBJECTS = st.dictionaries(st.text(), JSON_VALUES, max_size=5)


def packed(*parts: bytes) -> bytes:
    """Lay parts out as a frame whose table is right."""
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def with_offsets(*offsets: int, body: bytes = b"iopub{}{}{}{}") -> bytes:
    """Lay out a frame with these very offsets, right or wrong."""
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + body


def frame_with_content(content: bytes) -> bytes:
    return packed(b"iopub", HEADER, b"{}", b"{}", content)


def test_the_helper_of_these_tests_lays_out_a_good_frame() -> None:
    assert parse_frame(frame_with_content(b'{"text":"a"}')).content == {"text": "a"}
    assert parse_frame(with_offsets(56, 61, 63, 65, 67, 69)) == Frame("iopub", {}, {}, {}, {})


def test_what_is_written_is_read_again() -> None:
    header: dict[str, Any] = {"msg_id": "1", "msg_type": "execute_request"}
    content: dict[str, Any] = {"code": "print('é 😀 \ud800')\n", "silent": False, "deep": [{"a": [1.5, None]}]}
    assert parse_frame(serialize_frame("shell", header, content)) == Frame("shell", header, {}, {}, content)


@given(header=JSON_OBJECTS, content=JSON_OBJECTS, channel=st.sampled_from(["shell", "control", "stdin", ""]))
def test_any_objects_round_trip(header: dict[str, Any], content: dict[str, Any], channel: str) -> None:
    assert parse_frame(serialize_frame(channel, header, content)) == Frame(channel, header, {}, {}, content)


def test_buffers_behind_the_content_are_dropped() -> None:
    frame = packed(b"iopub", HEADER, b"{}", b"{}", b'{"a":1}', b"\x00\xffbuffer", b"", b"more")
    assert parse_frame(frame) == Frame("iopub", {"msg_type": "stream"}, {}, {}, {"a": 1})


def test_32_bytes_of_ff_are_refused_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(BadFrame, match="18446744073709551615 offsets, expected 6 to 64"):
        parse_frame(b"\xff" * 32)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("count", [0, 1, 5, 65, 2**31, 2**63, 2**64 - 1])
def test_a_count_out_of_bounds_is_refused(count: int) -> None:
    with pytest.raises(BadFrame, match="expected 6 to 64"):
        parse_frame(struct.pack("<Q", count) + b"\x00" * 4096)


@pytest.mark.parametrize("length", range(8))
def test_a_frame_shorter_than_its_count_is_refused(length: int) -> None:
    with pytest.raises(BadFrame, match="shorter than its own count"):
        parse_frame(b"\x06" * length)


@pytest.mark.parametrize("count", [6, 7, 64])
def test_a_table_longer_than_the_frame_is_refused(count: int) -> None:
    with pytest.raises(BadFrame, match="the offset table is longer than the frame"):
        parse_frame(struct.pack("<Q", count) + b"\x00" * (8 * count - 1))


@pytest.mark.parametrize(
    "offsets",
    [
        (0, 61, 63, 65, 67, 69),  # the first lies in the table
        (55, 61, 63, 65, 67, 69),
        (57, 61, 63, 65, 67, 69),  # a gap behind the table
        (56, 61, 63, 65, 67, 68),  # the last before the end
        (56, 61, 63, 65, 67, 70),  # the last behind the end
        (56, 61, 63, 65, 67, 2**64 - 1),
    ],
)
def test_offsets_that_do_not_cover_the_frame_are_refused(offsets: tuple[int, ...]) -> None:
    with pytest.raises(BadFrame, match="do not cover"):
        parse_frame(with_offsets(*offsets))


@pytest.mark.parametrize(
    "offsets",
    [
        (56, 61, 60, 65, 67, 69),  # back by one
        (56, 0, 63, 65, 67, 69),  # back into the table
        (56, 61, 63, 2**63, 67, 69),  # out of the frame and back
        (56, 2**64 - 1, 63, 65, 67, 69),
        (56, 69, 69, 69, 69, 61, 69),  # between buffers
    ],
)
def test_an_offset_that_goes_back_or_outside_is_refused(offsets: tuple[int, ...]) -> None:
    body = b"iopub{}{}{}{}" if len(offsets) == 6 else b"iopub{}{}"
    shift = 8 * (len(offsets) - 6)
    shifted = [offset + shift if 56 <= offset < 100 else offset for offset in offsets]
    shifted[-1] = 8 * (len(offsets) + 1) + len(body)
    with pytest.raises(BadFrame, match="goes back"):
        parse_frame(with_offsets(*shifted, body=body))


def test_a_channel_that_is_no_ascii_is_refused() -> None:
    with pytest.raises(BadFrame, match="ASCII"):
        parse_frame(packed("shéll".encode(), HEADER, b"{}", b"{}", b"{}"))


@pytest.mark.parametrize("part", [b"[]", b"1", b'"text"', b"null", b"true", b""])
@pytest.mark.parametrize("position", [1, 2, 3, 4])
def test_a_part_that_is_no_object_is_refused(part: bytes, position: int) -> None:
    parts = [b"iopub", HEADER, b"{}", b"{}", b"{}"]
    parts[position] = part
    with pytest.raises(BadFrame):
        parse_frame(packed(*parts))


@pytest.mark.parametrize(
    "content",
    [b"{", b'{"a":}', b"{'a':1}", b'{"a":1}x', b'{"a":1}{}', b"\xef\xbb\xbf{}", b'{"a":"\n"}', b'{"a":01}', b"\x00{}"],
)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(BadFrame, match="no valid JSON"):
        parse_frame(frame_with_content(content))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 400 + b".5"])
def test_numbers_that_json_cannot_say_again_are_refused(number: bytes) -> None:
    with pytest.raises(BadFrame, match="is no JSON"):
        parse_frame(frame_with_content(b'{"a":[' + number + b"]}"))


def test_ordinary_numbers_are_read() -> None:
    content = b'{"a":[1.5,-0.0,1e300,5e-324,123456789012345678901234567890]}'
    assert parse_frame(frame_with_content(content)).content == {
        "a": [1.5, -0.0, 1e300, 5e-324, 123456789012345678901234567890]
    }


def test_an_integer_of_too_many_digits_is_refused() -> None:
    assert parse_object(b'{"a":' + b"1" * 4300 + b"}") == {"a": int("1" * 4300)}
    with pytest.raises(BadFrame, match="4300"):
        parse_object(b'{"a":' + b"1" * 4301 + b"}")


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_nested_100000_deep_is_refused(opening: bytes, closing: bytes) -> None:
    depth = 100_000
    for content in (opening * depth, opening * depth + b"1" + closing * depth):
        with pytest.raises(BadFrame):
            parse_frame(frame_with_content(b'{"a":' + content + b"}"))


def test_the_last_of_duplicate_keys_counts() -> None:
    frame = packed(b"iopub", b'{"msg_type":"stream","msg_type":"status"}', b"{}", b"{}", b'{"a":1,"a":{},"a":2}')
    assert parse_frame(frame) == Frame("iopub", {"msg_type": "status"}, {}, {}, {"a": 2})


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    """What ipykernel sends for `print("\\udcff")`, a file name that is no UTF-8: odd, but no broken protocol."""
    frame = parse_frame(frame_with_content(b'{"name":"stdout","text":"\xffA\\n"}'))
    assert frame.content == {"name": "stdout", "text": "�A\n"}


def test_bytes_that_are_no_utf8_outside_a_string_are_refused() -> None:
    with pytest.raises(BadFrame, match="no valid JSON"):
        parse_frame(frame_with_content(b'{"a":\xff1}'))


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_a_bad_frame(data: bytes) -> None:
    assert parses_or_is_bad(data)


@given(st.lists(st.binary(max_size=30), min_size=4, max_size=8))
def test_any_parts_parse_or_are_a_bad_frame(parts: list[bytes]) -> None:
    assert parses_or_is_bad(packed(*parts))


@given(st.data())
def test_any_single_change_of_a_good_frame_parses_or_is_a_bad_frame(data: st.DataObject) -> None:
    frame = bytearray(serialize_frame("shell", {"msg_id": "1"}, {"code": "1+1"}))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    assert parses_or_is_bad(bytes(frame))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=9), st.binary(max_size=60))
def test_any_offset_table_parses_or_is_a_bad_frame(offsets: list[int], body: bytes) -> None:
    assert parses_or_is_bad(with_offsets(*offsets, body=body))


@given(st.text(max_size=50))
def test_any_text_as_content_parses_or_is_a_bad_frame(text: str) -> None:
    assert parses_or_is_bad(frame_with_content(text.encode()))


def parses_or_is_bad(data: bytes) -> bool:
    """Tell that nothing but a BadFrame came of the bytes, and that what was parsed can be written as JSON again."""
    try:
        frame = parse_frame(data)
    except BadFrame:
        return True
    for part in (frame.header, frame.parent_header, frame.metadata, frame.content):
        json.dumps(part, allow_nan=False)
    return isinstance(frame.channel, str)


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"1,"])
def test_a_message_of_millions_of_values_is_refused_before_it_is_built(unit: bytes) -> None:
    part = b'{"x":[' + unit * 1_000_000 + b"1]}"
    with pytest.raises(BadFrame, match="values"):
        parse_object(part)


def test_text_full_of_commas_and_brackets_is_no_value() -> None:
    text = 'a,b,[c],{d},"quoted\\"",' * 100_000
    assert parse_object(json.dumps({"text": text}).encode()) == {"text": text}
