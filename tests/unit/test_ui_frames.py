"""The documents of frames: what a cell displayed is data there, and nothing runs but our own scripts (THREATS W5)."""

import gzip
import json
import re
import tomllib
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import ROOT
from ui.frames import document, policy, scripts
from ui.vega import VEGA_LITE

KINDS = ("html", "plotly", "table", "vega")
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "--><script>alert(1)</script>",
    "<![CDATA[",
    "\u2028\u2029\\u003c/script>",
    "]]></style></body></html><img src=x onerror=alert(1)>",
]


class Read(HTMLParser):
    """Reads a document as a browser does; keeps its tags and what its scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs).get("type")))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags[-1][0] == "script" and self.scripts:
            self.scripts[-1] += data


def written(kind: str, text: str) -> str:
    if kind == "html":
        return text
    table = {"columns": [text], "rows": [[text]], "numeric": [False], "note": text}
    chart = {"mode": "vega-lite", "spec": {"title": text}}
    return json.dumps({"table": table, "vega": chart}.get(kind, {"data": [{"text": text}], "layout": {text: text}}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_was_displayed_leaves_its_block_of_data(kind: str, text: str) -> None:
    end = gzip.decompress(document(kind, written(kind, text))).decode().rpartition('<script type="application/json"')
    read = Read(end[1] + end[2])
    assert read.tags == [("script", "application/json"), ("script", None), ("script", None)]
    shown = json.loads(read.scripts[0])
    found = {"html": lambda: shown, "plotly": lambda: shown["data"][0]["text"], "table": lambda: shown["note"]}
    found["vega"] = lambda: shown["spec"]["title"]
    assert found[kind]() == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_through_as_it_is(text: str) -> None:
    end = gzip.decompress(document("html", text)).decode().rpartition('<script type="application/json" id="output">')[2]
    data, _, rest = end.partition("</script>")
    assert json.loads(data) == text
    assert rest.count("<script>") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_names_every_script_of_the_document_and_allows_no_other(kind: str) -> None:
    text = gzip.decompress(document(kind, written(kind, "x"))).decode()
    in_it = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert in_it == list(scripts(kind))
    allowed = {word for part in policy(kind).split("; ") if part.startswith("script-src ") for word in part.split()[1:]}
    hashes = {f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in in_it}
    # Plotly compiles its WebGL drawing; nothing else may be made from text.
    assert allowed - hashes == ({"'unsafe-eval'"} if kind == "plotly" else set())
    assert hashes <= allowed


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_leaves_no_way_to_the_network_or_the_page(kind: str) -> None:
    told = dict(part.split(" ", 1) for part in policy(kind).split("; "))
    assert (told["sandbox"], told["frame-ancestors"]) == ("allow-scripts", "'self'")
    never = ("default-src", "connect-src", "form-action", "base-uri")
    assert {told[name] for name in never} == {"'none'"}
    rest = set(told) - {"sandbox", "frame-ancestors", "script-src", "style-src", *never}
    assert {source for name in rest for source in told[name].split()} == {"data:", "blob:"}


def test_the_libraries_are_the_versions_that_the_sandbox_has() -> None:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    ours = next(package["version"] for package in locked if package["name"] == "plotly")
    sandbox = (ROOT / "sandbox_image" / "requirements.txt").read_text()
    assert f"\nplotly=={ours} " in sandbox
    # Altair 6 writes Vega-Lite 6; with another one VEGA_LITE is to be looked at.
    assert VEGA_LITE.startswith("6.") and re.search(r"^altair==6\.", sandbox, re.MULTILINE)


def test_our_scripts_can_stand_in_a_document() -> None:
    """Within a script element, `</script` ends it and `<!--` begins something that hides its end."""
    for script in (script for kind in KINDS for script in scripts(kind)):
        assert not re.search(r"</script|<!--", script, re.IGNORECASE)
        assert "\r" not in script and "\0" not in script
