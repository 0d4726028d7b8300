"""Outputs at the door: of each, the one representation that is shown is chosen, and what is heavy goes to the shelf."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from ui import words
from ui.ansi import printed
from ui.shelf import Shelf, picture_kind, picture_size
from ui.shown import Failure, Frame, Paper, Picture, Plain, Plot, Printed, Prose, Remark, Sheet, Shown
from ui.sizes import size_words
from ui.tables import Table, read_table
from ui.tracebacks import read_traceback

JSON = Mapping[str, Any]

MAX_HTML_BYTES = 8 * 1024 * 1024
MAX_TABLE_CHARS = 1024 * 1024
MAX_PLOT_CHARS = 2 * 1024 * 1024
# What the API keeps of one output: Altair puts all columns of up to 5,000 rows into a chart.
MAX_VEGA_CHARS = 8 * 1024 * 1024
# Four bytes each when a browser unpacks it, however few the file has.
MAX_PICTURE_PIXELS = 100_000_000

_RASTER = ("image/png", "image/jpeg", "image/gif", "image/webp")
_PLOTLY = "application/vnd.plotly.v1+json"
# Altair 6 writes a dot where all others, and Jupyter, have a plus.
_VEGA = re.compile(r"application/vnd\.(vega|vegalite)\.v\d+[.+]json")
# In a page of Altair's own making, which loads Vega from elsewhere, the chart is what the script is called with.
_EMBEDS = re.compile(r"\}\)\((?=\{)")
_SCHEMA = re.compile(r"https://vega\.github\.io/schema/(vega|vega-lite)/v\d+[\d.]*\.json")
_MODES = {"vega": "vega", "vegalite": "vega-lite"}
# With what stands around it: a title, the axes.
VEGA_HEIGHT, VEGA_MARGIN = 300, 70
# What `repr` says of an object that has no words for itself.
_BARE_REPR = re.compile(r"<[\w.]+(?: [\w.]+)*(?: object)?(?: at 0x[0-9a-f]+)?>|[\w.]+\(\)", re.IGNORECASE)


class Intake:
    """Turns the API's nbformat outputs into what is shown of them."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the conversation with every output taken in."""
        return [
            {**message, "parts": [self.data(part) for part in message["parts"]]} if message.get("parts") else message
            for message in messages
        ]

    def data(self, data: JSON) -> dict[str, Any]:
        """Return an event's or a part's fields with its output or outputs taken in."""
        taken = dict(data)
        if isinstance(taken.get("outputs"), list):
            taken["outputs"] = [self.output(output) for output in taken["outputs"]]
        if isinstance(taken.get("output"), Mapping):
            taken["output"] = self.output(taken["output"])
        return taken

    def output(self, output: JSON) -> Shown:
        """Choose what is shown of one nbformat output."""
        match output.get("output_type"):
            case "stream":
                return Printed(str(output.get("name", "stdout")), _joined(output.get("text")))
            case "error":
                return _failure(output)
            case _:
                data = output.get("data")
                return self._best(data if isinstance(data, Mapping) else {})

    def _best(self, data: JSON) -> Shown:
        kind = next((kind for kind in _RASTER if kind in data), None)
        if kind:
            return self._raster(_joined(data[kind]))
        if "image/svg+xml" in data:
            return Picture(self._shelf.put(_joined(data["image/svg+xml"]).encode(), "svg"))
        if _PLOTLY in data and (plot := self._plot(data[_PLOTLY])):
            return plot
        if (chart := self._vega(data)) is not None:
            return chart
        if "application/pdf" in data and (paper := self._pdf(_joined(data["application/pdf"]))):
            return paper
        if "text/html" in data and (page := self._html(data)):
            return page
        return _text(data)

    def _raster(self, encoded: str) -> Shown:
        try:
            content = base64.b64decode(encoded)
        except (binascii.Error, ValueError):
            return Remark(words.PICTURE_BROKEN)
        kind = picture_kind(content)
        if kind is None:
            return Remark(words.PICTURE_BROKEN)
        size = picture_size(content)
        if size and size[0] * size[1] > MAX_PICTURE_PIXELS:
            return Remark(words.PICTURE_TOO_LARGE.format(width=size[0], height=size[1]))
        return Picture(self._shelf.put(content, kind), size)

    def _plot(self, figure: Any) -> Plot | None:
        if not isinstance(figure, Mapping):
            return None
        data, layout, frames = (figure.get(part) for part in ("data", "layout", "frames"))
        if not isinstance(data, list) or not isinstance(layout, Mapping):
            return None
        kept = {"data": data, "layout": layout} | ({"frames": frames} if isinstance(frames, list) else {})
        written = json.dumps(kept)
        if len(written) > MAX_PLOT_CHARS:
            return None
        height = layout.get("height")
        return Plot(self._shelf.put(written.encode(), "plotly"), height if isinstance(height, int) else None)

    def _vega(self, data: JSON) -> Shown | None:
        for kind, spec in data.items():
            if (named := _VEGA.fullmatch(str(kind))) and isinstance(spec, Mapping):
                return self._chart(_MODES[named[1]], spec)
        return None

    def _chart(self, mode: str, spec: JSON) -> Shown:
        # There a chart says how the page is to embed it, which is not its business.
        kept = {name: value for name, value in spec.items() if name != "usermeta"}
        written = json.dumps({"mode": mode, "spec": kept})
        if len(written) > MAX_VEGA_CHARS:
            return Remark(words.CHART_TOO_LARGE.format(size=size_words(len(written))))
        height = spec.get("height")
        room = (height if type(height) is int else VEGA_HEIGHT) + VEGA_MARGIN
        return Plot(self._shelf.put(written.encode(), "vega"), room)

    def _pdf(self, encoded: str) -> Paper | None:
        try:
            content = base64.b64decode(encoded)
        except (binascii.Error, ValueError):
            return None
        return Paper(self._shelf.put(content, "pdf"), len(content)) if content.startswith(b"%PDF-") else None

    def _sheet(self, table: Table) -> Sheet:
        notes = []
        if table.all_rows > len(table.rows):
            notes.append(words.TABLE_CUT.format(rows=len(table.rows), total=table.all_rows))
        if table.all_columns > len(table.columns):
            notes.append(words.COLUMNS_CUT.format(columns=len(table.columns), total=table.all_columns))
        kept = {"columns": table.columns, "rows": table.rows, "numeric": table.numeric, "note": " ".join(notes)}
        return Sheet(self._shelf.put(json.dumps(kept).encode(), "table"), len(table.rows))

    def _html(self, data: JSON) -> Shown | None:
        html = _joined(data["text/html"])
        if "<table" in html and len(html) <= MAX_TABLE_CHARS and (table := read_table(html)):
            return self._sheet(table)
        if (embedded := _embedded(html)) is not None:
            return self._chart(*embedded)
        plain = _joined(data.get("text/plain", "")).strip()
        if plain and not _BARE_REPR.fullmatch(plain):
            return None
        content = html.encode()
        if len(content) > MAX_HTML_BYTES:
            return Remark(words.HTML_CUT.format(size=size_words(len(content))))
        return Frame(self._shelf.put(content, "html"))


