"""What a kernel says becomes typed messages; whatever does not fit is dropped, never passed on and never an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.frames import Frame
from orchestrator.kernel.messages import (
    TEXT_MIME_TYPES,
    Clear,
    Display,
    Failure,
    Message,
    Reply,
    State,
    Stream,
    parent_id,
    parse_message,
)
from orchestrator.limits import MIME_TYPES_PER_OUTPUT, TRACEBACK_BYTES

PLOTLY = "application/vnd.plotly.v1+json"


def parsed(kind: Any, content: dict[str, Any], channel: str = "iopub") -> Message | None:
    return parse_message(Frame(channel, {"msg_type": kind}, {}, {}, content))


def shown(data: Any, **content: Any) -> Display | None:
    message = parsed("display_data", {"data": data, "metadata": {}, **content})
    assert message is None or isinstance(message, Display)
    return message


def failed(**content: Any) -> Failure | None:
    message = parsed("error", {"ename": "E", "evalue": "v", "traceback": ["a"], **content})
    assert message is None or isinstance(message, Failure)
    return message


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_printed_text_is_a_stream(name: str) -> None:
    assert parsed("stream", {"name": name, "text": "a\n"}) == Stream(name, "a\n")


def test_a_picture_is_a_display() -> None:
    data = {"image/png": "iVBOR", "text/plain": "<Figure>"}
    content = {"data": data, "metadata": {}, "transient": {"display_id": "x"}}
    assert parsed("display_data", content) == Display(data, {}, "x", None, update=False)


def test_a_value_is_a_display_with_its_count() -> None:
    content = {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 7}
    assert parsed("execute_result", content) == Display({"text/plain": "2"}, {}, None, 7, update=False)


def test_an_update_is_a_display_that_says_so() -> None:
    content = {"data": {"text/plain": "2"}, "transient": {"display_id": "x"}, "execution_count": 7}
    assert parsed("update_display_data", content) == Display({"text/plain": "2"}, {}, "x", None, update=True)


def test_an_error_is_a_failure() -> None:
    content = {"ename": "KeyError", "evalue": "'a'", "traceback": ["one", "two"]}
    assert parsed("error", content) == Failure("KeyError", "'a'", ("one", "two"))


@pytest.mark.parametrize(("wait", "meant"), [(True, True), (False, False), (None, False), (1, False), ("yes", False)])
def test_clearing_waits_only_when_told_so(wait: object, meant: bool) -> None:
    assert parsed("clear_output", {"wait": wait}) == Clear(meant)
    assert parsed("clear_output", {}) == Clear(wait=False)


@pytest.mark.parametrize("state", ["busy", "idle", "starting", "restarting", "dead"])
def test_a_known_state_is_a_state(state: str) -> None:
    assert parsed("status", {"execution_state": state}) == State(state)


@pytest.mark.parametrize("status", ["ok", "error", "aborted"])
def test_an_answer_to_execute_is_a_reply(status: str) -> None:
    assert parsed("execute_reply", {"status": status, "execution_count": 3}, "shell") == Reply(status, 3)
    assert parsed("execute_reply", {"status": status}, "shell") == Reply(status, None)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("stream", {"name": "stdlog", "text": "a"}),
        ("stream", {"name": ["stdout"], "text": "a"}),
        ("stream", {"name": "stdout", "text": 1}),
        ("stream", {"name": "stdout"}),
        ("stream", {"text": "a"}),
        ("stream", {}),
        ("display_data", {}),
        ("display_data", {"data": {}}),
        ("display_data", {"data": ["text/plain"]}),
        ("display_data", {"data": {"text/plain": ["a"]}}),
        ("execute_result", {"data": {"image/png": {"a": 1}}}),
        ("error", {}),
        ("error", {"ename": 1, "evalue": "", "traceback": []}),
        ("error", {"ename": "E", "evalue": None, "traceback": []}),
        ("error", {"ename": "E", "evalue": "", "traceback": "text"}),
        ("error", {"ename": "E", "evalue": "", "traceback": ["a", 1]}),
        ("status", {}),
        ("status", {"execution_state": "happy"}),
        ("status", {"execution_state": ["idle"]}),
        ("status", {"execution_state": {"idle": 1}}),
        ("execute_input", {"code": "1"}),
        ("comm_open", {"comm_id": "1", "data": {}}),
        ("iopub_welcome", {}),
        ("", {}),
        (None, {}),
        (["stream"], {"name": "stdout", "text": "a"}),
    ],
)
def test_what_is_malformed_or_unknown_is_dropped(kind: object, content: dict[str, Any]) -> None:
    assert parsed(kind, content) is None


@pytest.mark.parametrize("status", ["abort", "", None, ["ok"], 0])
def test_a_reply_of_unknown_status_is_dropped(status: object) -> None:
    assert parsed("execute_reply", {"status": status}, "shell") is None


@pytest.mark.parametrize(
    ("channel", "kind", "content"),
    [
        ("shell", "stream", {"name": "stdout", "text": "a"}),
        ("shell", "status", {"execution_state": "idle"}),
        ("iopub", "execute_reply", {"status": "ok"}),
        ("control", "execute_reply", {"status": "ok"}),
        ("stdin", "input_request", {"prompt": "Your password:", "password": True}),
        ("", "stream", {"name": "stdout", "text": "a"}),
        ("IOPUB", "stream", {"name": "stdout", "text": "a"}),
    ],
)
def test_a_message_on_the_wrong_channel_is_dropped(channel: str, kind: str, content: dict[str, Any]) -> None:
    assert parsed(kind, content, channel) is None


@pytest.mark.parametrize("mime_type", sorted(TEXT_MIME_TYPES))
def test_every_allowed_text_type_is_kept(mime_type: str) -> None:
    message = shown({mime_type: "x"})
    assert message is not None and message.data == {mime_type: "x"}


@pytest.mark.parametrize(
    "mime_type",
    [
        "application/json",
        PLOTLY,
        "application/vnd.vegalite.v5+json",
        "application/vnd.vegalite.v6.json",
        "application/vnd.vega.v5+json",
    ],
)
def test_every_allowed_chart_type_is_kept(mime_type: str) -> None:
    message = shown({mime_type: {"data": [1, {"a": None}]}})
    assert message is not None and message.data == {mime_type: {"data": [1, {"a": None}]}}


@pytest.mark.parametrize(
    "mime_type",
    [
        "application/javascript",
        "text/javascript",
        "application/vnd.jupyter.widget-view+json",
        "application/vnd.bokehjs_exec.v0+json",
        "application/vnd.plotly.v1",
        "application/vnd.plotlyx+json",
        "application/vnd.plotly.\ud800+json",
        f"application/vnd.plotly.{'x' * 100_000}+json",
        "application/xhtml+xml",
        "TEXT/HTML",
        "text/html ",
        "text/html; charset=utf-8",
        "image/tiff",
        "__proto__",
        "constructor",
        "",
    ],
    ids=lambda mime_type: ascii(mime_type)[:40],
)
def test_any_other_mime_type_is_dropped(mime_type: str) -> None:
    for value in ("x", {"a": 1}):
        message = shown({mime_type: value, "text/plain": "kept"})
        assert message is not None and message.data == {"text/plain": "kept"}
        assert shown({mime_type: value}) is None


def test_only_the_first_mime_types_are_looked_at() -> None:
    many = {f"application/x-{number}": "x" for number in range(MIME_TYPES_PER_OUTPUT)}
    assert shown(many | {"text/plain": "late"}) is None
    many.popitem()
    message = shown(many | {"text/plain": "in time"})
    assert message is not None and message.data == {"text/plain": "in time"}


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}])
def test_json_that_is_nested_too_deep_is_dropped(wrap: Any) -> None:
    deep: Any = 1
    for _ in range(900):
        deep = wrap(deep)
    message = shown({PLOTLY: {"data": deep}, "text/plain": "kept"})
    assert message is not None and message.data == {"text/plain": "kept"}


def test_json_of_a_sane_depth_is_kept() -> None:
    deep: Any = 1
    for _ in range(90):
        deep = [deep]
    message = shown({PLOTLY: {"data": deep}})
    assert message is not None and message.data == {PLOTLY: {"data": deep}}


def test_lone_surrogates_are_cleaned_everywhere() -> None:
    assert parsed("stream", {"name": "stdout", "text": "a\ud800b"}) == Stream("stdout", "a?b")
    assert failed(ename="E\udfff", evalue="\udcff", traceback=["\ud83d", "ok 😀"]) == Failure("E?", "?", ("?", "ok 😀"))
    message = shown({"text/html": "<b>\udc80</b>", PLOTLY: {"title\ud800": ["\ud800", {"x": "😀\udfff"}]}})
    assert message is not None
    assert message.data == {"text/html": "<b>?</b>", PLOTLY: {"title?": ["?", {"x": "😀?"}]}}


def test_text_in_all_scripts_stays_as_it_is() -> None:
    text = "naïve 数据 данные 😀 👩‍👩‍👧 \u202e\x1b[31m\x00"
    assert parsed("stream", {"name": "stderr", "text": text}) == Stream("stderr", text)


def test_only_the_size_of_a_picture_is_kept_of_the_metadata() -> None:
    metadata = {
        "image/png": {"width": 640, "height": 480.5, "needs_background": "light", "onload": "alert(1)"},
        "text/html": {"isolated": True},
        "application/x-other": {"width": 1},
    }
    message = shown({"image/png": "x", "text/html": "y"}, metadata=metadata)
    assert message is not None and message.metadata == {"image/png": {"width": 640, "height": 480.5}}


@pytest.mark.parametrize(
    "metadata", [None, [], "x", {"image/png": None}, {"image/png": {"width": "1", "height": True}}]
)
def test_odd_metadata_is_dropped(metadata: object) -> None:
    message = shown({"image/png": "x"}, metadata=metadata)
    assert message is not None and message.metadata == {}


@pytest.mark.parametrize("transient", [None, [], {"display_id": 1}, {"display_id": ["x"]}, {}])
def test_an_odd_display_id_is_none(transient: object) -> None:
    message = shown({"text/plain": "x"}, transient=transient)
    assert message is not None and message.display_id is None


def test_a_long_display_id_is_cut() -> None:
    message = shown({"text/plain": "x"}, transient={"display_id": "i" * 100_000})
    assert message is not None and message.display_id == "i" * 200


@pytest.mark.parametrize("count", [-1, 2**31, 1.0, "1", True, None, [1]])
def test_an_odd_execution_count_is_none(count: object) -> None:
    assert parsed("execute_reply", {"status": "ok", "execution_count": count}, "shell") == Reply("ok", None)


def test_a_long_traceback_is_cut() -> None:
    message = failed(traceback=["x" * 1000] * 10_000)
    assert message is not None
    assert message.traceback[-1] == "[traceback cut]"
    assert size(message) <= TRACEBACK_BYTES + 100


def test_a_traceback_of_very_many_empty_lines_is_cut() -> None:
    message = failed(traceback=[""] * 1_000_000)
    assert message is not None
    assert message.traceback[-1] == "[traceback cut]"
    assert size(message) <= TRACEBACK_BYTES + 100


def test_a_traceback_is_cut_by_bytes_not_by_characters() -> None:
    message = failed(ename="错" * 1000, evalue="误" * 100_000, traceback=["错误😀" * 10_000] * 10)
    assert message is not None
    assert len(message.ename) == 200
    assert len(message.evalue.encode()) <= TRACEBACK_BYTES
    assert size(message) <= TRACEBACK_BYTES + 100
    assert "\ufffd" not in "".join(message.traceback)


def test_an_ordinary_traceback_is_kept_whole() -> None:
    lines = ["\x1b[31mTraceback\x1b[0m", "", "  line 1", "KeyError: 错"]
    assert failed(traceback=lines) == Failure("E", "v", tuple(lines))


@pytest.mark.parametrize("value", [None, 1, ["x"], {"a": 1}])
def test_a_parent_id_that_is_no_text_is_none(value: object) -> None:
    assert parent_id(Frame("iopub", {}, {"msg_id": value}, {}, {})) is None
    assert parent_id(Frame("iopub", {}, {}, {}, {})) is None
    assert parent_id(Frame("iopub", {}, {"msg_id": "x"}, {}, {})) == "x"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
KINDS = ["stream", "display_data", "update_display_data", "execute_result", "error", "clear_output", "status"]
KEYS = ["name", "text", "data", "metadata", "transient", "execution_count", "ename", "evalue", "traceback", "wait"]
BUNDLES = st.dictionaries(
    st.sampled_from([*sorted(TEXT_MIME_TYPES), PLOTLY, "application/json", "x"]), JSON, max_size=3
)
CONTENTS = st.dictionaries(
    st.sampled_from([*KEYS, "execution_state", "status"]),
    JSON | BUNDLES | st.sampled_from(["stdout", "idle", "ok"]) | st.lists(st.text(max_size=5), max_size=3),
    max_size=6,
)


@given(
    channel=st.sampled_from(["iopub", "shell"]),
    kind=st.sampled_from([*KINDS, "execute_reply"]) | JSON,
    content=CONTENTS,
)
def test_no_content_makes_the_parser_fail(channel: str, kind: Any, content: dict[str, Any]) -> None:
    message = parsed(kind, content, channel)
    assert message is None or isinstance(message, Stream | Display | Failure | Clear | State | Reply)


@given(BUNDLES)
def test_what_is_kept_of_any_bundle_can_be_written_as_utf8_json(data: dict[str, Any]) -> None:
    message = shown(data)
    assert message is None or json.dumps(message.data, ensure_ascii=False, allow_nan=False).encode()


def size(failure: Failure) -> int:
    """Return the bytes of a traceback with its line ends."""
    return sum(len(line.encode()) + 1 for line in failure.traceback)
