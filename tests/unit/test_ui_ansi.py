"""Printed text is shown as a terminal would show it."""

import time

import pytest

from ui.ansi import coloured, printed


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\ttext\nß 名\n", "plain\ttext\nß 名\n"),
        ("\x1b[31mred\x1b[0m \x1b[1;38;5;12mblue\x1b[m", "red blue"),
        (" 10%|#   |\r100%|####|\n", "100%|####|\n"),
        ("long line\rshort", "shortline"),
        ("long line\r\x1b[Kshort", "short"),
        ("dos\r\nline\r\n", "dos\nline\n"),
        ("abc\b\bX", "aXc"),
        ("\b\bx", "x"),
        ("one\ntwo\x1b[1A\rONE", "ONE\ntwo"),
        ("one\ntwo\x1b[1A\x1b[2KX", "   X\ntwo"),
        ("gone\x1b[2Jleft", "left"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("an end in \x1b[", "an end in "),
        ("bell\x07 null\x00 del\x7f", "bell null del"),
        ("\x9b31mC1\x9b0m", "C1"),
    ],
)
def test_what_a_terminal_shows(raw: str, shown: str) -> None:
    assert printed(raw) == shown


def test_moves_to_far_away_cost_nothing() -> None:
    assert printed("a\x1b[9999C\x1b[9999B\x1b[9999Gb") == "ab"
    assert len(printed("\x1b[9999Cx" * 1000)) == 1000


def test_a_long_progress_bar_is_quick() -> None:
    began = time.monotonic()
    assert printed("".join(f"\r{step:5d} {'#' * 60}" for step in range(4000))).startswith(" 3999")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain <b> & text", "plain &lt;b&gt; &amp; text"),
        ("\x1b[31mred\x1b[0m plain", '<span class="gb-red">red</span> plain'),
        (
            "\x1b[1;32mboth\x1b[22mgreen",
            '<span class="gb-green gb-bold">both</span><span class="gb-green">green</span>',
        ),
        ("\x1b[94mbright\x1b[39m", '<span class="gb-blue">bright</span>'),
        ("\x1b[38;5;31mof 256\x1b[38;2;1;2;31mof all", "of 256of all"),
        ("\x1b[31mgone\r\x1b[0mover", "over"),
        ("\x1b[31m<img>\x1b[1K", "     "),
        ("\x1b[99;;9mx", "x"),
    ],
)
def test_colours_are_classes_and_nothing_is_obeyed(raw: str, shown: str) -> None:
    assert coloured(raw) == shown
