"""The cells that the fake API's turns run: one that fails, one that works, one that shows every kind of output."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

JSON = dict[str, Any]

FAILING = (
    'import pandas as pd\n\nsales = pd.read_csv("sales.csv")\nsales["margin"] = sales["profit"] / sales["revenue"]\n'
)
WORKING = (
    "import matplotlib.pyplot as plt\n"
    "import pandas as pd\n\n"
    'sales = pd.read_csv("sales.csv")\n'
    'by_month = sales.groupby("month")["revenue"].sum()\n'
    "print(by_month.describe())\n"
    'by_month.plot(kind="bar", title="Revenue by month")\n'
    "plt.show()\n"
    'by_month.to_csv("by_month.csv")\n'
)
TABLE = (
    '<div><style scoped>.dataframe tbody tr th {vertical-align: top;}</style><table border="1" class="dataframe">'
    "<thead><tr><th></th><th>month</th><th>revenue</th></tr></thead><tbody>"
    "<tr><th>0</th><td>January</td><td>1204.5</td></tr><tr><th>1</th><td>February &lt;b&gt;</td><td>998.0</td></tr>"
    "</tbody></table></div>"
)


def png(width: int = 640, height: int = 400) -> bytes:
    """Make a picture: bars on white."""
    bars = [int(height * (0.25 + 0.6 * abs(((7 * i) % 12) / 12 - 0.3))) for i in range(12)]
    rows = bytearray()
    step = max(1, width // 12)
    for y in range(height):
        rows.append(0)
        for x in range(width):
            bar = x * 12 // width
            inside = height - y < bars[bar] and 6 < x % step < step - 6
            rows += b"\x0f\x76\x6e" if inside else b"\xff\xff\xff"
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def wav(seconds: float = 1.0) -> bytes:
    """Make a sound: silence."""
    data = bytes(int(8000 * seconds))
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack(
        "<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8
    ) + b"data" + struct.pack("<I", len(data)) + data  # fmt: skip


def pdf() -> bytes:
    """Make a PDF of one page."""
    said = b"BT /F1 24 Tf 40 100 Td (A paper) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(said), said),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = b"%PDF-1.4\n" + b"".join(b"%d 0 obj%s endobj\n" % (at + 1, each) for at, each in enumerate(objects))
    return body + b"trailer<</Root 1 0 R>>"


MADE = {".png": png, ".wav": wav, ".pdf": pdf}


def shown(**data: Any) -> JSON:
    bundle = {key.replace("__", "/"): value for key, value in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def printed(text: str, name: str = "stdout") -> JSON:
    return {"output_type": "stream", "name": name, "text": text}


def failing_cell(number: int) -> JSON:
    error = {
        "output_type": "error",
        "ename": "KeyError",
        "evalue": "'profit'",
        "traceback": [
            "\x1b[0;31m---------------------------------------\x1b[0m",
            "\x1b[0;31mKeyError\x1b[0m    Traceback (most recent call last)",
            "File \x1b[0;32m/opt/python/lib/pandas/core/indexes/base.py:3812\x1b[0m, in Index.get_loc(self, key)\n"
            "\x1b[1;32m   3811\x1b[0m try:\n\x1b[0;32m-> 3812\x1b[0m     return self._engine.get_loc(casted_key)",
            'Cell \x1b[0;32mIn[1], line 4\x1b[0m\n\x1b[1;32m      4\x1b[0m sales["margin"] = sales["profit"]',
            "\x1b[0;31mKeyError\x1b[0m: 'profit'",
        ],
    }
    return {
        "cell_id": f"c{number}", "code": FAILING, "execution_count": 1, "status": "error", "outputs": [error],
        "duration_s": 0.42, "truncated": False, "files": [],
    }  # fmt: skip


def working_cell(number: int) -> JSON:
    outputs = [
        printed("count      12.000000\nmean     1043.250000\nstd       121.118000\nName: revenue, dtype: float64\n"),
        shown(image__png=base64.b64encode(png()).decode(), text__plain="<Figure size 640x400 with 1 Axes>"),
    ]
    files = [{"path": "by_month.csv", "size": 312, "change": "created"}]
    return {
        "cell_id": f"c{number}", "code": WORKING, "execution_count": 2, "status": "ok", "outputs": outputs,
        "duration_s": 1.37, "truncated": False, "files": files,
    }  # fmt: skip


def rich_cell(number: int) -> JSON:
    circle = '<circle cx="30" cy="30" r="25" fill="teal"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="120" height="60">{circle}</svg>'
    plot = {
        "data": [{"type": "bar", "x": ["a", "b", "c"], "y": [3, 1, 2]}],
        "layout": {"title": {"text": "A Plotly figure"}, "height": 320},
    }
    frame = (
        "<h3>An HTML output</h3><p id=p>script did not run</p><script>"
        "let reached='no';try{parent.document.title;reached='YES'}catch(e){reached=e.name}"
        "document.getElementById('p').textContent='script ran; the page: '+reached;"
        "fetch('/healthz').catch(e=>document.body.append(' fetch: '+e.name))</script>"
    )
    rows = "".join(f"<tr><th>{n}</th><td>day {n}</td><td>{(n * 37) % 101}.5</td></tr>" for n in range(40))
    head = "<thead><tr><th></th><th>day</th><th>sold</th></tr></thead>"
    table = f"<table class=dataframe>{head}<tbody>{rows}</tbody></table>"
    outputs = [
        printed("UserWarning: this is told on stderr\n", "stderr"),
        shown(text__html=table, text__plain="  day sold"),
        printed("\x1b[32mgreen\x1b[0m\n 10%|#         |\r100%|##########|\n"),
        shown(text__html=TABLE, text__plain="      month  revenue"),
        {"output_type": "display_data", "data": {"image/svg+xml": svg}, "metadata": {}},
        {"output_type": "display_data", "data": {"application/vnd.plotly.v1+json": plot}, "metadata": {}},
        shown(text__html=frame, text__plain="<IPython.core.display.HTML object>"),
        shown(text__latex="$\\int_0^1 x^2\\,dx = \\frac{1}{3}$", text__plain="<IPython.core.display.Latex object>"),
        shown(text__plain="{'answer': 42}"),
    ]
    return {
        "cell_id": f"c{number}", "code": "show_everything()  # ``` and ````\n", "execution_count": 3, "status": "ok",
        "outputs": outputs, "duration_s": 64.2, "truncated": True,
        "files": [
            {"path": "näme with space.txt", "size": 5_300_000, "change": "changed"},
            {"path": "by_month.csv", "size": 312, "change": "created"},
            {"path": "chart.png", "size": 31_000, "change": "created"},
            {"path": "paper.pdf", "size": 2_000, "change": "created"},
            {"path": "tone.wav", "size": 90_000, "change": "created"},
        ],
    }  # fmt: skip
