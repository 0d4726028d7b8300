"""The contract of a cell's outputs (docs/api.md): what is kept, what is cut and said, and what becomes a file."""

import json
import re
from base64 import b64encode
from collections import defaultdict
from itertools import cycle
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator import limits
from orchestrator.events import CellNotice, Event, OutputAdded, OutputsCleared, OutputUpdated, StreamText
from orchestrator.kernel.messages import Clear, Display, Failure, Stream
from orchestrator.kernel.outputs import Outputs
from orchestrator.limits import MIB

HEAD, TAIL = limits.STREAM_HEAD_BYTES, limits.STREAM_TAIL_BYTES
MOST, LARGEST = limits.RICH_OUTPUTS_PER_CELL, limits.RICH_OUTPUT_BYTES
NOTE = re.compile(r"\n\[… ([\d,]+) lines \(([\d,]+) bytes\) are not shown here; the whole is in (\S+) …\]\n")


class Files:
    """An overflow that keeps what it is given."""

    def __init__(self) -> None:
        self.texts: defaultdict[str, list[bytes]] = defaultdict(list)
        self.files: list[tuple[str, bytes]] = []

    def add_text(self, stream: str, text: str) -> str:
        self.texts[stream].append(text.encode())
        return f"outputs/{stream}.txt"

    def add_file(self, ending: str, content: bytes) -> str:
        self.files.append((ending, content))
        return f"outputs/{len(self.files)}.{ending}"


class Cell:
    """A cell's outputs with its files and its events, and a watcher who builds the outputs from the events alone."""

    def __init__(self) -> None:
        self.files = Files()
        self.outputs = Outputs("c1", self.files)
        self.events: list[Event] = []

    def take(self, *messages: Stream | Display | Failure | Clear) -> "Cell":
        for message in messages:
            self.events += self.outputs.take(message)
        return self

    def print(self, text: str, name: str = "stdout") -> "Cell":
        return self.take(Stream(name, text))

    def finish(self) -> list[dict[str, Any]]:
        outputs = self.outputs.finish()
        json.dumps(outputs, ensure_ascii=False, allow_nan=False).encode()
        return outputs

    def spilled(self, name: str = "stdout") -> str:
        return b"".join(self.files.texts[name]).decode()

    def watched(self) -> list[dict[str, Any]]:
        """Build the outputs as docs/api.md has a watcher do it."""
        outputs: list[dict[str, Any]] = []
        for event in self.events:
            match event:
                case StreamText(name=name, text=text):
                    if not outputs or outputs[-1].get("name") != name:
                        outputs.append(printed("", name))
                    outputs[-1]["text"] += text
                case OutputAdded(output=output):
                    outputs.append(output)
                case OutputUpdated(index=index, output=output):
                    outputs[index] = output
                case OutputsCleared():
                    outputs.clear()
        return outputs


def printed(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(data: Any, display_id: str | None = None, *, update: bool = False, number: int | None = None) -> Display:
    data = {"text/plain": data} if isinstance(data, str) else data
    return Display(data, {}, display_id, number, update)


def shown(text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}


def parts_of(text: str) -> tuple[str, int, int, str]:
    """Split kept text into its head, the lines and bytes that are said to be cut, and its tail."""
    notes = list(NOTE.finditer(text))
    assert len(notes) == 1
    lines, size = (int(number.replace(",", "")) for number in notes[0].group(1, 2))
    return text[: notes[0].start()], lines, size, text[notes[0].end() :]


def check_accounts(whole: str, kept: str, spilled: str) -> None:
    """Check that head, cut and tail together are the whole, in bytes and in lines, and that the file has it all."""
    head, lines, size, tail = parts_of(kept)
    assert spilled == whole
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head.encode()) <= HEAD
    assert len(tail.encode()) <= TAIL
    assert len(head.encode()) + size + len(tail.encode()) == len(whole.encode())
    assert head.count("\n") + lines + tail.count("\n") == whole.count("\n")


def test_little_text_is_kept_as_it_is_and_shown_at_once() -> None:
    rest = "b" * (HEAD - 2)
    cell = Cell().print("a\n").print(rest)
    assert cell.events == [StreamText("c1", "stdout", "a\n"), StreamText("c1", "stdout", rest)]
    assert cell.finish() == [printed("a\n" + rest)]
    assert not cell.outputs.truncated
    assert not cell.files.texts
    assert Cell().print("").finish() == []


