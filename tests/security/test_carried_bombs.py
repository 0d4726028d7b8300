"""Uploads that are bombs for whoever unpacks or parses them (THREATS F2, F3): Glovebox carries bytes and looks at none.

That no part of it could is told by `tests/unit/test_no_parsing.py`.
"""

import gzip
import io
import os
import pickle
import tarfile
import zipfile

import pytest

from tests.security.watch import assert_held, watching
from tests.stack import ApiSession, MakeSession, Stack

GROWTH_MB = 40


class Opened:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/glovebox-unpickled",)


def zip_bomb() -> bytes:
    """Return half a megabyte that becomes half a gigabyte."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(32):
            archive.writestr(f"../../{number}", bytes(16 << 20))
    return packed.getvalue()


def tar_bomb() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, kind, target in (
            ("l", tarfile.SYMTYPE, "/"),
            ("d", tarfile.CHRTYPE, ""),
            ("h", tarfile.LNKTYPE, "l"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return packed.getvalue()


def laughs() -> bytes:
    """Return the billion laughs."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{entities}]><x>&e11;</x>'.encode()


def bombs() -> dict[str, bytes]:
    zipped = zip_bomb()
    return {
        "a.zip": zipped,
        "a.xlsx": zipped,
        "a.tar.gz": tar_bomb(),
        "a.csv.gz": gzip.compress(bytes(64 << 20)),
        "a.pkl": pickle.dumps(Opened()),
        "a.xml": laughs(),
        "a.svg": laughs(),
        "a.json": b"[" * 1_000_000,
        "a.ipynb": b'{"cells":' * 200_000,
        "a.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x06\x00\x00\x00",
    }


@pytest.mark.any_runtime
def test_bombs_go_up_and_down_as_they_are_and_cost_nothing(
    make_session: MakeSession, stack: Stack, peer: ApiSession
) -> None:
    session, carried = make_session(), bombs()
    with watching(stack, peer) as watch:
        before_mb = watch.rss_mb
        for name, content in carried.items():
            session.put(name, content)
            assert session.client.get(f"{session.path}/files/{name}").content == content, name
        assert session.files() == {name: len(content) for name, content in carried.items()}
        list(session.say("What is in my files?", attachments=list(carried)))
        for kind in ("ipynb", "html", "md"):
            session.client.get(f"{session.path}/export", params={"format": kind})
    assert watch.rss_mb < before_mb + GROWTH_MB, watch.told()
    assert_held(watch)
    assert not os.path.exists("/tmp/glovebox-unpickled")
