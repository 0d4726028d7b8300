"""The documents of frames: what a cell displayed, as data inside a page that runs scripts of ours and no others.

Theory of operation. An HTML output may carry scripts, and a Content-Security-Policy that lets them run cannot seal
them: WebRTC obeys none, and a frame that leads itself to another site has connected before it is refused. So what a
cell displayed stands in the document as JSON in a block of data, and the policy names the hashes of our own scripts:
`seal.js` shows HTML without what could run, load or lead away, and `chart.js` and `vega.js` draw a chart with plotly.js
or Vega, which is part of the document. A frame asks the network for nothing at all.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

from ui import languages, words
from ui.vega import vega_script

if TYPE_CHECKING:
    from zlib import _Compress as _Compressor

_STYLE = (
    "body{display:flow-root;margin:0;background:#fff;color:#111;color-scheme:light;font:14px/1.5 system-ui,sans-serif}"
    ".gb-note{margin:8px 0 0;color:#64748b;font-size:12px}"
)
_TABLE_STYLE = (
    ":root{--line:#e2e8f0;--soft:#f8fafc;--dim:#475569;--accent:#0f766e}"
    ".dark{--line:#334155;--soft:#1e293b;--dim:#94a3b8;--accent:#2dd4bf}"
    ".dark body{background:#0f172a;color:#e2e8f0;color-scheme:dark}.dark .gb-note{color:#94a3b8}"
    "body{font-size:13px}.gb-note{margin:6px 10px}"
    ".tools{display:flex;align-items:center;gap:10px;padding:6px 8px;border-bottom:1px solid var(--line)}"
    ".tools[hidden]{display:none}.tools span{color:var(--dim);font-size:12px}"
    "input{width:200px;max-width:60%;padding:3px 9px;border:1px solid var(--line);border-radius:99px;"
    "background:var(--soft);color:inherit;font:inherit}"
    ".scroller{max-height:380px;overflow:auto}table{min-width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:4px 12px;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap;max-width:420px;"
    "overflow:hidden;text-overflow:ellipsis}tbody tr:last-child>*{border-bottom:0}"
    "thead th{position:sticky;top:0;background:var(--soft);padding:0}tbody th{font-weight:500;color:var(--dim)}"
    "thead button{width:100%;padding:6px 12px;border:0;background:none;color:inherit;font:inherit;font-weight:600;"
    "text-align:inherit;cursor:pointer}thead button:hover{color:var(--accent)}.number{text-align:right}"
    "[aria-sort] button{color:var(--accent)}[aria-sort=ascending] button::after{content:' ↑'}"
    "[aria-sort=descending] button::after{content:' ↓'}tbody tr:hover{background:var(--soft)}"
    ":focus-visible{outline:2px solid var(--accent);outline-offset:-2px}"
)
# A chart brings its own margins.
_MORE_STYLE = {
    "html": "body{padding:8px}",
    "plotly": ".gb-note{margin:8px}.dark body{background:#0f172a;color-scheme:dark}.dark .gb-note{color:#94a3b8}",
    "table": _TABLE_STYLE,
    "vega": "body{padding:8px}.vega-embed{width:100%}.vega-bind{margin:4px 0}"
    ".dark body{background:#0f172a;color:#e2e8f0;color-scheme:dark}.dark .gb-note{color:#94a3b8}",
}
_OWN_SCRIPTS = {"html": "seal.js", "table": "table.js"}
_GZIP = 31  # zlib's way to say: with gzip's header


@cache
def policy(kind: str) -> str:
    """Return the Content-Security-Policy of a frame that shows `html`, a `table`, a `plotly` or a `vega` chart."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts(kind))
    # Plotly's WebGL traces compile what they draw with; a figure's strings never are a part of that. Vega would compile
    # what a chart's expressions say, and has a way to interpret them instead.
    compiling = " 'unsafe-eval'" if kind == "plotly" else ""
    return (
        f"sandbox allow-scripts; default-src 'none'; script-src {hashes}{compiling}; style-src 'unsafe-inline'; "
        "img-src data: blob:; media-src data: blob:; font-src data:; connect-src 'none'; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
    )


def document(kind: str, output: str) -> bytes:
    """Return the document that shows an output, HTML, or the JSON of a chart or a table; compressed with gzip."""
    # Plotly is 4.8 MB: it is compressed once, and every document goes on from there.
    beginning, compressor = _beginning(kind, languages.spoken())
    going_on = compressor.copy()
    return beginning + going_on.compress(_ending(kind, output).encode()) + going_on.flush()


@cache
def _beginning(kind: str, language: str) -> tuple[bytes, _Compressor]:
    library = scripts(kind)[:-2]
    said = f'data-scripts="{escape(words.SCRIPTS_LEFT_OUT)}" data-broken="{escape(words.CHART_BROKEN)}" '
    said += f'data-search="{escape(words.SEARCH_TABLE)}" data-refused="{escape(words.CHART_REFUSED)}"'
    text = (
        f'<!doctype html><html lang="{language}" {said}><meta charset="utf-8"><title>{escape(words.HTML_FRAME)}</title>'
    )
    text += f"<style>{_STYLE}{_MORE_STYLE[kind]}</style><body>{''.join(map(_element, library))}"
    compressor = zlib.compressobj(wbits=_GZIP)
    return compressor.compress(text.encode()), compressor


def _ending(kind: str, output: str) -> str:
    # Without "<" nothing in the data ends its block, or begins a comment in it (HTML, 13.2.5.4 and following).
    data = (json.dumps(output) if kind == "html" else output).replace("<", "\\u003c")
    return f'<script type="application/json" id="output">{data}</script>' + "".join(map(_element, scripts(kind)[-2:]))


@cache
def scripts(kind: str) -> tuple[str, ...]:
    """Return the scripts of a frame in their order, the library first, if there is one."""
    if kind in _OWN_SCRIPTS:
        return _read("frame.js"), _read(_OWN_SCRIPTS[kind])
    if kind == "vega":
        return vega_script(), _read("frame.js"), _read("vega.js")
    library = Path(str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js")))
    return library.read_text(encoding="utf-8"), _read("frame.js"), _read("chart.js")


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _element(script: str) -> str:
    return f"<script>{script}</script>"
