"""What the model is told of a cell that ran: plain text, without colours, with a note for each picture and file."""

import re
import struct
from base64 import b64decode
from typing import Any

from orchestrator.chat.tokens import cut_middle
from orchestrator.store.records import CellRecord

# CSI and OSC sequences, and the short escapes (ECMA-48 and ECMA-35).
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
# What would read as one of our own lines; in an output it is moved in by a space (THREATS F7).
_LIKE_OURS = re.compile(r"^(?=\[|status:)", re.MULTILINE)
_KIB = 1024


def tool_result(cell: CellRecord) -> str:
    """Return the text. Its first line is the cell's status; other lines that begin with `[` are Glovebox's own, too."""
    lines = [f"status: {cell.status}"]
    for output in cell.outputs:
        lines.extend(_told(output))
    if cell.files:
        lines.append("[files]")
        lines.extend(f"{file['change']}: {quoted(file['path'])} ({size_in_words(file['size'])})" for file in cell.files)
    if len(lines) == 1:
        lines.append("(no output)")
    return "\n".join(lines)


def bounded_result(cell: CellRecord, most_tokens: int) -> str:
    """Return the text in at most about so many tokens, head and tail of it. Blocks."""
    return cut_middle(tool_result(cell), most_tokens)


def plain(text: str) -> str:
    """Return text without ANSI escapes, with overwritten progress lines (`\\r`) reduced to their last state."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def size_in_words(size: int) -> str:
    """Return a size in bytes for people."""
    if size < _KIB:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        value /= _KIB
        if value < _KIB:
            return f"{value:.1f} {unit}"
    return f"{value / _KIB:.1f} TiB"


def _told(output: dict[str, Any]) -> list[str]:
    match output["output_type"]:
        case "stream":
            return [f"[{output['name']}]", quoted(output["text"]).rstrip("\n")]
        case "error":
            return ["[traceback]", quoted("\n".join(output["traceback"]))]
    lines = []
    data: dict[str, Any] = output["data"]
    for mime_type, value in data.items():
        if mime_type.startswith("image/"):
            lines.append(f"[picture: {mime_type}{_pixels(mime_type, value)}, shown to the user]")
        elif "vnd." in mime_type:
            lines.append("[interactive chart, shown to the user]")
    if not lines:
        text = data.get("text/plain") or data.get("text/markdown") or data.get("text/latex") or data.get("text/html")
        lines = ["[value]" if output["output_type"] == "execute_result" else "[shown]", quoted(str(text or "…"))]
    return lines


def quoted(text: str) -> str:
    """Return text of a sandbox or a model, plain, and no line of it to be taken for one of Glovebox's."""
    return _LIKE_OURS.sub(" ", "\n".join(plain(text).splitlines()))


def _pixels(mime_type: str, value: object) -> str:
    """Return a PNG's size in words, from its first bytes alone: pictures are never decoded here."""
    if mime_type != "image/png" or not isinstance(value, str):
        return ""
    try:
        width, height = struct.unpack(">II", b64decode(value[:32].encode())[16:24])
    except (ValueError, struct.error):
        return ""
    return f", {width}×{height} pixels"
