"""The small pieces of HTML inside the conversation. Everything in them is escaped here. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import PurePosixPath
from typing import Any

from ui import words
from ui.markdown import file_url
from ui.sizes import size_words

MAX_CHIPS = 40
MAX_PICTURE_HEIGHT = 520
# Plotly's own height for a figure that names none, and the bounds that conversation.js sets to a frame.
CHART_HEIGHT, MIN_FRAME_HEIGHT, MAX_FRAME_HEIGHT = 450, 48, 720
# What table.js draws: a row, the head, and the search box that stands above more than a few rows.
ROW_PX, HEAD_PX, TOOLS_PX, SCROLLER_PX, SEARCHED_ROWS = 29, 32, 41, 380, 8

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"})
_SOUNDS = frozenset({".wav", ".mp3", ".ogg", ".oga", ".flac", ".m4a", ".opus"})


def notice(text: str, tone: str = "info", more: str = "") -> str:
    """Return a line that the service has to say; `tone` is info, warning, busy or error; `more` is HTML."""
    role = "alert" if tone in {"error", "busy"} else "note"
    return f'<p class="gb-notice gb-{tone}" role="{role}">{escape(text)}{more}</p>'


def activity(text: str) -> str:
    """Return a line that says what is going on just now."""
    return f'<p class="gb-activity"><span class="gb-pulse" aria-hidden="true"></span>{escape(text)}</p>'


def button(act: str, label: str, icon: str = "", **data: str) -> str:
    """Return a button that conversation.js knows by its act: an icon with a name, or just the name."""
    more = "".join(f' data-{name}="{escape(value)}"' for name, value in data.items())
    if not icon:
        return f'<button type="button" class="gb-button" data-act="{act}"{more}>{escape(label)}</button>'
    named = f'aria-label="{escape(label)}" title="{escape(label)}"'
    return f'<button type="button" class="gb-tool" data-act="{act}" data-icon="{icon}"{more} {named}></button>'


def picture(name: str, alt: str, size: tuple[int, int] | None = None) -> str:
    """Return a picture from the shelf; a click shows it large."""
    url = f"pictures/{escape(name)}"
    # With its size the page leaves room before the picture is loaded, and stays scrolled to the end.
    scale = min(1.0, MAX_PICTURE_HEIGHT / size[1]) if size else 1.0
    room = f' width="{round(size[0] * scale)}" height="{round(size[1] * scale)}"' if size else ""
    image = f'<img src="{url}" alt="{escape(alt)}"{room} loading="lazy" decoding="async">'
    return f'<a class="gb-picture" data-act="enlarge" href="{url}">{image}</a>'


def frame(name: str, title: str = "", height: int = MIN_FRAME_HEIGHT, more_class: str = "") -> str:
    """Return an output in a frame that has no origin, no network and no scripts but ours."""
    room = min(max(height, MIN_FRAME_HEIGHT), MAX_FRAME_HEIGHT)
    return (
        f'<iframe class="gb-frame{more_class}" sandbox="allow-scripts" src="frames/{escape(name)}" '
        f'style="height:{room}px" title="{escape(title or words.HTML_FRAME)}" loading="lazy"></iframe>'
    )


def chart(name: str, height: int | None = None) -> str:
    """Return an interactive chart in such a frame; with its height (in pixels) the page leaves room for it."""
    return frame(name, words.CHART_FRAME, height or CHART_HEIGHT, " gb-chart")


def sheet(name: str, rows: int) -> str:
    """Return a table that can be sorted and searched in such a frame."""
    height = min(SCROLLER_PX, HEAD_PX + rows * ROW_PX) + (TOOLS_PX if rows >= SEARCHED_ROWS else 0)
    return frame(name, words.TABLE_FRAME, height, " gb-sheet")


def paper(name: str, size: int) -> str:
    """Return a PDF that is opened on demand, in the browser's own viewer."""
    return _preview("paper", f"papers/{escape(name)}", f"{words.PDF} · {size_words(size)}")


def chips(files: Iterable[Mapping[str, Any]], session: str) -> str:
    """Return links to the files that a cell made or changed, or that came with a question."""
    found = list(files)
    links = [chip for entry in found[:MAX_CHIPS] if (chip := _chip(entry, session))]
    more = f'<span class="gb-more">+{len(found) - MAX_CHIPS}</span>' if len(found) > MAX_CHIPS else ""
    return f'<div class="gb-chips">{"".join(links)}{more}</div>' if links else ""


def _chip(entry: Mapping[str, Any], session: str) -> str:
    path = str(entry.get("path", ""))
    url = file_url(session, path)
    if url is None:
        return ""
    size = entry.get("size")
    notes = [size_words(size)] if isinstance(size, int) else []
    if entry.get("change") == "changed":
        notes.append(words.CHANGED)
    small = f"<small>{escape(', '.join(notes))}</small>" if notes else ""
    opening = f'<a class="gb-chip" href="{escape(url)}" download title="{escape(words.DOWNLOAD)}">'
    return f'<span class="gb-chipped">{opening}{escape(path)}{small}</a>{_look(path, url, session)}</span>'


def _look(path: str, url: str, session: str) -> str:
    """Return the button that shows a file in place, for the kinds that a browser can show without harm."""
    kind = PurePosixPath(path).suffix.lower()
    label = f"{words.LOOK}: {path}"
    if kind in _PICTURES:
        return button("look", label, "look", kind="picture", href=url)
    if kind in _SOUNDS:
        return button("look", label, "look", kind="sound", href=url)
    if kind == ".pdf":
        return button("look", label, "look", kind="paper", href=url.replace("files/", "papers/", 1))
    return ""


def _preview(kind: str, url: str, label: str) -> str:
    return f'<div class="gb-chips">{button("look", label, kind=kind, href=url)}</div>'
