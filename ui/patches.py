"""What a page must be told when a view follows another: only what changed. Pure.

A line of the live door is one JSON object. `order` lists the messages with the keys of their blocks, when it changed;
`set` has of each changed block its HTML, or `[start, end, text]`: what stands between two places is now this. Places
count as JavaScript counts, in units of UTF-16.
"""

from __future__ import annotations

from typing import Any

from ui.render import Rendered

# A shorter block is sent whole.
MIN_PATCHED = 512

Line = dict[str, Any]


class Sent:
    """What a page has been told."""

    def __init__(self) -> None:
        self._order: list[Any] | None = None
        self._blocks: dict[str, str] = {}
        self._state: Line = {}

    def line(self, messages: list[Rendered] | None, state: Line) -> Line:
        """Return what has to be said for the page to show these messages; empty when nothing has."""
        told: Line = {}
        if messages is not None:
            told = self._told(messages)
        changed = {name: value for name, value in state.items() if self._state.get(name, None) != value}
        if changed:
            self._state |= changed
            told["state"] = changed
        return told

    def _told(self, messages: list[Rendered]) -> Line:
        told: Line = {}
        order = [[message.id, message.role, list(message.blocks)] for message in messages]
        if order != self._order:
            told["order"] = self._order = order
        blocks = {key: html for message in messages for key, html in message.blocks.items()}
        changed = {
            key: change(self._blocks.get(key), html) for key, html in blocks.items() if self._blocks.get(key) != html
        }
        self._blocks = blocks
        return told | ({"set": changed} if changed else {})


def change(old: str | None, new: str) -> str | list[Any]:
    """Return the new text, or what of the old one it replaces, whichever is shorter."""
    if old is None or len(new) < MIN_PATCHED:
        return new
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    inserted = new[start : len(new) - end]
    if len(inserted) > len(new) // 2:
        return new
    return [_units(old[:start]), _units(old[: len(old) - end]), inserted]


def _alike(one: str, other: str) -> int:
    """Return how long the beginning is that both share; by halving, as comparing is what Python does fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
