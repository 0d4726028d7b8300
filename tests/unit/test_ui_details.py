"""The API's sentences in another language: each is one that the API says, and what is filled in stays what it is."""

import ast
import re
import time
from functools import cache

import httpx2
import pytest

from tests.engine import ROOT
from ui import languages
from ui.api_client import problem
from ui.details import MAX_CHARS, forms, in_words, sentences, translated

TRANSLATED = [language for language in languages.names() if forms(language)]
# Said in other ways than as one text.
PUT_TOGETHER = {
    "Pick a model with a larger one, or begin a new session.",
    "The provider {} has no key: {}.",
    "Not kept: {}.",
    "It said: {}",
    "The spawner, which starts sandboxes, does not answer.",
}


def places(text: str) -> str:
    return re.sub(r"\{\w+\}", "{}", text)


@cache
def said_by_the_api() -> set[str]:
    """Every sentence in the orchestrator's code, `{}` for what is filled in."""
    found = set()
    for path in (ROOT / "orchestrator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str(text)):
                    found |= {text, *sentences(text)}
                case ast.JoinedStr(values=values):
                    text = "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in values)
                    found |= {text, *sentences(text)}
    return found


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_translated_is_what_the_api_says(language: str) -> None:
    gone = {places(form) for form in forms(language)} - said_by_the_api() - PUT_TOGETHER
    assert gone == set()


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_places_of_its_sentence(language: str) -> None:
    for form, meaning in forms(language).items():
        assert sorted(re.findall(r"\{(\w+)\}", form)) == sorted(re.findall(r"\{(\w+)\}", meaning)), form


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("The workspace has no file 'a {b}.csv'.", "工作区里没有文件 'a {b}.csv'。"),
        (
            "The session's disk limit leaves 12 MiB; delete files or use a larger profile.",
            "会话的磁盘只剩 12 MiB；请删除文件，或使用更大的沙箱。",
        ),
        (
            "Another process keeps the database busy. Nothing was stored; try again in a moment.",
            "另一个进程正占用数据库。没有保存任何内容；请稍后重试。",
        ),
        ("The provider failed. Pull the plug.", "提供商出错了。 Pull the plug."),
        ("Nobody ever says this.", None),
        ("x" * (MAX_CHARS + 1), None),
    ],
)
def test_a_text_is_said_in_the_readers_language(text: str, meaning: str | None) -> None:
    with languages.speaking("zh"):
        assert (translated(text), in_words(text)) == (meaning, meaning or text)
    assert translated(text) is None


def test_a_problem_says_its_detail_or_else_what_its_code_means() -> None:
    def told(detail: str) -> str:
        return problem(httpx2.Response(404, json={"code": "file_not_found", "detail": detail})).detail

    with languages.speaking("zh"):
        assert told("The workspace has no file 'x'.") == "工作区里没有文件 'x'。"
        assert told("It is on the moon.") == "没有这个文件。 (It is on the moon.)"
    assert told("It is on the moon.") == "It is on the moon."


def test_a_long_text_is_compared_in_no_time() -> None:
    """Only a hang is caught here: places that could be filled in countless ways would take hours."""
    began = time.monotonic()
    with languages.speaking("zh"):
        for text in ("' cannot be renamed to '" * 80, ": " * 900 + "!", ". A" * 600):
            translated(text[:MAX_CHARS])
    assert time.monotonic() - began < 30
