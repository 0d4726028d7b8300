"""The measurements as a table for people and as JSON for everything else."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.figures import Comparison

_HEADINGS = ("", "unit", "glovebox p50", "p95", "n", "floor p50", "p95", "n", "ratio", "asked", "")


def as_json(host: dict[str, str | int], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return what `--json` writes."""
    return {"host": host, "results": [asdict(figure) for item in comparisons for figure in item.figures()]}


def as_table(host: dict[str, str | int], comparisons: Sequence[Comparison]) -> str:
    """Return a line about the host and the table."""
    rows = [_HEADINGS] + [_row(item) for item in comparisons]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [", ".join(f"{name} {value}" for name, value in host.items()), ""]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _row(item: Comparison) -> tuple[str, ...]:
    glovebox, floor = item.figures()
    verdict = "" if item.bound is None else "missed" if item.broken else "kept"
    return (
        item.name,
        item.unit,
        _short(glovebox.p50),
        _short(glovebox.p95),
        str(glovebox.n),
        _short(floor.p50),
        _short(floor.p95),
        str(floor.n),
        f"{item.ratio:.2f}x",
        "" if item.bound is None else f"<= {item.bound:g}x",
        verdict,
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
