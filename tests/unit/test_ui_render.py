"""The view model as blocks of HTML."""

from typing import Any

import pytest

from ui import words
from ui.cards import MAX_LIVE, MAX_PRINTED, cell_state, clipped, printed_text
from ui.conversation import Answer, Cell, Notice, Question, Rejected, Text
from ui.render import Rendered, Renderer
from ui.shown import Failure, Frame, Paper, Picture, Plain, Plot, Printed, Prose, Remark, Sheet


def rendered(*parts: Any, **fields: Any) -> Rendered:
    fold_code = fields.pop("fold_code", True)
    answer = Answer(id="a", status=fields.pop("status", "done"), parts=list(parts), **fields)
    return Renderer("s1", fold_code=fold_code).answer(answer)


def everything(*messages: Rendered) -> str:
    return "\n".join(html for message in messages for html in message.blocks.values())


@pytest.mark.parametrize(
    ("cell", "state"),
    [
        (Cell("x", "writing"), "writing…"),
        (Cell("x", "running"), "running…"),
        (Cell("x", "waiting"), "waits for you"),
        (Cell("x", "ok", duration_s=0.42), "0.4 s"),
        (Cell("x", "ok", duration_s=125.0), "2 min 5 s"),
        (Cell("x", "error", outputs=[Failure("ValueError", "no")]), "failed: ValueError"),
        (Cell("x", "error", outputs=[Failure("<img src=x>", "no")]), "failed"),
        (Cell("x", "timeout", duration_s=3.0), "stopped at the time limit · 3.0 s"),
        (Cell("x", "out_of_memory"), "out of memory"),
    ],
)
def test_a_card_says_how_its_cell_stands(cell: Cell, state: str) -> None:
    assert cell_state(cell) == state


def test_code_is_open_while_its_cell_goes_on_and_folded_after_for_who_prefers_that() -> None:
    assert 'class="gb-fold" open' in everything(rendered(Cell("x = 1", "running"), status="running"))
    assert 'class="gb-fold">' in everything(rendered(Cell("x = 1", "ok")))
    assert 'class="gb-fold" open' in everything(rendered(Cell("x = 1", "ok"), fold_code=False))
    assert "[7]" in everything(rendered(Cell("x = 1", "ok", execution_count=7)))


def test_what_was_printed_is_shown_as_a_terminal_would_with_its_colours() -> None:
    outputs = [Printed("stdout", "10%\r20%"), Printed("stderr", "\x1b[31m<b>\x1b[0m")]
    found = everything(rendered(Cell("x", "ok", outputs=outputs)))
    assert '<pre class="gb-out gb-stdout" tabindex="0">20%</pre>' in found
    assert '<pre class="gb-out gb-stderr" tabindex="0"><span class="gb-red">&lt;b&gt;</span></pre>' in found


def test_a_failure_says_why_and_shows_the_frame_that_matters_first() -> None:
    failure = Failure("ValueError", "could not <convert>", "Cell In[1]", "everything")
    found = everything(rendered(Cell("x", "error", outputs=[failure])))
    assert "<b>ValueError</b>: could not &lt;convert&gt;" in found
    assert found.index("Cell In[1]") < found.index(words.WHOLE_TRACEBACK) < found.index("everything")


def test_what_a_cell_shows_stands_below_its_card() -> None:
    outputs = [Picture("a.png"), Frame("b.html"), Prose("**t**"), Plot("c.plotly", 320), Sheet("d.table", 3)]
    outputs += [Paper("e.pdf", 2048), Remark("odd"), Plain("42")]
    files = [{"path": "out/ü x.csv", "size": 2048, "change": "created"}, {"path": "n.wav", "size": 1}]
    cell = Cell("x", "ok", outputs=outputs, files=files, truncated=True, notices=["cut"])  # type: ignore[arg-type]
    found = everything(rendered(cell))
    assert 'alt="Picture 1' in found
    assert found.count('sandbox="allow-scripts"') == 3
    assert "allow-same-origin" not in found
    for piece in ("<strong>t</strong>", "height:320px", "papers/e.pdf", "odd", "cut", words.CELL_TRUNCATED, ">42<"):
        assert piece in found
    assert 'href="files/s1/out/%C3%BC%20x.csv"' in found
    assert "2.0 KB" in found
    assert 'data-kind="sound"' in found


