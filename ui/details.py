"""What the API says in English, said in the reader's language: its sentences, by their form. Pure.

A problem's `code` says what is wrong, and its detail says it with the names and numbers that matter. Beside a language
`details/` may have a file that maps such sentences, with places for what is filled in, to their translations. A text is
looked for as a whole, then sentence by sentence; what nobody translated stays as it is.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from ui import languages

MAX_CHARS = 2000  # more is no sentence of the API's, and is not compared with all of them
_HERE = Path(languages.__file__).parent / "details"
_PLACE = re.compile(r"\{(\w+)\}")
_BETWEEN = re.compile(r"(?<=[.!?]) (?=[A-Z'\"{])")


def translated(text: str) -> str | None:
    """Return a text of the API's in the reader's language; None where it is English, or nobody knows the text."""
    language = languages.spoken()
    if len(text) > MAX_CHARS or not _forms(language):
        return None
    if (whole := _sentence(text, language)) is not None:
        return whole
    pieces = sentences(text)
    found = [_sentence(piece, language) for piece in pieces]
    if not any(found):
        return None
    return "".join(known or f" {piece} " for known, piece in zip(found, pieces, strict=True)).strip()


def in_words(text: str) -> str:
    """Return a text of the API's in the reader's language, else as it is."""
    return translated(text) or text


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, or of a form."""
    return _BETWEEN.split(text)


def forms(language: str) -> dict[str, str]:
    """Return the sentences that a language has, and what each means there."""
    path = _HERE / f"{language}.json"
    if language not in languages.names() or not path.is_file():
        return {}
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _sentence(text: str, language: str) -> str | None:
    for form, meaning in _forms(language):
        if match := form.fullmatch(text):
            return _filled(meaning, match.groupdict())
    return None


def _filled(meaning: str, values: dict[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], meaning)


@cache
def _forms(language: str) -> list[tuple[re.Pattern[str], str]]:
    # Those with the most words of their own first: `{path} is …` fits much.
    ordered = sorted(forms(language).items(), key=lambda item: -len(_PLACE.sub("", item[0])))
    return [(_pattern(form), meaning) for form, meaning in ordered]


def _pattern(form: str) -> re.Pattern[str]:
    pieces = _PLACE.split(form)
    return re.compile(
        "".join(f"(?P<{piece}>.+?)" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces)),
        re.DOTALL,
    )
