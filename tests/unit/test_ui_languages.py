"""The page's languages: each says everything, and each request hears its own."""

import asyncio
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ui import languages, panel_words, words
from ui.api_client import Api
from ui.app import blocks
from ui.logins import Logins
from ui.nudges import Nudges
from ui.spoken_blocks import in_every_language

SCRIPTS = Path(languages.__file__).parents[1] / "browser"
# Names, and what only translations have.
UNTRANSLATED = {"TITLE", "DEMO_MODEL", "PROBLEMS"}
TRANSLATIONS = languages.names()[1:]
# Keys that a script puts together from these and a state, a tab…
PUT_TOGETHER = ("state_", "kept_", "tab_", "theme_", "approval_", "key_", "col_", "role_")


def english() -> dict[str, Any]:
    modules: list[ModuleType] = [words, panel_words]
    return {
        name: getattr(module, name)
        for module in modules
        for name in vars(module)
        if re.fullmatch(r"[A-Z][A-Z_]+", name) and name not in UNTRANSLATED
    }


def flat(texts: dict[str, Any]) -> dict[str, str]:
    """Every text under a name of its own."""
    found: dict[str, str] = {}
    for name, text in texts.items():
        if isinstance(text, dict | tuple | list):
            inside = text.items() if isinstance(text, dict) else enumerate(text)
            found |= flat({f"{name}.{key}": value for key, value in inside})
        else:
            found[name] = text
    return found


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


def test_chinese_is_there() -> None:
    assert "zh" in TRANSLATIONS


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_says_everything(language: str) -> None:
    told, translated = flat(english()), flat(languages.texts(language))
    missing = [f'"{name}": "{told[name]}"' for name in told if name not in translated]
    assert not missing, f"ui/languages/{language}.json lacks:\n" + "\n".join(missing)


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_says_nothing_that_nobody_asks_for(language: str) -> None:
    told = flat(english())
    more = {name for name in flat(languages.texts(language)) if not name.startswith(("PROBLEMS.", "LOGIN."))}
    assert more <= told.keys(), sorted(more - told.keys())


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_the_same_places_to_fill_in(language: str) -> None:
    told, translated = flat(english()), flat(languages.texts(language))
    wrong = [name for name in told if name in translated and places(told[name]) != places(translated[name])]
    assert not wrong, wrong


def test_the_scripts_say_what_there_is_and_nothing_is_left_over() -> None:
    code = "\n".join(path.read_text() for path in SCRIPTS.glob("*.js"))
    said = set(re.findall(r"say\('(\w+)'", code)) | set(re.findall(r"'([a-z]+_[a-z_]+)'", code))
    known = panel_words.SCRIPTS.keys()
    assert set(re.findall(r"say\('(\w+)'", code)) <= known
    assert {key for key in known if key not in said and not key.startswith(PUT_TOGETHER)} <= {
        "uploaded", "interrupted", "restarted", "sleeps",
    }  # fmt: skip


def test_a_word_is_said_in_the_language_of_the_moment() -> None:
    assert words.STOP == "Stop"
    with languages.speaking("zh"):
        assert words.STOP == languages.texts("zh")["STOP"] != "Stop"
        assert words.TITLE == "Glovebox"
        assert isinstance(words.EXAMPLES, tuple)
    assert words.STOP == "Stop"


def test_what_a_translation_lacks_is_said_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "texts", lambda _: {"SESSION_STATES": {"busy": "beschäftigt"}})
    with languages.speaking("zh"):
        assert words.STOP == "Stop"
        assert (words.SESSION_STATES["busy"], words.SESSION_STATES["lost"][:11]) == ("beschäftigt", "the sandbox")


async def test_two_requests_at_once_do_not_mix_their_languages() -> None:
    async def asked(language: str) -> str:
        languages.speak(language)
        await asyncio.sleep(0)
        return await asyncio.to_thread(lambda: words.STOP)

    assert await asyncio.gather(*map(asked, ["zh", "en", "zh"])) == ["停止", "Stop", "停止"]


@pytest.mark.parametrize(
    ("header", "chosen"),
    [("", "en"), ("fr", "en"), ("fr, zh-TW;q=0.8, en", "zh"), ("en-GB,zh", "en"), ("*", "en"), ("../zh", "en")],
)
def test_the_first_language_that_there_is_is_taken(header: str, chosen: str) -> None:
    assert languages.accepted(header) == chosen


@pytest.mark.parametrize(
    ("cookie", "chosen"), [("zh", "zh"), ("en", "en"), ("xx", "zh"), ("", "zh"), ("../../etc/passwd", "zh")]
)
def test_what_the_reader_chose_comes_before_what_the_browser_says(cookie: str, chosen: str) -> None:
    headers = {"cookie": f"{languages.COOKIE}={cookie}", "accept-language": "zh-CN"}
    assert languages.wanted(headers) == chosen


def test_labels_are_told_in_every_language_and_their_components_are_the_same() -> None:
    logins = Logins(Api("http://api", None))
    demo = in_every_language(lambda: blocks(logins, Nudges()))
    english_config = demo.config
    with languages.speaking("zh"):
        chinese = demo.config
    ids = [[each["id"] for each in config["components"]] for config in (english_config, chinese)]
    assert ids[0] == ids[1]

    def new_session(config: Any) -> str:
        found = [each["props"] for each in config["components"] if each["props"].get("elem_id") == "new-session"]
        return str(found[0]["value"])

    assert (new_session(english_config), new_session(chinese)) == ("New session", "新会话")
    assert [each["id"] for each in english_config["dependencies"]] == [each["id"] for each in chinese["dependencies"]]
