"""Markdown that nobody vouches for, as HTML."""

import time

import pytest

from ui.markdown import file_url, markdown_html

FILES = frozenset({"by_month.csv", "a b.csv", "out/x.png"})


def html(text: str) -> str:
    return markdown_html(text, "s1", FILES)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[x](sandbox:/mnt/data/x.csv)", "files/s1/x.csv"),
        ("[x](sandbox:/mnt/data/a b/ü.csv)", "files/s1/a%20b/%C3%BC.csv"),
        ("[x](sandbox:/mnt/data/a%20b.csv)", "files/s1/a%20b.csv"),
        ("[x](<sandbox:/mnt/data/a (1).csv>)", "files/s1/a%20%281%29.csv"),
        ("[q](sandbox:q.txt)", "files/s1/q.txt"),
        ("[q](/mnt/data/q.txt)", "files/s1/q.txt"),
        ("[q](q.txt)", "files/s1/q.txt"),
        ("see /mnt/data/new.csv.", "files/s1/new.csv"),
        ("see by_month.csv, please", "files/s1/by_month.csv"),
        ("see `by_month.csv`", "files/s1/by_month.csv"),
        ("see `a b.csv`", "files/s1/a%20b.csv"),
        ("see **out/x.png**", "files/s1/out/x.png"),
    ],
)
def test_names_of_files_become_downloads(text: str, address: str) -> None:
    assert f'href="{address}"' in html(text)
    assert "download" in html(text)


@pytest.mark.parametrize(
    "text",
    [
        "[x](sandbox:/mnt/data/../../etc/passwd)",
        "[x](sandbox:/mnt/data/)",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>)",
        "[x](vbscript:x)",
        "[x](file:///etc/passwd)",
        "[x](//evil.example/x)",
    ],
)
def test_a_link_that_leads_to_no_file_and_no_site_leads_nowhere(text: str) -> None:
    found = html(text)
    assert 'href="#"' in found or 'href="files/s1/evil.example/x"' in found
    assert "javascript" not in found


def test_a_name_that_is_no_file_is_text() -> None:
    assert "<a" not in html("Version 3.11 of numpy.random and other.csv, `nothing.csv` in [brackets]")
    assert html("[see by_month.csv](https://a.example/)").count("<a") == 1


def test_a_link_to_another_site_opens_beside_the_page_and_a_picture_of_one_is_not_loaded() -> None:
    assert 'href="https://a.example/x" target="_blank" rel="noopener noreferrer"' in html("[x](https://a.example/x)")
    assert "<img" not in html("![x](https://a.example/x.png)")
    assert '<img src="files/s1/p.png" alt="p" loading="lazy">' in html("![p](sandbox:/mnt/data/p.png)")


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "</div><!-- x --><?x",
        "<script>alert(1)</script>",
        "[<img src=x>](x.csv)",
        '[x](x.csv "<img src=x>")',
        "`<img src=x>`",
        "```html\n<img src=x>\n```",
        "| <img src=x> |\n|---|\n| <img src=x> |",
        "$<img src=x>$ and $$\n<img src=x>\n$$",
        '```"><img src=x>\nx\n```',
        "![<img src=x>](https://a.example)",
    ],
)
def test_html_is_shown_instead_of_obeyed(text: str) -> None:
    for tag in ("<img", "<script", "</div><!--", "<?x"):
        assert tag not in html(text)


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("$x^2$", ["x^2"]),
        ("$$x$$ and \\(y\\) and \\[z\\]", ["x", "y", "z"]),
        ("$$\na\n- b\n= c\n$$", ["a\n- b\n= c"]),
        ("It costs $5, or $6 with tax.", []),
        ("from $5-$6", []),
        ("`$x$` and \\$y\\$", []),
        ("$$ never closed", []),
    ],
)
def test_formulas_are_left_to_who_can_draw_them(text: str, formulas: list[str]) -> None:
    found = html(text)
    assert [part.split('"', 1)[0] for part in found.split('data-tex="')[1:]] == formulas


def test_code_has_colours_and_a_table_can_be_scrolled() -> None:
    assert '<span class="k">for</span>' in html("```python\nfor x in y: pass\n```")
    assert "&lt;b&gt;" in html("```of-no-language\n<b>\n```")
    assert '<div class="gb-table" tabindex="0"><table>' in html("| a |\n|---|\n| 1 |")


def test_hostile_markdown_takes_no_time_to_speak_of() -> None:
    began = time.monotonic()
    for text in ("*a" * 20_000, "[" * 20_000, "`" * 20_000, "$a" * 20_000, "> " * 5_000, "a.b" * 20_000):
        html(text)
    assert time.monotonic() - began < 60, "something in it takes more than linear time"


def test_a_files_address_stays_beneath_its_session() -> None:
    assert file_url("s/1", "a/b?c#d.txt") == "files/s%2F1/a/b%3Fc%23d.txt"
    assert file_url("s1", "../x") is None
    assert file_url("s1", "a/../x") is None
    assert file_url("s1", "") is None
