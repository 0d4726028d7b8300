"""The lists at the sides, sizes and ages in words, and the settings."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from ui import words
from ui.api_client import Session
from ui.panels import export_link, person, session_rows, title
from ui.settings import Settings
from ui.sizes import age_words, duration_words, size_words

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>\"' ${alert(1)}"


def session(**fields: str) -> Session:
    made = {"id": "s1", "name": "n", "profile": "p", "state": "ready", "last_active_at": NOW.isoformat()}
    return cast(Session, made | {"shared_by": None} | fields)


def test_the_current_session_is_marked() -> None:
    (_, first), (identity, second) = session_rows([session(), session(id="s2", name="")], "s2", NOW)
    assert identity == "s2"
    assert "aria-current" not in first
    assert 'aria-current="page"' in second
    assert words.UNNAMED in second
    assert words.TITLE in title(None)


def test_names_and_paths_are_escaped() -> None:
    for html in (
        session_rows([session(id=HOSTILE, name=HOSTILE, state=HOSTILE)], "", NOW)[0][1],
        title(session(name=HOSTILE, profile=HOSTILE)),
        export_link(HOSTILE),
    ):
        assert "<img" not in html
        assert "onerror=alert(1)>\"'" not in html


def test_without_a_session_there_is_nothing_to_export() -> None:
    assert export_link("") == ""


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (10_239, "10 KB"),
        (1_048_575, "1.0 MB"),
        (5_300_000_000, "4.9 GB"),
    ],
)
def test_sizes(size: int, said: str) -> None:
    assert size_words(size) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration_words(seconds) == said


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "just now"), (-5, "just now"), (5, "5 min ago"), (150, "2 h ago"), (1500, "yesterday"), (5000, "3 days ago")],
)
def test_ages(minutes: int, said: str) -> None:
    assert age_words((NOW - timedelta(minutes=minutes)).isoformat(), NOW) == said
    assert age_words("no moment", NOW) == ""


def test_settings_come_from_the_environment() -> None:
    assert Settings.from_environment({}) == Settings()
    read = Settings.from_environment(
        {
            "GLOVEBOX_UI_HOST": "0.0.0.0",
            "GLOVEBOX_UI_PORT": "17860",
            "GLOVEBOX_API": "http://orchestrator:8000/",
            "GLOVEBOX_TOKEN": "t",
            "GLOVEBOX_UI_HOSTS": "Box.example, ,10.0.0.7",
        }
    )
    assert (read.host, read.port, read.api, read.token) == ("0.0.0.0", 17860, "http://orchestrator:8000", "t")
    assert read.hosts == {"127.0.0.1", "localhost", "[::1]", "ui", "box.example", "10.0.0.7"}


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(ValueError, match="GLOVEBOX_UI_PORT"):
        Settings.from_environment({"GLOVEBOX_UI_PORT": port})


def test_a_session_of_somebody_else_says_whose_it_is_and_offers_no_change() -> None:
    ((_, row),) = session_rows([session(shared_by="<ann>")], "", NOW)
    assert "by &lt;ann&gt;" in row and "<button" not in row and "<input" not in row
    assert row.count("<li") == row.count("</li>") == 1


def test_who_is_logged_in_is_shown_with_the_way_out_and_a_single_person_has_none() -> None:
    shown = person({"name": HOSTILE, "role": "member", "mode": "team", "can_log_out": True})
    assert "<img" not in shown and 'action="/logout"' in shown
    assert person({"name": "local", "role": "admin", "mode": "one", "can_log_out": False}) == ""
