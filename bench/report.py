"""The measurements as a table for people and as JSON for everything else."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bench.figures import Comparison, Figure, Measured, NotMeasured

_HEADINGS = ("", "unit", "glovebox p50", "p95", "n", "beside", "p50", "p95", "n", "ratio", "asked", "")
_LEFT = (0, 5)  # columns of words
_VERDICTS = {True: "missed", False: "kept"}


def as_json(host: dict[str, str | int], measured: Sequence[Measured]) -> dict[str, Any]:
    """Return what `--json` writes: each side's figures, what was compared with what, and what could not be had."""
    comparisons = [item for item in measured if isinstance(item, Comparison)]
    return {
        "host": host,
        "results": [asdict(figure) for figure in _figures(comparisons)],
        "comparisons": [
            {
                "name": item.name,
                "beside": item.who if item.other else None,
                "glovebox_p50": item.figure.p50,
                "beside_p50": item.other.p50 if item.other else None,
                "ratio": item.ratio,
                "asked": str(item.bound) if item.bound else None,
                "kept": None if item.bound is None else not item.broken,
                "notes": list(item.notes),
            }
            for item in comparisons
        ],
        "not_measured": [asdict(item) for item in measured if isinstance(item, NotMeasured)],
    }


def as_table(host: dict[str, str | int], measured: Sequence[Measured]) -> str:
    """Return a line about the host, the table, and what could not be had."""
    rows = [_HEADINGS] + [_row(item) for item in measured if isinstance(item, Comparison)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [", ".join(f"{name} {value}" for name, value in host.items()), ""]
    for row in rows:
        padded = [
            cell.ljust(width) if column in _LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    missing = [
        f"{item.name}: {item.who} not measured: {item.why}" for item in measured if isinstance(item, NotMeasured)
    ]
    return "\n".join([*lines, "", *missing] if missing else lines)


def _figures(comparisons: Sequence[Comparison]) -> Iterator[Figure]:
    """Yield each side's figures once."""
    seen: list[Figure] = []
    for item in comparisons:
        for figure in (item.figure, item.other):
            if figure is not None and figure not in seen:
                seen.append(figure)
                yield figure


def _row(item: Comparison) -> tuple[str, ...]:
    ours, other = item.figure, item.other
    beside = ("", "", "", "", "")
    if other is not None:
        beside = (item.who, _short(other.p50), _short(other.p95), str(other.n), f"{ours.p50 / other.p50:.2f}x")
    return (
        item.name,
        item.unit,
        _short(ours.p50),
        _short(ours.p95),
        str(ours.n),
        *beside,
        "" if item.bound is None else str(item.bound),
        "" if item.bound is None else _VERDICTS[item.broken],
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
