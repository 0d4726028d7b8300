r"""Formulas in Markdown: `$…$`, `$$…$$`, `\(…\)` and `\[…\]` become elements that conversation.js has KaTeX draw."""

from __future__ import annotations

import re
from html import escape

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

MAX_FORMULA = 8 * 1024

# As Pandoc reads them: `$5 and $6` are prices. What is not closed is text.
_DOLLARS = re.compile(r"\$\$(?P<display>[^$]+?)\$\$|\$(?!\s)(?P<inline>(?:[^$\\\n]|\\.)+?)(?<!\s)\$(?!\d)", re.DOTALL)
_BRACKETS = re.compile(r"\\\[(?P<display>.+?)\\\]|\\\((?P<inline>.+?)\\\)", re.DOTALL)


def formula(tex: str, *, display: bool) -> str:
    """Return a formula's element; until KaTeX has drawn it, and where it cannot, it shows its source."""
    tex = tex.strip()[:MAX_FORMULA]
    kind = " gb-display" if display else ""
    return f'<span class="gb-math{kind}" data-tex="{escape(tex)}">{escape(tex)}</span>'


def add_formulas(markdown: MarkdownIt) -> None:
    """Teach a reader of Markdown what formulas are."""
    markdown.inline.ruler.before("escape", "formula", _inline)
    markdown.block.ruler.before("fence", "formula", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    markdown.add_render_rule("formula", _rendered)


def _inline(state: StateInline, silent: bool) -> bool:  # noqa: FBT001
    pattern = {"$": _DOLLARS, "\\": _BRACKETS}.get(state.src[state.pos])
    found = pattern.match(state.src, state.pos, state.posMax) if pattern else None
    if found is None:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content = found["display"] or found["inline"]
        token.meta = {"display": found["display"] is not None}
    state.pos = found.end()
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """Read a formula over several lines, which would else be taken for a list or a heading."""
    closing = {"$$": "$$", "\\[": "\\]"}.get(_text(state, start)[:2])
    if closing is None or state.is_code_block(start):
        return False
    first = _text(state, start)[2:].rstrip()
    lines, line = [first], start
    while not lines[-1].rstrip().endswith(closing):
        line += 1
        if line >= end or state.isEmpty(line):
            return False
        lines.append(_text(state, line))
    if silent:
        return True
    state.line = line + 1
    token = state.push("formula", "", 0)
    token.block = True
    token.content = "\n".join(lines).rstrip().removesuffix(closing)
    token.meta = {"display": True}
    return True


def _text(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _rendered(renderer: object, tokens: list, at: int, options: object, env: object) -> str:  # type: ignore[type-arg]
    element = formula(tokens[at].content, display=tokens[at].meta["display"])
    return f"<p>{element}</p>\n" if tokens[at].block else element
