"""The small pieces of HTML inside the chat. Everything in them is escaped here. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ui import words
from ui.markdown import file_url
from ui.places import at
from ui.sizes import size_words

MAX_CHIPS = 40
MAX_PICTURE_HEIGHT = 520
# Plotly's own height for a figure that names none, and the bounds that theme.py sets to a frame.
CHART_HEIGHT, MIN_CHART_HEIGHT, MAX_CHART_HEIGHT = 450, 60, 720


def component(html: str) -> dict[str, Any]:
    """Return the piece of a Chatbot message that shows this HTML as it is."""
    return {"type": "component", "component": "html", "value": html, "constructor_args": {}, "props": {}}


def notice(text: str, tone: str = "info") -> str:
    """Return a line that the service, not the model, has to say; `tone` is info, warning or error."""
    role = "alert" if tone == "error" else "note"
    return f'<p class="gb-notice gb-{tone}" role="{role}">{escape(text)}</p>'


def activity(text: str) -> str:
    """Return a line that says what is going on just now."""
    return f'<p class="gb-activity"><span class="gb-pulse" aria-hidden="true"></span>{escape(text)}</p>'


def picture(name: str, alt: str, size: tuple[int, int] | None = None) -> str:
    """Return a picture from the shelf; a click shows it in its own size."""
    url = at(f"/pictures/{escape(name)}")
    # With its size the page leaves room before the picture is loaded, and stays scrolled to the end.
    scale = min(1.0, MAX_PICTURE_HEIGHT / size[1]) if size else 1.0
    room = f' width="{round(size[0] * scale)}" height="{round(size[1] * scale)}"' if size else ""
    image = f'<img src="{url}" alt="{escape(alt)}"{room}>'
    return f'<a class="gb-picture" href="{url}" target="_blank" rel="noopener">{image}</a>'


def frame(name: str) -> str:
    """Return an HTML output in a frame that has no origin, no network and no scripts but ours."""
    return (
        f'<iframe class="gb-frame" sandbox="allow-scripts" src="{at("/frames/")}{escape(name)}" '
        f'title="{escape(words.HTML_FRAME)}" loading="lazy"></iframe>'
    )


def chart(name: str, height: int | None = None) -> str:
    """Return an interactive chart in such a frame; with its height (in pixels) the page leaves room for it."""
    room = min(max(height or CHART_HEIGHT, MIN_CHART_HEIGHT), MAX_CHART_HEIGHT)
    return (
        f'<iframe class="gb-frame gb-chart" sandbox="allow-scripts" src="{at("/frames/")}{escape(name)}" '
        f'style="height:{room}px" title="{escape(words.CHART_FRAME)}" loading="lazy"></iframe>'
    )


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
    return f"{opening}{escape(path)}{small}</a>"
