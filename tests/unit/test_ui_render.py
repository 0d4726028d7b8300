"""The view model as messages of the Chatbot."""

from typing import Any

import pytest

from ui import words
from ui.conversation import Answer, Cell, Notice, Question, Rejected, Text
from ui.render import MAX_PRINTED, Renderer, cell_title, clipped
from ui.shown import Failure, Frame, Picture, Plain, Plot, Printed, Prose, Remark


def rendered(*parts: Any, **fields: Any) -> list[dict[str, Any]]:
    return Renderer("s1").answer(Answer(status=fields.pop("status", "done"), parts=list(parts), **fields))


def everything(messages: list[dict[str, Any]]) -> str:
    return "\n".join(str(item.get("text", item.get("value"))) for message in messages for item in message["content"])


@pytest.mark.parametrize(
    ("cell", "title"),
    [
        (Cell("x", "writing"), "Python · writing…"),
        (Cell("x", "running"), "Python · running…"),
        (Cell("x", "ok", duration_s=0.42), "Python · 0.4 s"),
        (Cell("x", "ok", duration_s=125.0), "Python · 2 min 5 s"),
        (Cell("x", "error", outputs=[Failure("ValueError", "no", "t")]), "Python · failed: ValueError"),
        (Cell("x", "error", outputs=[Failure("<img src=x>", "no", "t")]), "Python · failed"),
        (Cell("x", "timeout"), "Python · stopped at the time limit"),
        (Cell("x", "out_of_memory"), "Python · out of memory"),
    ],
)
def test_a_cells_title_says_how_it_stands(cell: Cell, title: str) -> None:
    assert cell_title(cell) == title


def test_a_card_is_open_while_the_cell_runs_and_folds_after() -> None:
    (card,) = rendered(Cell("x = 1", "running", outputs=[Printed("stdout", "10%\r20%")]), status="running")
    assert card["metadata"] == {"title": "Python · running…", "status": "pending"}
    assert everything([card]) == "```python\nx = 1\n```\n\n```text\n20%\n```"
    (card,) = rendered(Cell("x = 1", "ok"))
    assert card["metadata"]["status"] == "done"


def test_code_with_backticks_cannot_leave_its_fence() -> None:
    (card,) = rendered(Cell("s = '```'\n", "ok", outputs=[Printed("stdout", "````\n# not a heading")]))
    assert everything([card]) == "````python\ns = '```'\n````\n\n`````text\n````\n# not a heading\n`````"


def test_a_failure_says_why_without_being_unfolded() -> None:
    (card,) = rendered(Cell("x", "error", outputs=[Failure("ValueError", "could not\nconvert", "Traceback…")]))
    assert card["metadata"]["log"] == "could not convert"
    assert "Traceback…" in everything([card])


def test_what_is_to_be_seen_stands_below_the_card() -> None:
    outputs = [Plain("42"), Picture("a.png"), Frame("b.html"), Prose("| t |"), Plot("c.plotly", 320), Remark("odd")]
    files = [{"path": "out/ü x.csv", "size": 2048, "change": "created"}]
    card, below = rendered(Cell("x", "ok", outputs=outputs, files=files, truncated=True, notices=["cut"]))
    assert "42" in everything([card])
    picture, frame, prose, plot, remark, notice, truncated, chips = below["content"]
    assert picture["value"].count("/pictures/a.png") == 2
    assert 'alt="Picture 1' in picture["value"]
    assert 'sandbox="allow-scripts"' in frame["value"]
    assert "allow-same-origin" not in frame["value"]
    assert prose == {"type": "text", "text": "| t |"}
    assert 'sandbox="allow-scripts" src="/frames/c.plotly" style="height:320px"' in plot["value"]
    assert not any(piece.get("component") == "plot" for piece in below["content"])
    assert "odd" in remark["value"]
    assert "cut" in notice["value"]
    assert words.CELL_TRUNCATED in truncated["value"]
    assert 'href="/files/s1/out/%C3%BC%20x.csv"' in chips["value"]
    assert "2.0 KB" in chips["value"]


def test_room_is_left_for_a_picture_before_it_is_there() -> None:
    _, below = rendered(Cell("x", "ok", outputs=[Picture("a.png", (1000, 1040)), Picture("b.png", (30, 20))]))
    tall, small = below["content"]
    assert 'width="500" height="520"' in tall["value"]
    assert 'width="30" height="20"' in small["value"]


def test_pictures_are_numbered_through_the_conversation() -> None:
    one = Answer(status="done", parts=[Cell("x", "ok", outputs=[Picture("a.png"), Picture("b.png")])])
    two = Answer(status="done", parts=[Cell("x", "ok", outputs=[Picture("c.png")])])
    shown = everything(Renderer("s1").messages([one, Question("and?", []), two]))
    assert [f"Picture {number} of" in shown for number in (1, 2, 3, 4)] == [True, True, True, False]


def test_a_flood_of_output_is_cut_in_the_middle() -> None:
    flood = "".join(f"line {number}\n" for number in range(60_000))
    (card,) = rendered(Cell("x", "ok", outputs=[Printed("stdout", flood), Printed("stderr", flood)]))
    text = everything([card])
    assert len(text) < MAX_PRINTED + 1000
    assert "line 0\n" in text
    assert "line 59999" in text
    assert "characters are left out" in text
    assert clipped("short", 10) == "short"


def test_the_words_of_the_model_keep_their_links_and_lose_their_html() -> None:
    (said,) = rendered(Text("<script>x</script> [f](sandbox:/mnt/data/f.csv)"))
    assert everything([said]) == "&lt;script>x&lt;/script> [f](/files/s1/f.csv)"


def test_hostile_words_of_the_service_are_escaped() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    messages = rendered(
        Rejected(hostile, hostile),
        Notice(hostile),
        Cell("x", "ok", files=[{"path": hostile, "size": 1}], notices=[hostile]),
        status="failed",
        problem={"title": hostile, "detail": hostile},
    )
    values = [item["value"] for message in messages for item in message["content"] if item["type"] == "component"]
    assert len(values) == 5
    assert not any("<img" in value for value in values)


@pytest.mark.parametrize(
    ("answer", "closing"),
    [
        (Answer(), words.THINKING),
        (Answer(sandbox_starts=True), words.STARTING_SANDBOX),
        (Answer(parts=[Cell("x", "ok")]), words.THINKING),
        (Answer(status="stopped"), words.STOPPED),
        (Answer(status="lost"), words.LOST),
        (Answer(status="failed", problem={"title": "T", "detail": "D"}), "T: D"),
        (Answer(status="failed"), words.TURN_FAILED),
    ],
)
def test_an_answer_says_what_goes_on_and_how_it_ended(answer: Answer, closing: str) -> None:
    assert closing in everything(Renderer("s1").answer(answer))


def test_while_something_grows_nothing_else_need_say_so() -> None:
    assert len(Renderer("s1").answer(Answer(parts=[Text("so")]))) == 1
    assert len(Renderer("s1").answer(Answer(parts=[Cell("x", "running")]))) == 1


def test_a_question_shows_its_files() -> None:
    (message,) = Renderer("s1").question(Question("look <b>", ["a b.csv"]))
    text, chips = message["content"]
    assert text == {"type": "text", "text": "look &lt;b>"}
    assert 'href="/files/s1/a%20b.csv"' in chips["value"]
    assert Renderer("s1").question(Question(" ", [])) == []
