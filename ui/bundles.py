"""Which of Gradio's scripts and styles a page will ask for, read out of the bundles themselves. Pure but for reading.

Its bundler (Vite) lists beside each late import what that one needs. A browser finds these lists one after the other,
each only when the last has run; told in the document, all of it comes at once. Where a list is not understood, because
a later Gradio writes it otherwise, less is told and the page is only slower: a unit test says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

_ENTRY = re.compile(r'(?:src|href)="\./assets/([\w.-]+\.(?:js|css))"')
_FILES = re.compile(r"m\.f=\[([^\]]*)\]")
_FILE = re.compile(r'"\./([\w.-]+)"')
_IMPORT = re.compile(r"import\(`\./([\w.-]+)`\)[^`]{0,60}?__vite__mapDeps\(\[([\d,]*)\]\)")
# How Gradio names what begins every page, each imported by the one before, and the bundle that knows all components.
_BEGINNING, _COMPONENTS = ("index-", "Index-", "Blocks-"), "core-"


def needed(index: Path, kinds: Iterable[str]) -> list[str]:
    """Return the names of the bundles that a page of these kinds of components asks for, in that order."""
    assets = index.parent / "assets"
    found = dict.fromkeys(_ENTRY.findall(index.read_text(encoding="utf-8")))
    for importing, imported in pairwise(_BEGINNING):
        for name in _scripts(found, importing):
            for late, files in _imports(_text(assets / name)):
                found |= dict.fromkeys(files if late.startswith(imported) else ())
    for name in _scripts(found, _COMPONENTS):
        text = _text(assets / name)
        for kind in kinds:
            if entry := re.search(rf"\b{re.escape(kind)}:\{{[^{{}}]*?(component:[^{{}}]*)\}}", text):
                found |= dict.fromkeys(file for _, files in _imports(entry[1], text) for file in files)
    return [name for name in found if (assets / name).is_file()]


def _scripts(names: Iterable[str], beginning: str) -> list[str]:
    return [name for name in names if name.startswith(beginning) and name.endswith(".js")]


def _imports(text: str, whole: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Yield the late imports of a bundle, or of a part of it, each with all that it needs."""
    listed = _FILES.search(whole or text)
    files = _FILE.findall(listed[1]) if listed else []
    for late, numbers in _IMPORT.findall(text):
        needs = [files[int(number)] for number in numbers.split(",") if number and int(number) < len(files)]
        yield late, [late, *needs]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
