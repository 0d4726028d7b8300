"""Pictures for a model that sees: told by their first bytes, never decoded, paid for by their size."""

import struct
from base64 import b64encode

import pytest

from orchestrator.chat.pictures import Picture, TooLarge, kind_and_size, picture_tokens, read_picture, read_shown
from orchestrator.limits import PICTURE_BYTES, PICTURE_SIDE, UNSEEN_PICTURE_BYTES


def png(width: int, height: int, size: int = 100) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(size)


JPEG = b"\xff\xd8\xff\xe0" + bytes(100)
GIF = b"GIF89a" + struct.pack("<HH", 30, 20) + bytes(100)
WEBP = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little") + bytes(50)
LOSSY = b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 640, 480) + bytes(50)
LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 639 | 479 << 14) + bytes(50)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (png(640, 480), ("image/png", 640, 480)),
        (JPEG, ("image/jpeg", None, None)),
        (GIF, ("image/gif", 30, 20)),
        (WEBP, ("image/webp", 640, 480)),
        (LOSSY, ("image/webp", 640, 480)),
        (LOSSLESS, ("image/webp", 640, 480)),
        (b"RIFF\0\0\0\0WEBPJUNK" + bytes(30), ("image/webp", None, None)),
    ],
)
def test_kind_and_size_stand_in_the_first_bytes(data: bytes, told: tuple[str, int, int]) -> None:
    assert kind_and_size(data[:64]) == told
    assert read_picture(data) == Picture(told[0], b64encode(data).decode(), told[1], told[2])


@pytest.mark.parametrize(
    "data", [b"", b"<svg>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"text", b"BM" * 50]
)
def test_what_is_no_picture_is_none_whatever_its_name(data: bytes) -> None:
    assert read_picture(data) is None
    assert read_shown(b64encode(data).decode()) is None


@pytest.mark.parametrize(
    "data",
    [
        png(PICTURE_SIDE + 1, 10),
        png(10, PICTURE_SIDE + 1),
        png(10, 10, PICTURE_BYTES),
        JPEG + bytes(UNSEEN_PICTURE_BYTES),
    ],
)
def test_a_picture_that_is_too_large_has_to_be_scaled(data: bytes) -> None:
    assert isinstance(read_picture(data), TooLarge)
    assert isinstance(read_shown(b64encode(data).decode()), TooLarge)


@pytest.mark.parametrize("value", ["", "é", "!" * 40, None, ["list"], {"a": 1}, "A", "QUJD\0"])
def test_a_cells_picture_that_is_no_base64_is_none(value: object) -> None:
    assert read_shown(value) is None


def test_a_cells_picture_may_have_line_breaks_and_is_sent_without() -> None:
    broken = "\n".join(b64encode(png(6, 4)).decode()[start : start + 20] for start in range(0, 180, 20))
    found = read_shown(broken)
    assert isinstance(found, Picture)
    assert found.part()["image_url"]["url"] == "data:image/png;base64," + b64encode(png(6, 4)).decode()


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((512, 512), 350), ((1, 1), 255), ((640, 480), 425), ((1280, 1280), 2185)],
)
def test_a_pictures_cost_follows_its_size(size: tuple[int, int], tokens: int) -> None:
    assert picture_tokens(*size) == tokens


def test_a_picture_of_unknown_size_costs_what_the_largest_does() -> None:
    assert picture_tokens(None, None) == picture_tokens(PICTURE_SIDE, PICTURE_SIDE)
    assert picture_tokens(10**9, 10**9) > 10**6
    assert picture_tokens(0, 0) > 0