def _embedded(html: str) -> tuple[str, JSON] | None:
    """Return the chart in a page that Altair made, as notebooks from elsewhere have it: its mode and specification."""
    if "vega-embed" not in html or len(html) > MAX_HTML_BYTES or not (call := _EMBEDS.search(html)):
        return None
    try:
        spec, _ = json.JSONDecoder().raw_decode(html, call.end())
    except (ValueError, RecursionError):
        return None
    named = _SCHEMA.fullmatch(str(spec.get("$schema")))
    return (named[1], spec) if named else None


def _text(data: JSON) -> Shown:
    if "text/markdown" in data:
        return Prose(_joined(data["text/markdown"]))
    if "text/latex" in data:
        return Prose(_formula(_joined(data["text/latex"])))
    if "application/json" in data and "text/plain" not in data:
        return Plain(json.dumps(data["application/json"], indent=2, ensure_ascii=False), "json")
    if "text/plain" in data:
        return Plain(printed(_joined(data["text/plain"])))
    if "application/javascript" in data:
        return Remark(words.SCRIPTS_LEFT_OUT)
    return Remark(words.UNSHOWN.format(kind=", ".join(sorted(map(str, data))[:5]) or "?"))


def _formula(latex: str) -> str:
    inside = latex.strip().strip("$").strip()
    return f"$${inside}$$"


def _failure(output: JSON) -> Failure:
    name, value = str(output.get("ename") or "Error"), str(output.get("evalue") or "")
    lines = output.get("traceback")
    traceback = read_traceback([str(line) for line in lines] if isinstance(lines, list) else [str(lines or "")])
    return Failure(name, value, traceback.frame, traceback.whole)


def _joined(text: Any) -> str:
    """Return nbformat's multi-line text as one string."""
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")
