"""A conversation as one HTML file that can be sent to anybody: nothing in it runs, and nothing is loaded. No I/O.

What came out of a sandbox is never markup of the page: text is escaped, pictures and SVG are data URLs, and an HTML
output lies in a frame without an origin in which nothing may run. The policy in the head holds for all of it.
"""

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from orchestrator.notebook.ansi import coloured, plain
from orchestrator.notebook.highlight import highlighted
from orchestrator.notebook.markdown import INTERACTIVE, PICTURES, SEEN_ELSEWHERE, is_interactive, picture
from orchestrator.notebook.rendered import Markdown, svg_url
from orchestrator.notebook.timeline import Code, Note, NotRun, Question, Text, timeline
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = Path(__file__).with_name("page.css").read_text()
_FRAME_STYLE = """body{margin:0;font:14px system-ui,sans-serif;color:#1c2128;background:#fff}
table{border-collapse:collapse}th,td{padding:4px 10px;text-align:right;border-bottom:1px solid #d8dee4}"""
_ROW_PX, _LEAST_PX, _MOST_PX = 28, 60, 460
_MOST_PICTURE_PX = 10_000


def page(session: SessionRecord, messages: Sequence[MessageRecord], cells: Sequence[CellRecord]) -> bytes:
    """Return the conversation as a page."""
    markdown = Markdown()
    title = escape(plain(session.name))
    began = session.created_at.date().isoformat()
    body = "\n".join(_blocks(markdown, messages, cells))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{_STYLE}</style>
</head>
<body>
<header><h1>{title}</h1><p>{began}</p></header>
<main>
{body}
</main>
</body>
</html>
""".encode("utf-8", "replace")


def _blocks(markdown: Markdown, messages: Sequence[MessageRecord], cells: Sequence[CellRecord]) -> Iterator[str]:
    for entry in timeline(messages, cells):
        match entry:
            case Question(text, attachments):
                files = "".join(f"<li>{escape(plain(name))}</li>" for name in attachments)
                attached = f'<ul class="attached">{files}</ul>' if files else ""
                yield f'<section class="question"><h2>You</h2>{markdown.html(text)}{attached}</section>'
            case Text(text, reasoning):
                if reasoning:
                    thought = markdown.html(reasoning)
                    yield f'<details class="reasoning"><summary>Reasoning</summary>{thought}</details>'
                if text:
                    yield f'<section class="answer">{markdown.html(text)}</section>'
            case Code(cell):
                yield _cell(markdown, cell)
            case NotRun(code, reason):
                why = escape(plain(reason))
                yield f'<section class="cell">{_code(code)}<p class="note">{why}</p></section>'
            case Note(text):
                yield f'<p class="note">{escape(plain(text))}</p>'


def _cell(markdown: Markdown, cell: CellRecord) -> str:
    shown = "".join(_output(markdown, output) for output in cell.outputs)
    ended = "" if cell.status in ("ok", "error") else f'<p class="note">{escape(cell.status.replace("_", " "))}</p>'
    number = f'<span class="count">[{cell.execution_count}]</span>' if cell.execution_count else ""
    kind = "done" if cell.status == "ok" else "failed"
    return f'<section class="cell {kind}">{number}{_code(cell.code)}{shown}{ended}</section>'


def _code(code: str) -> str:
    return f'<pre class="code"><code>{highlighted(code)}</code></pre>'


def _output(markdown: Markdown, output: dict[str, Any]) -> str:
    match output["output_type"]:
        case "stream":
            kind = "stderr" if output["name"] == "stderr" else "stdout"
            return f'<pre class="output {kind}">{coloured(output["text"])}</pre>'
        case "error":
            return f'<pre class="output error">{coloured(chr(10).join(output["traceback"]))}</pre>'
    return f'<div class="output">{_shown(markdown, output["data"], output.get("metadata") or {})}</div>'


def _shown(markdown: Markdown, data: dict[str, Any], metadata: dict[str, Any]) -> str:
    for mime_type in PICTURES:
        if (content := picture(data.get(mime_type))) is not None:
            size = _size(metadata.get(mime_type))
            return f'<img src="data:{mime_type};base64,{content}" alt="picture"{size}>'
    if "image/svg+xml" in data:
        return f'<img src="{svg_url(data["image/svg+xml"])}" alt="picture"{_size(metadata.get("image/svg+xml"))}>'
    if is_interactive(data):
        return f'<p class="note">{INTERACTIVE}</p>'
    html = data.get("text/html")
    if html is not None and ("<script" not in html.lower() or "text/plain" not in data):
        return _frame(html)
    if "text/markdown" in data:
        return markdown.html(data["text/markdown"])
    for mime_type in ("text/plain", "text/latex"):
        if mime_type in data:
            return f"<pre>{coloured(data[mime_type])}</pre>"
    if "application/json" in data:
        return f"<pre>{escape(json.dumps(data['application/json'], indent=1, ensure_ascii=False))}</pre>"
    return f'<p class="note">{SEEN_ELSEWHERE}</p>'


def _frame(html: str) -> str:
    """Return an HTML output in a frame of its own, as high as its rows may need: nothing there can say its height."""
    head = f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{_FRAME_STYLE}</style>'
    rows = html.lower().count("<tr")
    height = min(_MOST_PX, max(_LEAST_PX, _ROW_PX * (rows + 2))) if rows else _MOST_PX // 2
    return f'<iframe sandbox="" title="HTML output" height="{height}" srcdoc="{escape(head + html)}"></iframe>'


def _size(about: object) -> str:
    if not isinstance(about, dict):
        return ""
    sizes = ((name, about.get(name)) for name in ("width", "height"))
    return "".join(
        f' {name}="{int(size)}"'
        for name, size in sizes
        if isinstance(size, int | float) and 0 < size < _MOST_PICTURE_PX
    )
