"""Small pieces of Markdown made from text that nobody vouches for. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from ui.places import at

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$&:])")
_SANDBOX_LINK = re.compile(r"\]\(\s*(?:<sandbox:(?P<pointed>[^>\n]*)>|sandbox:(?P<plain>[^)\n]*?))\s*\)")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})")
_INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\$\$.+?\$\$")
_TAG = re.compile(r"<(?=[A-Za-z/!?])(?!https?:|mailto:)")


def fenced(text: str, language: str = "") -> str:
    """Put text into a code block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    body = text if text.endswith("\n") else text + "\n"
    return f"{fence}{language}\n{body}{fence}"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def file_url(session: str, path: str) -> str | None:
    """Return where the page serves a workspace file, or None for a path that cannot be one."""
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if not segments or ".." in segments:
        return None
    return at(f"/files/{quote(session, safe='')}/" + "/".join(quote(segment, safe="") for segment in segments))


def link(label: str, url: str) -> str:
    """Return a Markdown link; `url` must be percent-encoded."""
    return f"[{escaped(label)}]({url})"


def with_file_links(text: str, session: str) -> str:
    """Turn the model's links to `sandbox:/mnt/data/…` into links to the files' downloads."""

    def rewrite(found: re.Match[str]) -> str:
        path = found["pointed"] if found["pointed"] is not None else found["plain"]
        inside = unquote(path).strip().lstrip("/").removeprefix("mnt/data/")
        url = file_url(session, inside)
        return f"]({url})" if url else "](#)"

    return _SANDBOX_LINK.sub(rewrite, text)


def without_html(text: str) -> str:
    """Show a text's HTML tags instead of obeying them; code and formulas stay as they are."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        opened = _FENCE.match(line)
        if fence:
            # A block ends with a fence of the same kind that is at least as long and says nothing more.
            if opened and opened["fence"].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            lines.append(line)
        elif opened:
            fence = opened["fence"]
            lines.append(line)
        else:
            lines.append(_outside_code(line))
    return "\n".join(lines)


def _outside_code(line: str) -> str:
    parts: list[str] = []
    end = 0
    for code in _INLINE_CODE.finditer(line):
        parts += [_TAG.sub("&lt;", line[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _TAG.sub("&lt;", line[end:])])
