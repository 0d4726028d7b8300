"""A cell as a card: how it stands, its code one click away, and what it printed; below it what it showed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from urllib.parse import quote

from ui import snippets, words
from ui.ansi import coloured, printed
from ui.conversation import Cell
from ui.details import in_words
from ui.highlight import highlighted
from ui.markdown import file_url, markdown_html
from ui.shown import Failure, Frame, Paper, Picture, Plain, Plot, Printed, Prose, Remark, Sheet, Shown
from ui.sizes import duration_words

# More than this slows the browser down; the rest is a download.
MAX_PRINTED = 64 * 1024
# Of a cell that runs the end is what one watches.
MAX_LIVE = 12 * 1024
MAX_CODE = 64 * 1024
# Colouring anew at each piece that is written must not be what takes the time.
MAX_WRITING_COLOURED = 4 * 1024

GOING_ON = frozenset({"writing", "running", "waiting"})
_SIGNS = {"ok": "✓", "error": "✕", "writing": "", "running": "", "waiting": "?"}
_ERROR_NAME = re.compile(r"[A-Za-z_][\w.]{0,79}")
_SPILLED = re.compile(r"outputs/cell-[\w-]{1,40}\.\w{1,8}")


def card(cell: Cell, session: str, *, folded: bool) -> str:
    """Return a cell's card; its code is open while it goes on, and else as the reader prefers."""
    opened = "" if folded and cell.status not in GOING_ON else " open"
    sign = _SIGNS.get(cell.status, "■")
    count = f'<span class="gb-count">[{cell.execution_count}]</span>' if cell.execution_count is not None else ""
    clock = '<span class="gb-clock"></span>' if cell.status == "running" else ""
    head = (
        f'<summary><span class="gb-sign" aria-hidden="true">{sign}</span><b>{escape(words.PYTHON)}</b>{count}'
        f'<span class="gb-state">{escape(cell_state(cell))}</span>{clock}</summary>'
    )
    return (
        f'<section class="gb-cell gb-is-{escape(cell.status)}" data-cell="{escape(cell.cell_id)}">'
        f'<details class="gb-fold"{opened}>{head}<pre class="gb-code" tabindex="0"><code>{_code(cell)}</code></pre>'
        f"</details>{_tools(cell)}{_approval(cell)}{''.join(_texts(cell, session))}</section>"
    )


def below(cell: Cell, session: str, pictures_before: int) -> str:
    """Return what stands below a cell's card: pictures, tables, frames, notices, files."""
    number = pictures_before
    pieces: list[str] = []
    for shown in cell.outputs:
        number += isinstance(shown, Picture)
        pieces.append(_seen(shown, session, number))
    notices = [*map(in_words, cell.notices), *([words.CELL_TRUNCATED] if cell.truncated else [])]
    pieces += [snippets.notice(text) for text in notices]
    pieces.append(snippets.chips(cell.files, session))
    shown_pieces = "".join(pieces)
    return f'<div class="gb-results">{shown_pieces}</div>' if shown_pieces else ""


def cell_state(cell: Cell) -> str:
    """Return how a cell stands, in words."""
    took = duration_words(cell.duration_s) if cell.duration_s is not None else ""
    if cell.status == "error":
        failure = next((shown for shown in reversed(cell.outputs) if isinstance(shown, Failure)), None)
        name = failure.error if failure and _ERROR_NAME.fullmatch(failure.error) else ""
        state = f"{words.FAILED}: {name}" if name else words.FAILED
    else:
        state = words.CELL_STATES.get(cell.status, "")
    return " · ".join(piece for piece in (state, took) if piece)


def clipped(text: str, limit: int) -> str:
    """Return the text's beginning and end when it is longer than the limit; the end matters more."""
    if len(text) <= limit:
        return text
    head, tail = limit // 4, limit - limit // 4
    gap = words.OUTPUT_CUT.format(count=len(text) - head - tail)
    return f"{text[:head].rstrip()}\n\n{gap}\n\n{text[-tail:].lstrip()}"


