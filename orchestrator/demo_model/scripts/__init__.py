"""The Python code of the scripted cells: one module an analysis. Pure functions that return source text.

The code is written to give the same outputs each time it runs (fixed seeds, no times, no addresses, no warnings with
a path in them), so that an exported notebook, run again, shows what the conversation showed.
"""

import json

# What the cells write. These names are fixed, so that the answers can link to them.
OWN_FILES = frozenset({"predictions.csv", "regression.png", "demo_report.csv", "demo_report.xlsx"})


def literal(text: str) -> str:
    """Return a Python string literal; a file's name is the user's and may hold anything."""
    # A JSON string is a Python string, too, and keeps the double quotes that the rest of the code has.
    return json.dumps(text, ensure_ascii=False)