def test_200000_lines_in_odd_chunks_are_all_accounted_for() -> None:
    whole = "".join(f"{number}: räksmörgås 数据\n" for number in range(200_000))
    cell, position = Cell(), 0
    for size in cycle([1, 7, 4093, 100, 8191, 65_537, 3]):
        if position >= len(whole):
            break
        cell.print(whole[position : position + size])
        position += size
    (output,) = cell.finish()
    check_accounts(whole, output["text"], cell.spilled())
    head, lines, _, tail = parts_of(output["text"])
    assert len(head.splitlines()) + lines + len(tail.splitlines()) in (200_000, 200_001)  # the head may end in a line
    assert tail.startswith(f"{200_000 - len(tail.splitlines())}: ")
    assert len(head.encode()) > HEAD - 100
    assert len(tail.encode()) > TAIL - 100
    assert cell.outputs.truncated


def test_whole_lines_are_cut_between_lines() -> None:
    lines = [f"line {number}\n" for number in range(200_000)]
    cell = Cell()
    for start in range(0, len(lines), 1000):
        cell.print("".join(lines[start : start + 1000]))
    head, cut, _, tail = parts_of(cell.finish()[0]["text"])
    assert len(head.splitlines()) + cut + len(tail.splitlines()) == 200_000
    assert head.endswith("\n")
    assert head.splitlines()[-1] == f"line {len(head.splitlines()) - 1}"
    assert tail.splitlines()[0] == f"line {200_000 - len(tail.splitlines())}"


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize(
    ("character", "chunk"), [("x", 10 * MIB), ("é", 65_536), ("数", 999_983), ("😀", 65_537), ("😀", 10 * MIB)]
)
def test_one_line_of_10_mb_keeps_its_beginning_and_its_end(end: str, chunk: int, character: str) -> None:
    whole = "A" + character * (10 * MIB // len(character.encode())) + "Z" + end
    cell = Cell()
    for start in range(0, len(whole), chunk):
        cell.print(whole[start : start + chunk])
    kept = cell.finish()[0]["text"]
    check_accounts(whole, kept, cell.spilled())
    head, _, _, tail = parts_of(kept)
    assert len(head.encode()) > HEAD - 4
    assert len(tail.encode()) > TAIL - 4


def test_text_that_fits_into_head_and_tail_is_kept_whole() -> None:
    whole = "0123456789abcde\n" * ((HEAD + TAIL) // 16)
    cell = Cell().print(whole[: HEAD + 5]).print(whole[HEAD + 5 :])
    assert cell.finish() == [printed(whole)]
    assert not cell.outputs.truncated
    assert cell.spilled() == whole


def test_the_head_is_live_and_the_rest_comes_at_the_end() -> None:
    cell = Cell().print("some\n").print("0123456789abcde\n" * 50_000).print("more\n")
    notices = [event for event in cell.events if isinstance(event, CellNotice)]
    assert cell.watched()[0]["text"] == parts_of(cell.finish()[0]["text"])[0]
    assert len(notices) == 1 and "outputs/stdout.txt" in notices[0].text


def test_each_stream_has_a_head_and_a_tail_of_its_own() -> None:
    cell = Cell()
    for number in range(60_000):
        cell.print(f"out {number}\n").print(f"err {number}\n", "stderr")
    outputs = cell.finish()
    for name, word in (("stdout", "out"), ("stderr", "err")):
        kept = "".join(output["text"] for output in outputs if output["name"] == name)
        check_accounts("".join(f"{word} {number}\n" for number in range(60_000)), kept, cell.spilled(name))


def test_streams_and_pictures_stay_in_turn() -> None:
    cell = Cell().print("a").print("b", "stderr").print("c").print("d").take(display("1")).print("e")
    assert cell.watched() == [printed("a"), printed("b", "stderr"), printed("cd"), shown("1"), printed("e")]
    assert cell.finish() == cell.watched()


def test_very_many_turns_of_the_streams_are_joined() -> None:
    cell = Cell()
    lines = [f"{number}\n" for number in range(5 * limits.OUTPUTS_PER_CELL)]
    for line in lines:
        cell.print(line).print(line, "stderr")
    outputs = cell.finish()
    assert len(outputs) == limits.OUTPUTS_PER_CELL
    for name in ("stdout", "stderr"):
        assert "".join(output["text"] for output in outputs if output["name"] == name) == "".join(lines)


def test_a_value_and_a_picture_are_nbformat_outputs() -> None:
    data, metadata = {"image/png": "x"}, {"image/png": {"width": 1}}
    picture = {"output_type": "display_data", "data": data, "metadata": metadata}
    value = {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}, "execution_count": 5}
    cell = Cell().take(Display(data, metadata, None, None, update=False), display("2", number=5))
    assert cell.finish() == [picture, value]
    assert cell.events == [OutputAdded("c1", picture), OutputAdded("c1", value)]


def test_an_update_changes_all_outputs_of_its_id() -> None:
    cell = Cell().take(display("1", "i"), display("other", "j"), display("1", "i", number=3))
    cell.take(display("0", "unknown", update=True), display("0", update=True), display("2", "i", update=True))
    value = {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}, "execution_count": 3}
    assert cell.events[-2:] == [OutputUpdated("c1", 0, shown("2")), OutputUpdated("c1", 2, value)]
    assert cell.finish() == [shown("2"), shown("other"), value]
    assert len(cell.events) == 5


