"""Rows that are asked for with every request, as they were read last. Nobody but this process writes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

_Row = TypeVar("_Row")
_MOST_ROWS = 1000


class Remembered(Generic[_Row]):
    """Rows by their key. What is read while anything is being written may be out of date, and is not kept."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self.writes = 0

    def get(self, key: str) -> _Row | None:
        """Return a row that is known."""
        return self._rows.get(key)

    def keep(self, key: str, row: _Row, writes: int) -> None:
        """Keep a row that was read when there had been this many `writes`."""
        if writes != self.writes:
            return
        if len(self._rows) >= _MOST_ROWS:
            self._rows.clear()
        self._rows[key] = row

    @contextmanager
    def changing(self, key: str) -> Iterator[None]:
        """Forget a row when the block ends, whether or not it was written."""
        try:
            yield
        finally:
            self.writes += 1
            self._rows.pop(key, None)