def test_room_is_left_for_a_picture_before_it_is_there() -> None:
    found = everything(rendered(Cell("x", "ok", outputs=[Picture("a.png", (1000, 1040)), Picture("b.png", (30, 20))])))
    assert 'width="500" height="520" loading="lazy"' in found
    assert 'width="30" height="20" loading="lazy"' in found


def test_pictures_are_numbered_through_the_conversation() -> None:
    one = Answer(status="done", parts=[Cell("x", "ok", outputs=[Picture("a.png"), Picture("b.png")])])
    two = Answer(status="done", parts=[Cell("x", "ok", outputs=[Picture("c.png")])])
    shown = everything(*Renderer("s1").messages([one, Question("and?", []), two]))
    assert [f"Picture {number} of" in shown for number in (1, 2, 3, 4)] == [True, True, True, False]


def test_a_flood_of_output_is_cut_and_the_whole_is_a_download() -> None:
    flood = "".join(f"line {number}\n" for number in range(60_000))
    cell = Cell("x", "ok", "c1", outputs=[Printed("stdout", flood), Printed("stderr", flood)])
    found = everything(rendered(cell))
    assert len(found) < MAX_PRINTED + 4000
    for piece in ("line 0\n", "line 59999", "characters are left out", 'href="printed/s1/c1"'):
        assert piece in found
    assert printed_text(cell) == f"{flood}\n{flood}"
    cell.status = "running"
    found = everything(rendered(cell, status="running"))
    assert len(found) < 2 * MAX_LIVE + 4000
    assert "line 59999" in found
    assert clipped("short", 10) == "short"


def test_the_file_that_holds_what_was_cut_is_a_link() -> None:
    said = Printed("stdout", "[cut: the whole is in outputs/cell-0a1b2c3d-stdout.txt]")
    found = everything(rendered(Cell("x", "ok", outputs=[said])))
    assert 'href="files/s1/outputs/cell-0a1b2c3d-stdout.txt"' in found


def test_hostile_words_are_escaped_everywhere() -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    cell = Cell(hostile, hostile, hostile, hostile, files=[{"path": hostile, "size": 1}], notices=[hostile])
    cell.outputs = [Printed("stdout", hostile), Plain(hostile), Failure(hostile, hostile), Prose(hostile)]
    cell.outputs += [Remark(hostile), Picture(hostile), Frame(hostile), Plot(hostile), Sheet(hostile, 1)]
    problem = {"title": hostile, "detail": hostile}
    parts = [
        Rejected(hostile, hostile),
        Notice(hostile),
        Text(hostile, hostile),
        cell,
        Cell(hostile, "waiting", hostile),
    ]
    answer = Answer(hostile, [hostile, "x"], hostile, "failed", parts, problem)  # type: ignore[arg-type]
    question = Question(hostile, [hostile], hostile, [hostile, "y"])
    assert "<img src=x" not in everything(*Renderer("s1").messages([question, answer]))


@pytest.mark.parametrize(
    ("answer", "closing"),
    [
        (Answer(), words.THINKING),
        (Answer(sandbox_starts=True), words.STARTING_SANDBOX),
        (Answer(sandbox_starts=True, queue_place=3), words.QUEUED.format(place=3)),
        (Answer(parts=[Cell("x", "ok")]), words.THINKING),
        (Answer(status="stopped"), words.STOPPED),
        (Answer(status="lost"), words.LOST),
        (Answer(status="failed", problem={"title": "T", "detail": "D"}), "T: D"),
        (Answer(status="failed"), words.TURN_FAILED),
    ],
)
def test_an_answer_says_what_goes_on_and_how_it_ended(answer: Answer, closing: str) -> None:
    assert closing in everything(Renderer("s1").answer(answer))