def test_clearing_now_takes_everything_away_at_once() -> None:
    cell = Cell().print("a").take(display("1", "i"), Clear(wait=False))
    assert cell.events[-1] == OutputsCleared("c1")
    cell.take(display("2", "i", update=True))
    assert cell.print("b").finish() == [printed("b")]
    assert cell.watched() == [printed("b")]


def test_clearing_with_wait_happens_with_the_next_output() -> None:
    assert Cell().print("a").take(Clear(wait=True)).finish() == [printed("a")]
    cell = Cell().print("a").take(Clear(wait=True), Clear(wait=True)).print("b").print("c")
    assert cell.events[1:3] == [OutputsCleared("c1"), StreamText("c1", "stdout", "b")]
    assert cell.finish() == [printed("bc")]


def test_what_was_cleared_does_not_come_back_with_the_tail() -> None:
    cell = Cell().print("secret\n" * 100_000).take(Clear(wait=False), display("1", "i")).print("after\n")
    cell.take(display("2", "i", update=True))
    assert cell.watched() == [shown("2")]
    outputs = cell.finish()
    assert outputs[0] == shown("2")
    assert parts_of(outputs[1]["text"]) == ("", 100_000, 700_000, "after\n")
    assert cell.spilled() == "secret\n" * 100_000 + "after\n"


def test_a_loop_that_clears_and_draws_ends_with_its_last_frame() -> None:
    cell = Cell()
    for number in range(500):
        cell.take(Clear(wait=True), display({"image/png": "x" * MIB, "text/plain": str(number)}))
    (last,) = cell.finish()
    assert last["data"]["text/plain"] == "499"


def test_a_bar_that_is_updated_over_and_over_ends_with_its_last_state() -> None:
    cell = Cell().take(display({"image/png": "x" * MIB}, "bar"))
    for number in range(500):
        cell.take(display({"image/png": "x" * MIB, "text/plain": str(number)}, "bar", update=True))
    (last,) = cell.finish()
    assert last["data"]["text/plain"] == "499"


