"""The page before the first question: what can be asked, with examples that run on a table that ships. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

from ui import words

TABLE = Path(__file__).parent / "examples" / "bike_rentals.csv"
_ICONS = ("chart", "table", "sheet")


@dataclass(frozen=True, slots=True)
class Example:
    """An example: what is asked, and of which table."""

    title: str
    question: str
    table: Path


def examples() -> list[Example]:
    """Return the examples; the demo model knows an answer to each."""
    return [Example(title, question, TABLE) for title, question in words.EXAMPLES]


def welcome() -> str:
    """Return what stands where the conversation will be."""
    cards = "".join(
        f'<button type="button" class="gb-example" data-act="example" data-number="{number}">'
        f'<i data-icon="{_ICONS[number % len(_ICONS)]}" aria-hidden="true"></i><b>{escape(each.title)}</b>'
        f"<small>{escape(each.question)}</small></button>"
        for number, each in enumerate(examples())
    )
    return (
        f'<div class="gb-welcome"><h2>{escape(words.WELCOME_TITLE)}</h2><p>{words.WELCOME}</p>'
        f'<div class="gb-examples">{cards}</div><p class="gb-hint">{words.EXAMPLES_TABLE}</p></div>'
    )
