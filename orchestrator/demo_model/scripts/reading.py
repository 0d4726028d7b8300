"""The code that reads a table of whatever format, or makes a small one where there is none."""

from pathlib import PurePosixPath

from orchestrator.demo_model.scripts import literal

# What a text file is like, it must tell itself: its encoding, separator, decimal sign, and whether it has a header.
_TEXT = """\
import csv
import io
import re
from collections import Counter
from pathlib import Path

import pandas as pd


def is_number(field):
    try:
        float(field.replace(",", "."))
    except ValueError:
        return False
    return True


def read_text_table(path):
    raw = Path(path).read_bytes()
    for encoding in ("utf-8-sig", "gb18030", "latin-1"):
        try:
            lines = [line for line in raw.decode(encoding).splitlines() if line.strip()]
            break
        except UnicodeDecodeError:
            continue
    sample = lines[:50]
    if not sample:
        raise ValueError(f"{path} is empty")

    def split(separator):
        if separator == r"\\s+":
            return [line.split() for line in sample]
        return list(csv.reader(sample, delimiter=separator))

    def regularity(separator):
        width, count = Counter(len(row) for row in split(separator)).most_common(1)[0]
        return (count, width) if width > 1 and count > len(sample) / 2 else (0, 1)

    # The right separator cuts most lines into the same number of fields.
    separator = max((",", ";", "\\t", "|"), key=regularity)
    if regularity(separator) == (0, 1):
        separator = r"\\s+"
    rows, width = split(separator), regularity(separator)[1]
    if width == 1:  # a single column, or prose
        has_header = not is_number(lines[0])
        values = lines[1:] if has_header else lines
        if all(is_number(value) for value in values):
            values = [float(value.replace(",", ".")) for value in values]
        return pd.DataFrame({lines[0] if has_header else "column_1": values})

    # Some files begin with a line that is no header, such as scikit-learn's own: "569,30,malignant,benign".
    skip = len(rows) > 1 and (len(rows[0]) < width or rows[0][0] == str(len(lines) - 1))
    if skip:
        print("skipped the first line, it is no header:", lines[0])
    has_header = not all(is_number(field) for field in rows[1 if skip else 0])
    shown = " ".join(sample)
    decimal_comma = separator != "," and re.search(r"\\d,\\d", shown) and not re.search(r"\\d\\.\\d", shown)
    table = pd.read_csv(
        io.StringIO("\\n".join(lines[1:] if skip else lines)),
        sep=separator,
        header=0 if has_header else None,
        decimal="," if decimal_comma else ".",
        skipinitialspace=True,
    )
    if not has_header:
        table.columns = [f"column_{number}" for number in range(1, table.shape[1] + 1)]
    return table


table = read_text_table(NAME)
"""

_EXCEL = """\
import pandas as pd

table = pd.read_excel(NAME)
table.columns = table.columns.map(str)
"""

_PARQUET = """\
import pandas as pd

table = pd.read_parquet(NAME)
"""

_JSON = """\
import json
from pathlib import Path

import pandas as pd

text = Path(NAME).read_text(encoding="utf-8-sig")
try:
    content = json.loads(text)
except json.JSONDecodeError:
    content = [json.loads(line) for line in text.splitlines() if line.strip()]  # one object a line
try:
    table = pd.DataFrame(content)
except ValueError:
    table = pd.json_normalize(content)
# What is nested is shown as its text.
table = table.map(lambda value: str(value) if isinstance(value, (list, dict)) else value)
"""

_SYNTHETIC = """\
import numpy as np
import pandas as pd

# No table was uploaded, so here is a made-up one: flats, and what they are let for.
random = np.random.default_rng(7)
area = random.normal(70, 18, 120).clip(25, 140).round(1)
rooms = (area / 24).round().astype(int)
minutes_to_centre = random.uniform(3, 45, 120).round()
rent = (9.5 * area + 40 * rooms - 6 * minutes_to_centre + 180 + random.normal(0, 60, 120)).round()
table = pd.DataFrame({"area": area, "rooms": rooms, "minutes_to_centre": minutes_to_centre, "rent": rent})
"""

_BY_KIND = {".xlsx": _EXCEL, ".xls": _EXCEL, ".parquet": _PARQUET, ".json": _JSON, ".jsonl": _JSON}


def reading(name: str | None) -> str:
    """Return code that sets `table` (a pandas DataFrame) and imports pandas as `pd`.

    Args:
        name: the table's file in the workspace; None makes a small synthetic table.
    """
    if name is None:
        return _SYNTHETIC
    return _BY_KIND.get(PurePosixPath(name).suffix.lower(), _TEXT).replace("NAME", literal(name))