@pytest.mark.parametrize(
    "flood",
    [
        [Clear(wait=False)],
        [Clear(wait=False), Stream("stdout", "x" * 2000)],
        [display("", "i", update=True)],
        [Clear(wait=False), display("x" * 2000)],
        [Clear(wait=True), Failure("E", "x" * 1000, ("x" * 1000,))],
    ],
)
def test_no_flood_makes_the_event_log_grow_for_ever(flood: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.kernel.outputs.LIVE_BYTES_PER_CELL", MIB)
    cell = Cell().take(display("", "i"))
    for _ in range(MIB // 100 + 1000):
        cell.take(*flood)
    assert sum(isinstance(event, CellNotice) for event in cell.events) == 1
    assert sum(100 + len(json.dumps(event.as_json())) for event in cell.events) < 4 * MIB
    assert cell.outputs.take(Stream("stdout", "the end")) == []
    assert cell.finish()[-1]["text"].endswith("the end")


def test_a_picture_that_is_too_large_becomes_a_file_and_is_told() -> None:
    content = bytes(range(256)) * (LARGEST // 256)
    picture = {"text/plain": "<Figure size 640x480>", "image/png": b64encode(content).decode()}
    cell = Cell().take(display(picture))
    (output,) = cell.finish()
    note = f"[image/png of {len(picture['image/png']):,} bytes is too large to show; it is in outputs/1.png]"
    assert output["data"] == {"text/plain": f"{note}\n<Figure size 640x480>"}
    assert cell.files.files == [("png", content)]
    assert cell.outputs.truncated


@pytest.mark.parametrize(
    ("mime_type", "value", "ending", "content"),
    [
        ("text/html", "<b>数</b>" * MIB, "html", "<b>数</b>".encode() * MIB),
        ("text/plain", "é" * 5 * MIB, "txt", "é".encode() * 5 * MIB),
        ("image/svg+xml", "<svg/>" * 2 * MIB, "svg", b"<svg/>" * 2 * MIB),
        ("application/pdf", "QUJD" * 3 * MIB, "pdf", b"ABC" * 3 * MIB),
        ("application/json", {"a": "x" * 9 * MIB}, "txt", b'{"a": "' + b"x" * 9 * MIB + b'"}'),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_each_kind_of_large_output_becomes_a_file_of_its_kind(
    mime_type: str, value: Any, ending: str, content: bytes
) -> None:
    cell = Cell().take(display({mime_type: value}))
    assert "too large to show; it is in outputs/1." in cell.finish()[0]["data"]["text/plain"]
    assert cell.files.files == [(ending, content)]


def test_an_output_of_just_the_limit_is_kept() -> None:
    cell = Cell().take(display("x" * LARGEST), display("x" * (LARGEST + 1)))
    assert [len(output["data"]["text/plain"]) > 1000 for output in cell.finish()] == [True, False]


def test_outputs_beyond_the_count_are_counted_and_said() -> None:
    cell = Cell()
    for number in range(MOST + 1234):
        cell.take(display(str(number)))
    *kept, note = cell.finish()
    assert kept == [shown(str(number)) for number in range(MOST)]
    assert note["name"] == "stderr" and "1,234 more outputs are not kept" in note["text"]
    assert len(cell.events) == MOST
    assert cell.outputs.truncated


def test_outputs_beyond_the_bytes_are_counted_and_said() -> None:
    cell = Cell()
    for _ in range(8):
        cell.take(display("数" * (2 * MIB)))  # 6 MiB each
    *kept, note = cell.finish()
    assert sum(len(output["data"]["text/plain"].encode()) for output in kept) <= limits.RICH_BYTES_PER_CELL
    assert (len(kept), "3 more outputs" in note["text"]) == (5, True)


def test_large_outputs_beyond_the_count_make_no_more_files() -> None:
    cell = Cell()
    large = {"text/html": "x" * (LARGEST + 1)}
    for number in range(2 * MOST):
        cell.take(display(large, f"{number}"))
    assert len(cell.files.files) == MOST
    for _ in range(10):
        cell.take(display(large, "1", update=True), Clear(wait=False), display(large))
    assert len(cell.files.files) == MOST
    assert "too many to keep" in cell.finish()[0]["data"]["text/plain"]


def test_an_error_is_an_nbformat_error() -> None:
    cell = Cell().print("a").take(Failure("KeyError", "'b'", ("one", "two")))
    error = {"output_type": "error", "ename": "KeyError", "evalue": "'b'", "traceback": ["one", "two"]}
    assert cell.finish() == [printed("a"), error]
    assert cell.events[-1] == OutputAdded("c1", error)


def test_an_error_and_a_note_of_ours_are_kept_after_any_number_of_pictures_and_errors() -> None:
    cell = Cell().take(*[display("x")] * 200, *[Failure("E", "", ())] * 200)
    assert cell.outputs.note("CellTimeout", "Too long.")[0].type == "output"
    errors = [output["traceback"] for output in cell.finish() if output["output_type"] == "error"]
    assert (len(errors), errors[-1]) == (MOST + 1, ["CellTimeout: Too long."])


def test_a_note_of_ours_does_not_wait_for_a_clearing() -> None:
    cell = Cell().print("a").take(Clear(wait=True))
    cell.outputs.note("SandboxLost", "Gone.")
    assert [output["output_type"] for output in cell.finish()] == ["stream", "error"]


LINES = st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), st.integers(1, 60_000)).map(
    lambda pair: pair[0] * pair[1]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES | st.text(max_size=9) | st.integers(1, 40_000).map(lambda n: "no 数\n" * n), max_size=12))
@example(["x" * HEAD, "\n", "y" * (TAIL - 1), "\n" * 3])
@example(["\n" * (HEAD + TAIL + 1)])
@example(["😀" * 65_535 + "abc", "😀" * 200_000])
def test_any_chunks_are_accounted_for(chunks: list[str]) -> None:
    cell, whole = Cell(), "".join(chunks)
    for chunk in chunks:
        cell.print(chunk)
    kept = "".join(output["text"] for output in cell.finish())
    if cell.outputs.truncated:
        check_accounts(whole, kept, cell.spilled())
    else:
        assert kept == whole
        assert cell.spilled() in ("", whole)
