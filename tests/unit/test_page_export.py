"""A conversation as a page and as Markdown: readable, and inert whatever a sandbox, a model or a person wrote."""

import json
import re
from base64 import b64decode
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator.notebook.ansi import coloured, plain
from orchestrator.notebook.export import notebook
from orchestrator.notebook.fences import code_span, contained, fenced, quoted
from orchestrator.notebook.highlight import highlighted
from orchestrator.notebook.markdown import markdown
from orchestrator.notebook.page import POLICY, page
from orchestrator.notebook.timeline import timeline
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = SessionRecord("s", "local", "Sales <b>", "standard", 200_001, "token", "kernel", START, START)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</pre></code></style></title><svg onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href='https://evil.example/'><link rel=stylesheet href=//evil.example/x>",
    "![x](https://evil.example/p.png) [a](javascript:alert(1)) <javascript:alert(1)>",
    "[a]( JaVaScRiPt:alert(1)) [b](data:text/html;base64,PHNjcmlwdD4=) [c](vbscript:x) [d](//evil.example)",
    '![a"onerror="alert(1)](data:image/png;base64,AA"onerror="alert(1))',
    '[a](https://ok.example "t" onclick=alert(1))\n\n[x]: javascript:alert(1)\n\n[x]',
    '```html\n<script>alert(1)</script>\n```\n\n~~~"onload=alert(1)\n<svg onload=alert(1)>',
    "\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07 \x1b[31m<script>\x1b[0m",
    '" autofocus onfocus=alert(1) x="',
    "<table><tr><td><form action=https://evil.example><input name=a></form></td></tr></table>",
]
# What a page of ours is made of; nothing else may come to be in it.
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "details", "summary", "h1", "h2"),
    *(
        "h3",
        "h4",
        "h5",
        "h6",
        "p",
        "ul",
        "ol",
        "li",
        "pre",
        "code",
        "span",
        "div",
        "img",
        "iframe",
        "a",
        "em",
        "strong",
    ),
    *("s", "blockquote", "hr", "br", "table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "style", "src", "alt", "width", "height"),
    *("sandbox", "title", "srcdoc", "href", "rel", "start"),
}


