"""Of each output one representation is chosen; heavy ones go to the shelf."""

import base64
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_cells import TABLE, pdf, png
from ui.intake import MAX_VEGA_CHARS, Intake
from ui.shelf import Shelf, picture_kind, picture_size
from ui.shown import Failure, Frame, Paper, Picture, Plain, Plot, Printed, Prose, Remark, Sheet
from ui.tables import MAX_COLUMNS, MAX_ROWS, read_table


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def intake(shelf: Shelf) -> Intake:
    return Intake(shelf)


def display(**data: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {kind.replace("__", "/"): value for kind, value in data.items()}}


def test_a_picture_is_kept_once_and_served_by_its_hash(intake: Intake, shelf: Shelf) -> None:
    encoded = base64.b64encode(png(20, 20)).decode()
    first = intake.output(display(image__png=encoded, text__plain="<Figure>"))
    again = intake.output(display(image__png=[encoded[:10], encoded[10:]]))
    assert isinstance(first, Picture)
    assert first == again
    path = shelf.find(first.name)
    assert path is not None
    assert path.read_bytes() == png(20, 20)


@pytest.mark.parametrize("encoded", ["!!!", base64.b64encode(b"<script>alert(1)</script>").decode(), ""])
def test_a_picture_that_is_none_is_said(intake: Intake, encoded: str) -> None:
    assert isinstance(intake.output(display(image__png=encoded)), Remark)


@pytest.mark.parametrize(("width", "height"), [(65535, 65535), (2**31, 2**31), (2**32 - 1, 1)])
def test_a_picture_that_would_fill_the_browsers_memory_is_not_shown(intake: Intake, width: int, height: int) -> None:
    bomb = png(1, 1)[:16] + struct.pack(">II", width, height) + png(1, 1)[24:]
    shown = intake.output(display(image__png=base64.b64encode(bomb).decode()))
    assert isinstance(shown, Remark)
    assert f"{width}×{height}" in shown.text


def test_html_is_framed_unless_its_text_says_as_much(intake: Intake, shelf: Shelf) -> None:
    framed = intake.output(display(text__html="<b>x</b>", text__plain="<IPython.core.display.HTML object>"))
    assert isinstance(framed, Frame)
    path = shelf.find(framed.name)
    assert path is not None
    assert path.read_text() == "<b>x</b>"
    assert isinstance(intake.output(display(text__html="<b>x</b>")), Frame)
    assert isinstance(intake.output(display(text__html="m", text__plain="<folium.Map at 0x7f>")), Frame)
    assert intake.output(display(text__html="<b>x</b>", text__plain="x = 1")) == Plain("x = 1")


def test_a_data_frame_is_a_table_of_texts(intake: Intake, shelf: Shelf) -> None:
    shown = intake.output(display(text__html=TABLE, text__plain="   month"))
    assert isinstance(shown, Sheet)
    path = shelf.find(shown.name)
    assert path is not None
    assert json.loads(path.read_text()) == {
        "columns": ["", "month", "revenue"],
        "rows": [["0", "January", "1204.5"], ["1", "February <b>", "998.0"]],
        "numeric": [True, False, True],
        "note": "",
    }


def test_only_a_plain_table_is_read() -> None:
    assert read_table("<p>no table</p>") is None
    assert read_table('<table><tr><th colspan="2">a</th></tr><tr><td>1</td><td>2</td></tr></table>') is None
    assert read_table("<table><tr><td>1</td></tr><tr><td>1</td><td>2</td></tr></table>") is None
    assert read_table("<table><tr><td>1</td></tr></table>" * 2) is None


def test_a_named_index_does_not_take_a_row() -> None:
    html = "<table><tr><th></th><th>n</th></tr><tr><th>month</th><th></th></tr><tr><th>May</th><td>1</td></tr></table>"
    table = read_table(html)
    assert table is not None
    assert (table.columns, table.rows) == (["month", "n"], [["May", "1"]])


def test_a_large_table_is_cut_and_says_so(intake: Intake, shelf: Shelf) -> None:
    row = "<tr>" + "<td>1</td>" * (MAX_COLUMNS + 5) + "</tr>"
    table = read_table("<table>" + row * (MAX_ROWS + 20) + "</table>")
    assert table is not None
    assert (len(table.rows), table.all_rows) == (MAX_ROWS, MAX_ROWS + 19)
    assert (len(table.columns), table.all_columns) == (MAX_COLUMNS, MAX_COLUMNS + 5)
    wide = "<table>" + row * 3 + "</table>"
    shown = intake.output(display(text__html=wide))
    assert isinstance(shown, Sheet)
    path = shelf.find(shown.name)
    assert path is not None
    assert f"The first {MAX_COLUMNS} of {MAX_COLUMNS + 5} columns" in json.loads(path.read_text())["note"]


def test_a_pdf_is_one_by_its_bytes(intake: Intake) -> None:
    encoded = base64.b64encode(pdf()).decode()
    assert isinstance(intake.output(display(application__pdf=encoded)), Paper)
    forged = base64.b64encode(b"<script>").decode()
    assert intake.output(display(application__pdf=forged, text__plain="p")) == Plain("p")


