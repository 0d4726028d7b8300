"""Sizes, durations and ages in words. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from ui import words


def size_words(size: int) -> str:
    """Return a file's size for people, as `du -h` counts."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in ("KB", "MB", "GB", "TB"):
        amount /= 1024
        if amount < 999.5 or unit == "TB":
            return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
    raise AssertionError("unreachable")


def duration_words(seconds: float) -> str:
    """Return a duration for people: 0.4 s, 12 s, 3 min 5 s."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def age_words(moment: str, now: datetime) -> str:
    """Return how long ago an RFC 3339 moment was; empty when it cannot be read."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    minutes = int((now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds() // 60)
    if minutes < 1:
        return words.JUST_NOW
    if minutes < 60:
        return words.MINUTES_AGO.format(count=minutes)
    if minutes < 24 * 60:
        return words.HOURS_AGO.format(count=minutes // 60)
    days = minutes // (24 * 60)
    return words.YESTERDAY if days == 1 else words.DAYS_AGO.format(count=days)