def test_what_failed_can_be_tried_again() -> None:
    assert words.TRY_AGAIN in everything(rendered(status="failed"))
    assert words.TRY_AGAIN not in everything(rendered(status="done"))


def test_while_something_grows_nothing_else_need_say_so() -> None:
    assert list(rendered(Text("so"), status="running").blocks) == ["a:0"]
    assert list(rendered(Cell("x", "running"), status="running").blocks) == ["a:0"]


def test_thoughts_are_folded_and_said_to_go_on_only_while_they_do() -> None:
    assert words.REASONING_NOW in everything(rendered(Text("", "hm"), status="running"))
    done = everything(rendered(Text("so", "hm"), status="running"))
    assert words.REASONING in done
    assert words.REASONING_NOW not in done
    assert "<details" in done


def test_a_cell_that_waits_offers_its_three_choices() -> None:
    found = everything(rendered(Cell("x", "waiting", call_id="c9"), status="running"))
    assert [f'data-act="{act}" data-call="c9"' in found for act in ("approve", "edit-approval", "refuse")] == [True] * 3


def test_where_there_are_branches_one_can_go_from_one_to_the_other() -> None:
    message = Renderer("s1").question(Question("q", [], "b", ["a", "b", "c"]))
    found = everything(message)
    assert "2/3" in found
    assert 'data-to="a"' in found
    assert 'data-to="c"' in found
    assert "gb-branches" not in everything(Renderer("s1").question(Question("q", [], "b", ["b"])))


def test_a_question_shows_its_files_and_code_of_ones_own_as_code() -> None:
    found = everything(Renderer("s1").question(Question("look <b>", ["a b.csv"], "q")))
    assert "look &lt;b&gt;" in found
    assert 'href="files/s1/a%20b.csv"' in found
    for own in ("!for x in y: pass", "/run for x in y: pass", "/run\nfor x in y: pass"):
        assert '<span class="k">for</span>' in everything(Renderer("s1").question(Question(own, [], "q")))
    assert "<pre" not in everything(Renderer("s1").question(Question("/runner", [], "q")))


def test_what_did_not_change_is_not_rendered_anew() -> None:
    renderer = Renderer("s1")
    first = renderer.answer(Answer("a", parts=[Text("one"), Cell("x", "ok", "1"), Text("two")]))
    text = Text("one")
    answer = Answer("a", parts=[text, Cell("x", "ok", "1"), Text("two and more")])
    second = renderer.answer(answer)
    assert second.blocks["a:0"] is first.blocks["a:0"]
    assert second.blocks["a:1"] is first.blocks["a:1"]
    assert "two and more" in second.blocks["a:2"]
    text.text += "!"
    assert "one!" in renderer.answer(answer).blocks["a:0"]


def test_a_notebook_that_was_imported_offers_to_run_its_own_cells_and_no_others() -> None:
    came = Answer("a", parts=[Text("text"), Cell("1", "ok", "c1"), Cell("2", "ok", "c2")], status="done")
    conversation = [
        Question("I have imported the notebook.", [], "q"),
        came,
        Question("And now?", [], "q2"),
        Answer("b", model="m", parts=[Cell("3", "ok", "c3")], status="done"),
        Question("!4", [], "q3"),
        Answer("d", parts=[Cell("4", "ok", "c4")], status="done"),
    ]
    shown = Renderer("s").messages(conversation)
    assert 'data-cells="c1 c2"' in next(iter(shown[1].blocks.values()))
    assert sum("run-all" in html for message in shown for html in message.blocks.values()) == 1
    for other in (conversation[2:4], conversation[4:], conversation[:1], []):
        assert "run-all" not in everything(*Renderer("s").messages(other))