def _end(text: str, limit: int) -> str:
    """Return the last lines of a text; how much is left out changes in steps, so that not all moves at each line."""
    if len(text) <= limit:
        return text
    start = text.find("\n", (len(text) - limit) // 2048 * 2048) + 1
    return f"…\n{text[start or len(text) - limit :]}"


def printed_text(cell: Cell) -> str:
    """Return all that a cell printed, as a terminal would show it, to be saved as a file."""
    return "\n".join(printed(shown.text) for shown in cell.outputs if isinstance(shown, Printed))


def count_pictures(cell: Cell) -> int:
    """Count the pictures of a cell, so that the next one's are numbered on."""
    return sum(isinstance(shown, Picture) for shown in cell.outputs)


def _code(cell: Cell) -> str:
    code = cell.code.strip("\n")
    if len(code) > MAX_CODE:
        code = f"{code[:MAX_CODE]}\n{words.CODE_CUT}"
    plain = cell.status == "writing" and len(code) > MAX_WRITING_COLOURED
    return escape(code, quote=False) if plain else highlighted(code, "python")


def _tools(cell: Cell) -> str:
    if cell.status in GOING_ON:
        return ""
    tools = snippets.button("copy", words.COPY_CODE, "copy") + snippets.button("edit-cell", words.EDIT_AND_RUN, "edit")
    if cell.cell_id:
        tools += snippets.button("run-cell", words.RUN_AGAIN, "run", cell=cell.cell_id)
    return f'<div class="gb-tools">{tools}</div>'


def _approval(cell: Cell) -> str:
    if cell.status != "waiting":
        return ""
    choices = (("approve", words.APPROVE), ("edit-approval", words.EDIT_APPROVAL), ("refuse", words.REFUSE))
    buttons = "".join(snippets.button(act, label, call=cell.call_id) for act, label in choices)
    return f'<div class="gb-approval" role="group"><p>{escape(words.APPROVAL_ASKED)}</p>{buttons}</div>'


def _texts(cell: Cell, session: str) -> Iterator[str]:
    """Yield the texts of a cell in order; what is printed to one stream without a pause is one text."""
    running = cell.status == "running"
    room = MAX_LIVE if running else MAX_PRINTED
    cut = False
    for shown in cell.outputs:
        if isinstance(shown, Failure):
            yield _failure(shown)
            continue
        if not isinstance(shown, Printed | Plain) or not shown.text.strip():
            continue
        if room <= 0:
            cut = True
            continue
        text = _end(shown.text, room) if running else clipped(shown.text, room)
        cut = cut or len(shown.text) > room
        room -= len(text)
        yield _text(shown, text, session)
    if cut and not running:
        url = f"printed/{quote(session, safe='')}/{quote(cell.cell_id, safe='')}"
        yield (
            f'<p class="gb-whole"><a class="gb-chip" href="{escape(url)}" download>{escape(words.WHOLE_OUTPUT)}</a></p>'
        )


def _text(shown: Printed | Plain, text: str, session: str) -> str:
    if isinstance(shown, Plain):
        return f'<pre class="gb-out gb-value" tabindex="0">{highlighted(text, shown.language)}</pre>'

    def link(found: re.Match[str]) -> str:
        url = file_url(session, found[0])
        return f'<a class="gb-file" href="{escape(url or "#")}" download>{found[0]}</a>'

    kind = "gb-stderr" if shown.name == "stderr" else "gb-stdout"
    # What was too long for the conversation names the file that holds it.
    return f'<pre class="gb-out {kind}" tabindex="0">{_SPILLED.sub(link, coloured(text))}</pre>'


def _failure(failure: Failure) -> str:
    message = f": {printed(failure.message)}" if failure.message else ""
    line = f'<p class="gb-error-line"><b>{escape(failure.error)}</b>{escape(message[:2000])}</p>'
    frame = f'<pre class="gb-out gb-traceback" tabindex="0">{failure.frame}</pre>' if failure.frame else ""
    whole = (
        f'<details class="gb-whole-traceback"><summary>{escape(words.WHOLE_TRACEBACK)}</summary>'
        f'<pre class="gb-out gb-traceback" tabindex="0">{failure.whole}</pre></details>'
        if failure.whole
        else ""
    )
    return f'<div class="gb-failure">{line}{frame}{whole}</div>'


def _seen(shown: Shown, session: str, number: int) -> str:
    match shown:
        case Picture(name, size):
            return snippets.picture(name, words.PICTURE_ALT.format(number=number), size)
        case Frame(name):
            return snippets.frame(name)
        case Plot(name, height):
            return snippets.chart(name, height)
        case Sheet(name, rows):
            return snippets.sheet(name, rows)
        case Paper(name, size):
            return snippets.paper(name, size)
        case Prose(markdown):
            return f'<div class="gb-said">{markdown_html(markdown, session)}</div>'
        case Remark(text):
            return snippets.notice(text)
        case _:
            return ""
