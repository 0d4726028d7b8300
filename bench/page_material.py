"""A long conversation as a notebook that Glovebox imports, with pictures like those of plots. Pure."""

import base64
import json
import math
import struct
import zlib
from functools import cache
from typing import Any

MESSAGES, PICTURES = 200, 50
_WIDTH, _HEIGHT, _LINE = 640, 480, 10
_SAID = """\
The **median** rose by {number} %, while the spread stayed as it was:

| group | n | mean | sd |
| --- | ---: | ---: | ---: |
| before | {number} | 12.4 | 1.2 |
| after | 97 | 13.{number} | 1.3 |

With $n = {number}$ the standard error is $\\sigma / \\sqrt{{n}}$, so

1. the difference is *larger* than what chance makes of `{number}` draws,
2. both groups have the same shape, and
3. nothing was left out (see `results_{number}.csv`).

```python
frame.groupby("group")["value"].agg(["median", "std"]).loc[{number}]
```
"""
_CODE = """\
import numpy as np
import matplotlib.pyplot as plt

values = np.random.default_rng({number}).normal(size=(500, 2)).cumsum(axis=0)
for name, column in zip(["before", "after"], values.T):
    plt.plot(column, label=name)  # one line for each group
plt.title("Run {number}")
plt.legend()
print(values.mean(), values.std())
"""


def long_notebook() -> bytes:
    """Return the notebook: two of its messages are the import's own, half of its answers have a picture."""
    cells: list[dict[str, Any]] = []
    for number in range(MESSAGES // 2 - 1):
        cells.append(
            _text("question", f"**You:** And how is it with the groups of run {number}? Please draw them, too.")
        )
        cells.append(_text("answer", _SAID.format(number=number)))
        if number % 2 == 0:
            cells.append(_code(number))
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def picture(number: int) -> bytes:
    """Return a PNG of a plot's size, in bytes, too; no two are the same."""
    rows = _rows()
    turned = rows[number:] + rows[:number]
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(turned), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


@cache
def _rows() -> list[bytes]:
    """Return the rows of three waves on white, with some noise where they pass."""
    waves = [[_HEIGHT / 2 + 60 * wave * math.sin(x / (20 + 3 * wave)) for x in range(_WIDTH)] for wave in range(1, 4)]
    rows: list[bytes] = []
    for y in range(_HEIGHT):
        row = bytearray(b"\xff" * (3 * _WIDTH))
        for x in range(_WIDTH):
            near = min(abs(y - wave[x]) for wave in waves)
            if near <= _LINE:
                shade = int(near * 15) + (x * 7919 + y * 104729) % 13
                row[3 * x : 3 * x + 3] = bytes((shade, shade + 40, shade + 60))
        rows.append(b"\0" + row)
    return rows


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _text(role: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {"glovebox": {"role": role}}, "source": text}


def _code(number: int) -> dict[str, Any]:
    shown = {"image/png": base64.b64encode(picture(number)).decode(), "text/plain": "<Figure size 640x480>"}
    return {
        "cell_type": "code",
        "metadata": {},
        "execution_count": number + 1,
        "source": _CODE.format(number=number),
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": f"0.1{number} 1.{number}\n"},
            {"output_type": "display_data", "metadata": {}, "data": shown},
        ],
    }