def test_the_other_kinds(intake: Intake) -> None:
    assert intake.output({"output_type": "stream", "name": "stderr", "text": ["a", "b"]}) == Printed("stderr", "ab")
    assert intake.output(display(text__plain="\x1b[31m42\x1b[0m")) == Plain("42")
    assert intake.output(display(application__json={"a": 1})) == Plain('{\n  "a": 1\n}', "json")
    assert intake.output(display(text__latex="$x^2$", text__plain="<Latex>")) == Prose("$$x^2$$")
    assert intake.output(display(text__markdown="**b** <img>")) == Prose("**b** <img>")
    assert isinstance(intake.output(display(image__svg="<svg/>", **{"image__svg+xml": "<svg/>"})), Picture)
    assert isinstance(intake.output(display(application__x="?")), Remark)
    assert isinstance(intake.output({"output_type": "display_data"}), Remark)
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mT\x1b[0m", "E: v"]}
    assert intake.output(error) == Failure("E", "v", '<span class="gb-red">T</span>\nE: v')
    assert intake.output({"output_type": "error", "ename": "E", "evalue": "v"}) == Failure("E", "v")


def test_of_a_plotly_figure_only_what_is_drawn_is_kept(intake: Intake, shelf: Shelf) -> None:
    kind = "application/vnd.plotly.v1+json"
    wanted = {"data": [{"y": [1]}], "layout": {"title": "t", "height": 300}, "frames": [{"name": "1"}]}
    figure = wanted | {"config": {"plotlyServerURL": "https://evil"}}
    plot = intake.output({"output_type": "display_data", "data": {kind: figure, "text/plain": "Figure()"}})
    assert isinstance(plot, Plot)
    path = shelf.find(plot.name)
    assert path is not None
    assert json.loads(path.read_text()) == wanted
    assert plot.height == 300
    assert intake.output({"output_type": "display_data", "data": {kind: [], "text/plain": "F"}}) == Plain("F")


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("vegalite.v5+json", "vega-lite"), ("vegalite.v6.json", "vega-lite"), ("vega.v5+json", "vega")],
)
def test_a_vega_chart_is_kept_without_how_it_wants_to_be_embedded(
    intake: Intake, shelf: Shelf, kind: str, mode: str
) -> None:
    spec = {"mark": "bar", "height": 200}
    data = {"application/vnd." + kind: spec | {"usermeta": {"embedOptions": {"ast": False}}}, "text/plain": "Chart(…)"}
    plot = intake.output({"output_type": "display_data", "data": data})
    assert isinstance(plot, Plot)
    path = shelf.find(plot.name)
    assert path is not None
    assert json.loads(path.read_text()) == {"mode": mode, "spec": spec}
    assert plot.height is not None and plot.height > 200


def test_the_chart_in_a_page_of_altairs_is_drawn_and_one_without_end_is_left_as_html(
    intake: Intake, shelf: Shelf
) -> None:
    schema = "https://vega.github.io/schema/vega-lite/v5.20.1.json"
    spec = {"mark": "bar", "data": {"values": [{"a": "})({"}]}, "$schema": schema}

    def page(chart: str) -> Any:
        html = f"<script>(function(spec, opt){{ load('vega-embed'); }})({chart}, {{}});</script>"
        return intake.output(display(text__html=html, text__plain="alt.Chart(...)"))

    plot = page(json.dumps(spec))
    assert isinstance(plot, Plot)
    path = shelf.find(plot.name)
    assert path is not None
    assert json.loads(path.read_text()) == {"mode": "vega-lite", "spec": spec}
    for other in ('{"a": ' * 100_000, json.dumps(spec | {"$schema": "https://evil.example/vega/v5.json"}), "{"):
        assert not isinstance(page(other), Plot)


def test_a_chart_with_too_much_data_says_so(intake: Intake) -> None:
    spec = {"mark": "bar", "data": {"values": ["x" * MAX_VEGA_CHARS]}}
    shown = intake.output({"output_type": "display_data", "data": {"application/vnd.vegalite.v6.json": spec}})
    assert isinstance(shown, Remark) and "8.0 MB" in shown.text


def test_messages_and_events_are_taken_in_wherever_they_hold_outputs(intake: Intake) -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": "a"}
    (message,) = intake.messages([{"role": "assistant", "parts": [{"type": "cell", "outputs": [stream]}]}])
    assert message["parts"][0]["outputs"] == [Printed("stdout", "a")]
    assert intake.data({"cell_id": "1", "output": stream})["output"] == Printed("stdout", "a")
    assert intake.messages([{"role": "user", "content": "x"}]) == [{"role": "user", "content": "x"}]


def test_the_shelf_gives_away_the_longest_unused_first(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", budget=1000)
    names = [shelf.put(bytes([number]) * 300, "png") for number in range(3)]
    for age, name in enumerate(names):
        path = shelf.find(name)
        assert path is not None
        os.utime(path, (age, age))
    newest = shelf.put(b"n" * 300, "png")
    assert [shelf.find(name) is not None for name in [*names, newest]] == [False, False, True, True]


@pytest.mark.parametrize("name", ["../x.png", "a.png", "0" * 64 + ".exe", "0" * 64, "/etc/passwd"])
def test_the_shelf_knows_only_its_own_names(shelf: Shelf, name: str) -> None:
    assert shelf.find(name) is None


def test_a_picture_is_what_its_bytes_say() -> None:
    assert picture_kind(png(2, 2)) == "png"
    assert picture_kind(b"\xff\xd8\xff\xe0") == "jpg"
    assert picture_kind(b"RIFF\x00\x00\x00\x00WEBP") == "webp"
    assert picture_kind(b"<svg") is None
    assert picture_size(png(24, 12)) == (24, 12)
    assert picture_size(png(24, 12)[:20]) is None
    assert picture_size(b"\xff\xd8\xff\xe0") is None
