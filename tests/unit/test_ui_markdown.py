"""Text that nobody vouches for, inside Markdown."""

import pytest

from ui.markdown import escaped, fenced, file_url, with_file_links, without_html


@pytest.mark.parametrize(
    ("text", "fence"),
    [("x = 1", "```"), ("a ` b", "```"), ("```\ninside\n```", "````"), ("`````", "``````"), ("", "```")],
)
def test_a_fence_is_longer_than_any_run_of_backticks(text: str, fence: str) -> None:
    block = fenced(text, "python")
    assert block.startswith(f"{fence}python\n")
    assert block.endswith(f"\n{fence}")
    assert text in block


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("[x](sandbox:/mnt/data/x.csv)", "[x](/files/s1/x.csv)"),
        ("[x](sandbox:/mnt/data/a b/ü.csv)", "[x](/files/s1/a%20b/%C3%BC.csv)"),
        ("[x](sandbox:/mnt/data/a%20b.csv)", "[x](/files/s1/a%20b.csv)"),
        ("[x](<sandbox:/mnt/data/a (1).csv>)", "[x](/files/s1/a%20%281%29.csv)"),
        ("![p](sandbox:/mnt/data/p.png) and [q](sandbox:q.txt)", "![p](/files/s1/p.png) and [q](/files/s1/q.txt)"),
        ("[x](sandbox:/mnt/data/../../etc/passwd)", "[x](#)"),
        ("[x](sandbox:/mnt/data/)", "[x](#)"),
        ("[x](https://example.org/sandbox:/mnt/data/x)", "[x](https://example.org/sandbox:/mnt/data/x)"),
    ],
)
def test_links_into_the_sandbox_become_downloads(text: str, rewritten: str) -> None:
    assert with_file_links(text, "s1") == rewritten


def test_a_files_address_stays_beneath_its_session() -> None:
    assert file_url("s/1", "a/b?c#d.txt") == "/files/s%2F1/a/b%3Fc%23d.txt"
    assert file_url("s1", "../x") is None
    assert file_url("s1", "a/../x") is None
    assert file_url("s1", "") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)>"),
        ("</div><!-- x --><?x", "&lt;/div>&lt;!-- x -->&lt;?x"),
        ("1 < 2 and a <b", "1 < 2 and a &lt;b"),
        ("`List<int>` <b>", "`List<int>` &lt;b>"),
        ("``a ` <b>`` <b>", "``a ` <b>`` &lt;b>"),
        ("$$a<b$$ <b>", "$$a<b$$ &lt;b>"),
        ("<https://example.org>", "<https://example.org>"),
        ("```html\n<b>\n```\n<b>", "```html\n<b>\n```\n&lt;b>"),
        ("````\n```\n<b>\n````\n<i>", "````\n```\n<b>\n````\n&lt;i>"),
        ("~~~\n```\n<b>\n~~~\n<i>", "~~~\n```\n<b>\n~~~\n&lt;i>"),
    ],
)
def test_html_is_shown_instead_of_obeyed(text: str, shown: str) -> None:
    assert without_html(text) == shown


def test_escaped_text_has_no_markup_left() -> None:
    assert escaped("a|b\n[x](y) *z* <b> &amp; `c`") == r"a\|b \[x\]\(y\) \*z\* \<b\> \&amp; \`c\`"
