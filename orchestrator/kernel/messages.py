"""What a kernel may say, as typed values. Whatever does not fit is dropped here and counted, never passed on."""

from dataclasses import dataclass
from typing import Any

from orchestrator.kernel.frames import Frame
from orchestrator.limits import MIME_TYPES_PER_OUTPUT, TRACEBACK_BYTES

# Rich outputs that are kept. Everything else (widgets, application/javascript, …) is dropped.
TEXT_MIME_TYPES = frozenset(
    {
        "text/plain",
        "text/html",
        "text/markdown",
        "text/latex",
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/svg+xml",
        "application/pdf",
    }
)
_MOST_JSON_DEPTH = 100
_MOST_MIME_TYPE_CHARS = 100


@dataclass(frozen=True, slots=True)
class Stream:
    """Printed text; `name` is `stdout` or `stderr`."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Display:
    """A mime bundle that was shown; with `execution_count` it is the cell's value."""

    data: dict[str, Any]
    metadata: dict[str, Any]
    display_id: str | None
    execution_count: int | None
    update: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """The cell raised."""

    ename: str
    evalue: str
    traceback: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clear:
    """The cell clears its outputs, at once or with the next one."""

    wait: bool


@dataclass(frozen=True, slots=True)
class State:
    """The kernel says that it is `busy`, `idle`, `starting`, `restarting` or `dead`."""

    execution_state: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The kernel answered an execute request; `status` is `ok`, `error` or `aborted`."""

    status: str
    execution_count: int | None


Message = Stream | Display | Failure | Clear | State | Reply


def parse_message(frame: Frame) -> Message | None:
    """Return the typed message in a frame, or None for anything that is unknown or malformed."""
    content = frame.content
    match frame.channel, frame.header.get("msg_type"):
        case "iopub", "stream":
            name, text = content.get("name"), content.get("text")
            return Stream(name, clean(text)) if name in ("stdout", "stderr") and isinstance(text, str) else None
        case "iopub", ("display_data" | "update_display_data" | "execute_result") as kind:
            return _display(content, str(kind))
        case "iopub", "error":
            return _failure(content)
        case "iopub", "clear_output":
            return Clear(content.get("wait") is True)
        case "iopub", "status":
            state = content.get("execution_state")
            known = ("busy", "idle", "starting", "restarting", "dead")
            return State(state) if isinstance(state, str) and state in known else None
        case "shell", "execute_reply":
            status = content.get("status")
            if status not in ("ok", "error", "aborted"):
                return None
            return Reply(status, _count(content.get("execution_count")))
    return None


def parent_id(frame: Frame) -> str | None:
    """Return the id of the request that a frame claims to answer."""
    value = frame.parent_header.get("msg_id")
    return value if isinstance(value, str) else None


def clean(text: str) -> str:
    """Return text without lone surrogates, which no UTF-8 and no database can hold."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def _display(content: dict[str, Any], kind: str) -> Display | None:
    raw, metadata, transient = content.get("data"), content.get("metadata"), content.get("transient")
    if not isinstance(raw, dict):
        return None
    data: dict[str, Any] = {}
    for mime_type, value in list(raw.items())[:MIME_TYPES_PER_OUTPUT]:
        if mime_type in TEXT_MIME_TYPES and isinstance(value, str):
            data[mime_type] = clean(value)
        elif is_json_mime_type(mime_type) and isinstance(value, dict) and _shallow(value):
            data[mime_type] = _clean_json(value)
    if not data:
        return None
    display_id = transient.get("display_id") if isinstance(transient, dict) else None
    return Display(
        data=data,
        metadata=_picture_sizes(metadata, data),
        display_id=display_id[:200] if isinstance(display_id, str) else None,
        execution_count=_count(content.get("execution_count")) if kind == "execute_result" else None,
        update=kind == "update_display_data",
    )


def is_json_mime_type(mime_type: str) -> bool:
    """Tell whether a mime type is a chart's specification that the page can draw."""
    if len(mime_type) > _MOST_MIME_TYPE_CHARS or not mime_type.isascii():
        return False
    return mime_type == "application/json" or (
        # Altair 6 writes a dot where others write a plus.
        mime_type.startswith(("application/vnd.plotly.", "application/vnd.vega"))
        and mime_type.endswith(("+json", ".json"))
    )


def _picture_sizes(metadata: object, data: dict[str, Any]) -> dict[str, Any]:
    """Keep only a picture's width and height of an output's metadata: nothing else is ever used."""
    kept: dict[str, Any] = {}
    if isinstance(metadata, dict):
        for mime_type in data:
            about = metadata.get(mime_type)
            if isinstance(about, dict):
                sizes = {key: about[key] for key in ("width", "height") if type(about.get(key)) in (int, float)}
                if sizes:
                    kept[mime_type] = sizes
    return kept


def _failure(content: dict[str, Any]) -> Failure | None:
    ename, evalue, lines = content.get("ename"), content.get("evalue"), content.get("traceback")
    if not isinstance(ename, str) or not isinstance(evalue, str) or not isinstance(lines, list):
        return None
    kept: list[str] = []
    room = TRACEBACK_BYTES
    for line in lines:
        if not isinstance(line, str):
            return None
        kept.append(_head(line, room))
        room -= len(kept[-1].encode()) + 1
        if room <= 0 or len(kept[-1]) < len(line):
            kept.append("[traceback cut]")
            break
    return Failure(clean(ename[:200]), _head(evalue, TRACEBACK_BYTES), tuple(kept))


def _head(text: str, most_bytes: int) -> str:
    """Return the beginning of a text, clean."""
    return clean(text[:most_bytes]).encode()[:most_bytes].decode("utf-8", "ignore")


def _clean_json(value: Any) -> Any:
    """Return a JSON value, known to be shallow, without lone surrogates."""
    match value:
        case str():
            return clean(value)
        case list():
            return [_clean_json(child) if isinstance(child, str | list | dict) else child for child in value]
        case dict():
            return {clean(key): _clean_json(child) for key, child in value.items()}
    return value


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def _shallow(value: object) -> bool:
    """Tell whether a JSON value is nested less deep than what would break whoever writes it again."""
    level: list[Any] = [value]
    for _ in range(_MOST_JSON_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return True
    return False
