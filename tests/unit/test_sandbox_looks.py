"""What looks at a workspace from within the sandbox: tables of any make, pictures, and the image's packages."""

import json
import struct
import subprocess
import sys
import time
import zlib
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sandbox_image import glovebox_aside, glovebox_inventory, glovebox_pictures
from sandbox_image.glovebox_tables import kind_of, look

FOLDER = Path(glovebox_aside.__file__).parent


def table(tmp_path: Path, name: str, content: bytes) -> dict[str, Any]:
    (tmp_path / name).write_bytes(content)
    found = look(str(tmp_path / name), 40)
    assert json.dumps(found)
    return found


def columns(found: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
    return {name: (kind, values) for name, kind, values in found["parts"][0]["columns"]}


def test_a_csv_is_told_by_names_kinds_and_first_values(tmp_path: Path) -> None:
    lines = ["month,revenue,share,paid,when"] + ["January,12,0.5,yes,2026-01-31"] * 1200
    found = table(tmp_path, "a.csv", "\n".join(lines).encode())
    assert columns(found) == {
        "month": ("text", ["January"] * 3),
        "revenue": ("whole number", ["12"] * 3),
        "share": ("number", ["0.5"] * 3),
        "paid": ("true or false", ["yes"] * 3),
        "when": ("date", ["2026-01-31"] * 3),
    }
    assert (found["parts"][0]["rows"], found["parts"][0]["about"], found["note"]) == (1200, False, "")


@pytest.mark.parametrize(
    ("content", "names", "note"),
    [
        (b"a;b\n1,5;x\n2,5;y\n", ["a", "b"], "separator ';'"),
        (b"a\tb\n1\tx\n", ["a", "b"], "separator '\\t'"),
        ("größe|b\n1|x\n".encode("latin-1"), ["größe", "b"], "separator '|', encoding latin-1"),
        ("a,b\n1,2\n".encode("utf-16"), ["a", "b"], "encoding utf-16"),
        ("\ufeffa,b\n1,2\n".encode(), ["a", "b"], "encoding utf-8-sig"),
        (b"1,2\n3,4\n", ["(column 1, no name)", "(column 2, no name)"], ""),
        (b'"a\nb",c\n1,2\n', ["a\nb", "c"], ""),
    ],
)
def test_how_a_csv_is_written_is_found_out(tmp_path: Path, content: bytes, names: list[str], note: str) -> None:
    found = table(tmp_path, "a.csv", content)
    assert (list(columns(found)), found["note"]) == (names, note)


def test_a_long_csv_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_bytes(b"a,b\n" + b"12345678,1234567\n" * 2_000_000)
    began = time.monotonic()
    found = look(str(tmp_path / "long.csv"), 40)
    assert found["parts"][0]["about"] and 1_900_000 < found["parts"][0]["rows"] < 2_100_000
    assert time.monotonic() - began < 10


def test_many_columns_are_counted(tmp_path: Path) -> None:
    wide = ",".join(f"c{number}" for number in range(300))
    found = table(tmp_path, "a.csv", f"{wide}\n{wide}\n".encode())
    assert (len(found["parts"][0]["columns"]), found["parts"][0]["more"]) == (40, 260)


def test_json_is_told_by_its_fields(tmp_path: Path) -> None:
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": None, "extra": True}]
    found = table(tmp_path, "a.json", json.dumps(rows).encode())
    assert columns(found) == {"id": ("int", ["1", "2"]), "name": ("text", ["a"]), "extra": ("bool", ["True"])}
    found = table(tmp_path, "b.jsonl", "\n".join(map(json.dumps, rows * 500)).encode())
    assert (found["parts"][0]["rows"], list(columns(found))) == (1000, ["id", "name", "extra"])
    found = table(tmp_path, "c.json", b'{"items": [1, 2], "name": "x"}')
    assert columns(found)["items"][0] == "list of 2"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\0" * 100, b"\xff" * 100, b'"unclosed', b"a" * 300_000])
def test_an_odd_csv_is_looked_at_without_an_error(tmp_path: Path, content: bytes) -> None:
    table(tmp_path, "a.csv", content)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2"], "whole number"),
        (["1", "2.5", "1e-3"], "number"),
        (["1.234,56"], "number with decimal comma"),
        (["1,234", "12,345,678"], "number with thousands separators"),
        (["31.12.2025", "1.2.25"], "date, day or month first"),
        (["2026-01-01T10:00:00Z"], "date"),
        (["1", "a"], "text"),
        ([], "empty"),
        ([1, 2.5], "float or int"),
    ],
)
def test_kinds_are_told_in_words(values: list[Any], kind: str) -> None:
    assert kind_of(values) == kind


def asked(module: str, request: dict[str, Any], folder: Path) -> str:
    """Ask a module as the kernel does, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request),
        cwd=folder,
        env={"PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_broken_tables_are_left_out_of_the_answer(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.parquet").write_text("no")
    paths = ["bad.json", "good.csv", "bad.parquet", "missing.csv", "../x", "a.exe"]
    found = json.loads(asked("glovebox_tables", {"paths": paths, "columns": 40}, tmp_path))
    assert [one["path"] for one in found] == ["good.csv"]


def noise(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width, height), 90).convert("RGB")


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "GIF"), ("L", "JPEG"), ("RGB", "WEBP")]
)
def test_a_picture_is_scaled_to_its_limits(tmp_path: Path, mode: str, kind: str) -> None:
    noise(2000, 1000).convert(mode).save(tmp_path / "a", kind)
    found = glovebox_pictures.scaled(str(tmp_path / "a"), 640, 200_000)
    assert found is not None
    assert (found["width"], found["height"]) == (640, 320)
    content = b64decode(found["base64"])
    assert len(content) <= 200_000
    with Image.open(BytesIO(content)) as small:
        assert small.size == (640, 320) and f"image/{small.format.lower()}" == found["mime_type"]  # type: ignore[union-attr]


def test_a_chart_stays_a_png(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 2000), "white").save(tmp_path / "a.png")
    found = glovebox_pictures.scaled(str(tmp_path / "a.png"), 1280, 1_000_000)
    assert found is not None and found["mime_type"] == "image/png"


def bomb() -> bytes:
    """Return a PNG that is small in bytes and would be 10 GB as pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"<svg/>", bomb()])
def test_what_cannot_be_scaled_is_answered_with_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert asked("glovebox_pictures", {"path": "a.png", "side": 640, "bytes": 100_000}, tmp_path) == ""


def test_the_inventory_names_what_was_chosen_and_is_there(tmp_path: Path) -> None:
    chosen = tmp_path / "requirements.in"
    chosen.write_text("# words\npillow\nno-such-package\nipykernel\nnumpy  # why\n")
    assert list(glovebox_inventory.inventory(chosen)) == ["pillow", "numpy"]
