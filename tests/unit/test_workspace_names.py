"""Paths of workspace files: what a client may name, what a browser is told of a name, and that nothing escapes."""

import posixpath
import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.errors import BadPath
from orchestrator.limits import PATH_BYTES, PATH_PARTS
from orchestrator.workspace.names import WorkspacePath, attachment_header, is_plain_name, mime_type

# Unicode's own property Bidi_Control (PropList.txt).
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HEADER = re.compile(r"attachment; filename=\"([^\"\\\r\n]*)\"; filename\*=UTF-8''([A-Za-z0-9_.~%-]*)")

GOOD = [
    "a",
    "a.csv",
    "données/été.csv",
    "数据/报告 2024.xlsx",
    "данные.txt",
    "تقرير.csv",
    "😀.png",
    "👩‍👩‍👧 family/👍🏽.png",
    "a b/c  d.txt",
    "-rf",
    "--help",
    "~",
    "$HOME/`id`;&|",
    "<img src=x onerror=alert(1)>.png",
    "quo\"te's.txt",
    "100%.csv",
    "con",
    "a:b",
    "...",
    "..a",
    "a..",
    ".hidden",
    "é",
    "x" * 255,
    "/".join(["x"] * PATH_PARTS),
]

BAD = [
    "",
    "/",
    "/etc/passwd",
    "//a",
    "a//b",
    "a/",
    "..",
    ".",
    "../a",
    "a/..",
    "a/../../b",
    "./a",
    "a/./b",
    "a\x00b",
    "a\nb",
    "a\rb",
    "a\r\nSet-Cookie: x",
    "a\tb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "..\\a",
    "C:\\a",
    "a\ud800b",
    "a\udcffb",
    "x" * 256,
    "é" * 128,
    "😀" * 64,
    "/".join(["x"] * (PATH_PARTS + 1)),
    "/".join(["x" * 200] * 6),
    "x" * 10_000_000,
]


@pytest.mark.parametrize("text", GOOD)
def test_an_ordinary_path_in_any_script_is_kept_as_it_is(text: str) -> None:
    path = WorkspacePath.parse(text)
    assert (str(path), path.name) == (text, text.split("/")[-1])


@pytest.mark.parametrize("text", BAD, ids=lambda text: ascii(text)[:30])
def test_a_path_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadPath) as refused:
        WorkspacePath.parse(text)
    assert refused.value.detail.encode("latin-1")  # it goes into logs and answers
    assert len(refused.value.detail) < 300


@pytest.mark.parametrize("mark", BIDI_CONTROLS, ids=ascii)
def test_a_mark_of_text_direction_is_refused(mark: str) -> None:
    for text in (f"invoice{mark}fdp.exe", mark, f"folder/{mark}a/b"):
        with pytest.raises(BadPath, match="text-direction"):
            WorkspacePath.parse(text)


def test_the_limit_of_bytes_counts_the_whole_path() -> None:
    parts = ["x" * 254] * 4
    assert WorkspacePath.parse("/".join([*parts, "x" * (PATH_BYTES - 4 * 255)]))
    with pytest.raises(BadPath, match="too long"):
        WorkspacePath.parse("/".join([*parts, "x" * (PATH_BYTES - 4 * 255 + 1)]))


@pytest.mark.parametrize("text", [".bashrc", ".ipython/profile_default/startup/0.py", "a/.git/config", "..."])
def test_a_new_file_may_have_no_name_that_begins_with_a_dot(text: str) -> None:
    assert WorkspacePath.parse(text)
    with pytest.raises(BadPath, match="begins with a dot"):
        WorkspacePath.parse_new(text)


@given(st.text(st.characters(), max_size=40) | st.text("./\\ \x00\n~a", max_size=12))
@example("\udcff")
def test_no_text_leaves_the_workspace(text: str) -> None:
    try:
        path = WorkspacePath.parse(text)
    except BadPath:
        return
    assert str(path) == text
    assert posixpath.normpath("/root/workspace/" + text) == "/root/workspace/" + text
    assert all(is_plain_name(part) for part in path.parts)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)
    assert text.encode()


@pytest.mark.parametrize("name", ["..", "", "a\n", "a\u2028", "\udcff", "\u202e", "\u061c", "a\\b"], ids=ascii)
def test_an_odd_name_on_disk_is_not_plain(name: str) -> None:
    assert is_plain_name("plain 数.txt")
    assert not is_plain_name(name)


def test_a_plain_name_is_told_as_it_is() -> None:
    header = "attachment; filename=\"report 1.csv\"; filename*=UTF-8''report%201.csv"
    assert attachment_header("report 1.csv") == header


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("été.csv", "_t_.csv", "%C3%A9t%C3%A9.csv"),
        ("数据.xlsx", "__.xlsx", "%E6%95%B0%E6%8D%AE.xlsx"),
        ('a";b', "a__b", "a%22%3Bb"),
        ("a\r\nX: y", "a__X: y", "a%0D%0AX%3A%20y"),
        ("100%41", "100_41", "100%2541"),
        ("a/b\\c", "a/b_c", "a%2Fb%5Cc"),
        ("😀", "_", "%F0%9F%98%80"),
    ],
)
def test_a_name_that_could_break_the_header_is_written_safely(name: str, plain: str, whole: str) -> None:
    assert attachment_header(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"


@given(st.text(max_size=60) | st.text("\r\n\";%\\'=*: a\x00é", max_size=20))
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    header = attachment_header(name)
    assert header.encode("latin-1").isascii()
    assert not {"\r", "\n", "\x00"} & set(header)
    match = HEADER.fullmatch(header)
    assert match is not None
    assert unquote(match[2], errors="strict") == name
    assert len(match[1]) == len(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.csv", "text/csv"),
        ("a.CSV", "text/csv"),
        ("b/c.png", "image/png"),
        ("a.html", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.json", "application/json"),
        ("a.md", "text/markdown"),
        ("a.ipynb", "application/x-ipynb+json"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.pdf", "application/pdf"),
        ("a", "application/octet-stream"),
        ("csv", "application/octet-stream"),
        (".csv", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        ("a.csv/b", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("a.csv.gz", "application/octet-stream"),  # what it is packed in decides, not what is inside
        ("data:text/html,<script>", "application/octet-stream"),
        ("data:x/数,.csv", "text/csv"),
        ("http://host/a.png", "image/png"),
    ],
)
def test_the_mime_type_is_told_by_the_ending_alone(name: str, told: str) -> None:
    assert mime_type(name) == told


@given(st.text(max_size=30) | st.tuples(st.text(max_size=9), st.text(max_size=9)).map("data:{0[0]},{0[1]}".format))
@example("data:evil/type\u0665,")
@example(".\x00")
def test_any_name_has_a_mime_type_that_fits_into_a_header(name: str) -> None:
    assert re.fullmatch(r"[a-z]+/[A-Za-z0-9.+-]+", mime_type(name))
