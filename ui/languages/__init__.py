"""In which language the page speaks: the words of `words.py` and `panel_words.py`, or a translation of them.

Theory of operation. The words modules are English. Each file `<language>.json` beside this one translates them: the
constant's name, and its text. What a translation lacks is said in English. Which language is meant is a context
variable that lasts as long as one request; `SpokenModule` looks there whenever somebody reads `words.X`. So a word is
read when it is said, in a function, and never when a module is imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from starlette.requests import cookie_parser

ENGLISH = "en"
# Kept by the browser for whoever chose a language, so that every request says it, also the one for the login page.
COOKIE = "glovebox-language"
_HERE = Path(__file__).parent
_LASTS_S = 365 * 24 * 3600
_SPOKEN: ContextVar[str] = ContextVar("language", default=ENGLISH)


@cache
def names() -> tuple[str, ...]:
    """Return the languages that there are, English first."""
    return ENGLISH, *sorted(path.stem for path in _HERE.glob("*.json"))


@cache
def texts(language: str) -> dict[str, Any]:
    """Return a translation; English has none."""
    if language == ENGLISH or language not in names():
        return {}
    found: dict[str, Any] = json.loads((_HERE / f"{language}.json").read_text(encoding="utf-8"))
    return found


def spoken() -> str:
    """Return the language of this request."""
    return _SPOKEN.get()


def speak(language: str) -> None:
    """Speak this language until the end of this request."""
    _SPOKEN.set(language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak this language for a while."""
    token = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def known(tag: str | None) -> str | None:
    """Return which of our languages a tag like `zh-CN` means."""
    name = (tag or "").strip().lower()
    return next((each for each in (name, name.split("-")[0]) if each in names()), None)


def wanted(headers: Mapping[str, str]) -> str:
    """Return the language that a request wants: what its reader chose, else the first that the browser names."""
    chosen = known(cookie_parser(headers.get("cookie", "")).get(COOKIE))
    return chosen or accepted(headers.get("accept-language", ""))


def accepted(header: str) -> str:
    """Return which of our languages a browser wants most: of those it names, the first that there is."""
    for each in header.split(","):
        if found := known(each.split(";")[0]):
            return found
    return ENGLISH


def cookie(language: str | None, path: str = "/") -> str:
    """Return a Set-Cookie header that has the browser bring a language; None makes it forget."""
    lasts = _LASTS_S if language else 0
    return f"{COOKIE}={language or ''}; Path={path}; HttpOnly; SameSite=Strict; Max-Age={lasts}"


class SpokenModule(ModuleType):
    """A module of English constants, which are read in the language of the request."""

    def __getattribute__(self, name: str) -> Any:
        english = super().__getattribute__(name)
        if not name[:1].isupper():
            return english
        found = texts(_SPOKEN.get()).get(name)
        if found is None:
            return english
        if isinstance(english, dict):
            return english | found
        return tuple(found) if isinstance(english, tuple) else found
