"""What a session used, in a line: how full the model's window is, and the tokens and cost until now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from ui import words


def meter(usage: Mapping[str, Any] | None) -> str:
    """Return the meter; empty where nothing is known."""
    said = usage or {}
    filled, window = _number(said.get("window_tokens")), _number(said.get("window"))
    pieces: list[str] = []
    if filled and window:
        part = min(1.0, filled / window)
        text = words.METER_WINDOW.format(filled=count_words(filled), window=count_words(window))
        tone = " gb-nearly-full" if part > 0.85 else ""
        bar = f'<span class="gb-bar{tone}" aria-hidden="true"><i style="width:{max(2, round(part * 100))}%"></i></span>'
        pieces.append(f'<span title="{escape(words.METER_WINDOW_WHY)}">{bar}{escape(text)}</span>')
    tokens = _number(said.get("tokens_in")) + _number(said.get("tokens_out"))
    if tokens:
        text = words.METER_TOKENS.format(count=count_words(tokens))
        why = words.METER_TOKENS_WHY.format(
            asked=f"{int(_number(said.get('tokens_in'))):,}", answered=f"{int(_number(said.get('tokens_out'))):,}"
        )
        pieces.append(f'<span class="gb-spent" title="{escape(why)}">{escape(text)}</span>')
    cost = _number(said.get("cost"))
    if cost:
        text = words.METER_COST.format(cost=f"{cost:.2f}" if cost >= 0.1 else f"{cost:.4f}")
        pieces.append(f'<span class="gb-spent">{escape(text)}</span>')
    return "".join(pieces)


def count_words(count: float) -> str:
    """Return a number of tokens for people: 950, 1.2k, 45k, 1.3M."""
    if count < 1000:
        return str(round(count))
    amount, unit = (count / 1000, "k") if count < 999_500 else (count / 1_000_000, "M")
    return f"{amount:.1f}{unit}" if amount < 9.95 else f"{amount:.0f}{unit}"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0