class Tags(HTMLParser):
    """Gathers what a browser would see in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def tags(html: str) -> Tags:
    parser = Tags()
    parser.feed(html)
    parser.close()
    return parser


def assert_inert(html: str) -> None:
    for tag, attributes in tags(html).found:
        assert tag in TAGS, tag
        assert set(attributes) <= ATTRIBUTES, attributes
        if tag == "iframe":
            assert attributes["sandbox"] == ""
        if tag == "img":
            assert re.match(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]*$", attributes["src"] or "")
        if tag == "a":
            assert not re.match(
                r"\s*(javascript|data:text|vbscript|//|\\)", attributes.get("href") or "", re.IGNORECASE
            )
            assert attributes["rel"] == "noopener noreferrer"
        if tag == "meta" and "http-equiv" in attributes:
            assert attributes["content"] == POLICY
        if "style" in attributes:
            assert re.fullmatch(r"(?:(?:background-)?color:#[0-9a-f]{6};?)+|text-align:\w+", attributes["style"] or "")


def conversation(*outputs: dict[str, Any], question: str = "Why?", parts: list[dict[str, Any]] | None = None) -> Any:
    cell = CellRecord("c" * 32, "s", "a", "print('é')  # done", START, "ok", 1, list(outputs))
    listed = [{"type": "cell", "round": 0, "cell_id": cell.cell_id}] if parts is None else parts
    messages = [
        MessageRecord("q", "s", "user", START, content=question, attachments=["a.csv"]),
        MessageRecord("a", "s", "assistant", START, parts=listed),
    ]
    return messages, [cell]


def shown(**data: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {name.replace("_", "/"): one for name, one in data.items()}}


def of(mime_type: str, value: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {mime_type: value}, "metadata": {}}


def as_page(*outputs: dict[str, Any], **fields: Any) -> str:
    html = page(SESSION, *conversation(*outputs, **fields)).decode()
    assert_inert(html)
    return html


def as_markdown(*outputs: dict[str, Any], **fields: Any) -> str:
    return markdown(SESSION, *conversation(*outputs, **fields)).decode()


def everywhere(text: str) -> Any:
    """Return a conversation with a text in each place that somebody else can write to."""
    parts = [
        {"type": "text", "round": 0, "text": text, "reasoning": text},
        {"type": "cell", "round": 0, "cell_id": "c" * 32},
        {"type": "notice", "code": text, "text": text},
        {"type": "waiting_call", "call_id": text, "code": text},
        {"type": "rejected_call", "name": text, "reason": text, "arguments": text, "call_id": text},
        {"type": "rejected_call", "name": "python", "reason": text, "arguments": "", "call_id": text, "code": text},
        {"type": "of the future", "text": text},
    ]
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "name": "stdout", "text": text},
        {"output_type": "stream", "name": text, "text": text},
        {"output_type": "error", "ename": text, "evalue": text, "traceback": [text, text]},
        {"output_type": "execute_result", "data": {"text/plain": text}, "metadata": {}, "execution_count": 1},
        {"output_type": "display_data", "data": {"image/png": PIXEL}, "metadata": {"image/png": {"width": text}}},
        of("application/json", {text: [text]}),
        of("application/vnd.plotly.v1+json", {"data": text}),
        *(of(kind, text) for kind in ("text/html", "text/markdown", "text/latex", "image/svg+xml", "image/png")),
    ]
    cell = CellRecord("c" * 32, "s", "a", text, START, text, 1, outputs)
    messages = [
        MessageRecord("q", "s", "user", START, content=text, attachments=[text]),
        MessageRecord("a", "s", "assistant", START, parts=parts, problem={"detail": text}),
    ]
    return SessionRecord("s", "o", text, "standard", 1, "t", "k", START, START), messages, [cell]


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_hostile_becomes_markup_of_the_page(evil: str) -> None:
    html = page(*everywhere(evil)).decode()
    assert_inert(html)
    frames = [attributes["srcdoc"] or "" for tag, attributes in tags(html).found if tag == "iframe"]
    assert all(POLICY in frame.split("<style>")[0] for frame in frames)


TEXTS = st.lists(
    st.sampled_from(
        [*EVIL, "`", "```", "\n", "> ", "- ", "<!--", "|a|b|\n|-|-|\n", "    ", "\x1b[38;5;9m", "\r", "\ud800"]
    )
    | st.text(max_size=8)
).map("".join)


@settings(max_examples=50)
@given(TEXTS)
def test_any_text_leaves_the_page_inert_and_the_notebook_valid(text: str) -> None:
    session, messages, cells = everywhere(text)
    assert_inert(page(session, messages, cells).decode())
    markdown(session, messages, cells)
    if "\ud800" not in text:  # nothing is stored with such
        notebook(session, messages, cells)


def test_the_policy_comes_before_all_else_and_lets_nothing_run_or_load() -> None:
    html = as_page()
    assert html.index("Content-Security-Policy") < html.index("<title>")
    assert "default-src 'none'" in POLICY
    assert "script" not in POLICY
    assert "http:" not in POLICY


def test_pictures_are_in_the_page_itself() -> None:
    html = as_page(of("image/png", PIXEL[:40] + "\n" + PIXEL[40:]))
    assert f'src="data:image/png;base64,{PIXEL}"' in html
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    html = as_page(of("image/svg+xml", svg))
    assert "<svg" not in html
    (source,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', html)
    assert b64decode(source).decode() == svg


def test_a_table_lies_in_a_frame_in_which_nothing_runs_and_is_as_high_as_it_needs() -> None:
    table = "<table>" + "<tr><td>1</td></tr>" * 5 + "</table>"
    ((_, frame),) = [found for found in tags(as_page(of("text/html", table))).found if found[0] == "iframe"]
    assert (frame["sandbox"], frame["height"]) == ("", str(28 * 7))
    assert (frame["srcdoc"] or "").endswith(table)
    assert "<iframe" not in as_page(shown(text_html="<div></div><script>draw()</script>", text_plain="a map"))


def test_colours_are_spans() -> None:
    html = as_page(
        {"output_type": "stream", "name": "stdout", "text": "\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;300mx\x1b[m<"}
    )
    assert '<span class="ansi-bold ansi-f1">red</span> <span style="color:#0102ff">x</span>&lt;' in html


@pytest.mark.parametrize(
    ("text", "html", "bare"),
    [
        ("a\x1b[32mb\x1b[39mc", 'a<span class="ansi-f2">b</span>c', "abc"),
        ("\x1b[95;44mx", '<span class="ansi-f13 ansi-b4">x</span>', "x"),
        ("\x1b[38;5;196mx\x1b[0m", '<span style="color:#ff0000">x</span>', "x"),
        ("\x1b[48;5;244mx", '<span style="background-color:#808080">x</span>', "x"),
        ("\x1b[38;5mx\x1b[38mx\x1b[;;;mx", "xxx", "xxx"),
        ("10%\r50%\r100%\n", "100%\n", "100%\n"),
        ("a\r\nb", "a\nb", "a\nb"),
        ("\x1b[2K\x1b[1Aup\x1b]0;title\x07\x08\x00", "up", "up"),
        ("\x9b31mx \x1b", "x ", "x "),
    ],
)
def test_escape_sequences(text: str, html: str, bare: str) -> None:
    assert (re.sub(r'<span class="">|(?<=x)</span>(?=$)', lambda m: m[0], coloured(text)), plain(text)) == (html, bare)


@given(st.text(alphabet="\x1b[]0123456789;:mKHJ<>&\"'\x07\x9b\r\n\x08a", max_size=80))
def test_no_sequence_is_left_or_makes_markup(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain(text))
    found = tags(coloured(text))
    assert {tag for tag, _ in found.found} <= {"span"}
    assert found.text == plain(text)


def test_the_model_may_write_markdown_and_the_person_too() -> None:
    text = "# Title\n\n**bold** `code` [l](https://ok.example)\n\n|a|b|\n|-|-|\n|1|2|\n\n```python\nimport os\n```"
    html = as_page(question=text, parts=[{"type": "text", "round": 0, "text": text}])
    for piece in ("<h1>Title</h1>", "<strong>bold</strong>", 'href="https://ok.example"', "<td>1</td>"):
        assert html.count(piece) == 2
    assert html.count('<span class="keyword">import</span> os') == 2


def test_links_into_the_workspace_become_relative() -> None:
    text = "[it](sandbox:/mnt/data/d/a.csv) ![p](sandbox:/mnt/data/p.png)"
    parts = [{"type": "text", "round": 0, "text": text}]
    assert 'href="d/a.csv"' in as_page(parts=parts)
    assert 'href="p.png"' in as_page(parts=parts)
    assert "[it](d/a.csv) ![p](p.png)" in as_markdown(parts=parts)


def test_what_the_model_thought_what_waits_and_what_is_said_are_there() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "text", "round": 0, "text": "So.", "reasoning": "Hmm."},
        {"type": "notice", "code": "reply_cut", "text": "It broke off."},
        {"type": "waiting_call", "call_id": "1", "code": "x = 1"},
        {"type": "rejected_call", "name": "browse", "reason": "no tool", "arguments": "", "call_id": "2"},
        {"type": "rejected_call", "name": "python", "reason": "It was refused.", "call_id": "3", "code": "y = 2"},
    ]
    html, text = as_page(parts=parts), as_markdown(parts=parts)
    for piece in ("Hmm.", "So.", "It broke off.", "Not run yet", "no tool", "It was refused."):
        assert piece in html
        assert piece in text
    assert '<details class="reasoning">' in html
    cells = json.loads(notebook(SESSION, *conversation(parts=parts)))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown"] * 5 + ["code"]  # the cell that is no part stands last
    assert cells[2]["metadata"]["glovebox"] == {"role": "answer", "reasoning": "Hmm."}


@pytest.mark.parametrize(("status", "said"), [("stopped", "was stopped"), ("lost", "restarted"), ("done", None)])
def test_how_an_answer_ended_is_said(status: str, said: str | None) -> None:
    message = MessageRecord("a", "s", "assistant", START, status=status)
    notes = [entry.text for entry in timeline([message], [])]  # type: ignore[union-attr]
    assert (said in notes[0]) if said else (notes == [])


def test_markdown_has_pictures_printed_text_and_no_colours() -> None:
    text = as_markdown(
        {"output_type": "stream", "name": "stdout", "text": "\x1b[31mred\x1b[0m\n"},
        of("image/png", PIXEL),
        of("image/png", ")](https://evil.example) "),
        of("application/vnd.plotly.v1+json", {}),
        of("text/html", "<b>x</b>"),
    )
    assert "\x1b" not in text
    assert "```text\nred\n```" in text
    assert f"![output](data:image/png;base64,{PIXEL})" in text
    assert "evil" not in text
    assert "<b>" not in text
    assert text.startswith("# Sales \\<b\\>\n\n## You\n\n> Why?")


GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(st.text(alphabet="`~\n a", max_size=60))
def test_a_fence_is_longer_than_any_run_within(text: str) -> None:
    tokens = GITHUB.parse(f"{fenced(text, 'python')}\n\nafter")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    expected = text if text.endswith("\n") or not text else text + "\n"
    assert tokens[0].content == expected
    assert "`" in code_span(text)


PIECES = [
    "```",
    "~~~",
    "````",
    "\n",
    "\n\n",
    "> ",
    "- ",
    "1. ",
    "  ",
    "    ",
    "\t",
    "<!--",
    "<div>",
    "<script>",
    "<pre>",
    "a",
]
PIECES += ["-->", "<?php", "<![CDATA[", "|a|\n|-|\n", "[a]: x '", "# ", "---", "`", "***", "\\"]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=25).map("".join))
def test_a_text_takes_nothing_of_what_follows(text: str) -> None:
    for held in (contained(text), quoted(text)):
        tokens = GITHUB.parse(f"{held}\n\nafter")
        assert (tokens[-2].content, tokens[-1].level) == ("after", 0)


def test_a_code_block_that_was_cut_off_is_closed_and_all_else_stays() -> None:
    assert contained("So:\n```python\nx = 1") == "So:\n```python\nx = 1\n```"
    assert contained("~~~~\nx\n~~~") == "~~~~\nx\n~~~\n~~~~"
    assert contained("**fine**\n\n- a\n- b") == "**fine**\n\n- a\n- b"
    assert contained("<!-- hidden") == "> <!-- hidden"
    assert contained("`" * 3 + "x" * 300_000).startswith("> ```")


@given(st.text(alphabet="'\"#\\\n rbf<>&abc(1", max_size=80) | st.text(max_size=40))
def test_highlighting_changes_no_character(code: str) -> None:
    found = tags(highlighted(code))
    assert found.text == code.replace("\r\n", "\n") or "\r" in code or "\x00" in code
    assert {tag for tag, _ in found.found} <= {"span"}


def test_a_text_that_is_too_long_to_be_rendered_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    html = as_page(parts=[{"type": "text", "round": 0, "text": "[" * 60_000}])
    assert '<pre class="text">' + "[" * 60_000 in html
    monkeypatch.setattr("orchestrator.notebook.rendered._MOST_CHARS_TOGETHER", 1000)
    many = [{"type": "text", "round": 0, "text": "*a* " * 50} for _ in range(8)]
    assert as_page(parts=many).count('<pre class="text">') == 4
