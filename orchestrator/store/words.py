"""Text of any kind in both databases: PostgreSQL's cannot hold U+0000, which code and names can."""

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, String, Text
from sqlalchemy.types import TypeDecorator

_ESCAPE = "\x1a"  # "substitute": of all characters the one that texts have the least use for
_ESCAPED = re.compile(f"{_ESCAPE}([01])")


def escaped(text: str) -> str:
    """Return a text without U+0000, from which `unescaped` makes the same again."""
    if "\x00" not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, f"{_ESCAPE}1").replace("\x00", f"{_ESCAPE}0")


def unescaped(text: str) -> str:
    """Return what a text was before it was escaped."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: "\x00" if match[1] == "0" else _ESCAPE, text)


class LongText(TypeDecorator[str]):
    """A text of any length. SQLite keeps every text as it is, and pays nothing for this."""

    impl: type[String] = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        """Return what is done to a value on its way into the database."""
        return _if_any(escaped) if dialect.name == "postgresql" else None

    def result_processor(self, dialect: Dialect, _coltype: object) -> Callable[[Any], Any] | None:
        """Return what is done to a value on its way out."""
        return _if_any(unescaped) if dialect.name == "postgresql" else None


class ShortText(LongText):
    """A text of bounded length. The bound is checked where it comes in; a database may check it again."""

    impl: type[String] = String
    cache_ok = True


def _if_any(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else value
