"""Workspace files through the API."""

import hashlib
import os
import socket
from urllib.parse import quote

import pytest

from tests.stack import ApiSession, MakeSession, Stack, wait_for

MIB = 2**20


def test_a_file_goes_up_and_comes_down_and_the_kernel_may_change_it(session: ApiSession) -> None:
    session.put("data/a.csv", b"x,y\n1,2\n")
    assert session.printed("print(open('data/a.csv').read())") == "x,y\n1,2\n\n"
    session.run("open('data/a.csv', 'a').write('3,4\\n')")
    answer = session.client.get(f"{session.path}/files/data/a.csv")
    assert answer.content == b"x,y\n1,2\n3,4\n"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    (listed,) = session.client.get(f"{session.path}/files").json()
    assert (listed["path"], listed["size"], listed["mime_type"]) == ("data/a.csv", 12, "text/csv")


@pytest.mark.any_runtime
def test_put_says_whether_it_made_or_replaced(session: ApiSession) -> None:
    url = f"{session.path}/files/a.txt"
    assert session.client.put(url, content=b"1").status_code == 201
    assert session.client.put(url, content=b"2").status_code == 200
    assert session.client.get(url).content == b"2"
    assert session.client.delete(url).status_code == 204
    assert session.client.get(url).json()["code"] == "file_not_found"


@pytest.mark.any_runtime
@pytest.mark.parametrize(
    ("header", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=0-999", 206, b"0123456789"),
        ("bytes=10-", 416, None),
        ("bytes=5-2", 416, None),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_ranges(session: ApiSession, header: str, status: int, content: bytes | None) -> None:
    session.put("a.txt", b"0123456789")
    answer = session.client.get(f"{session.path}/files/a.txt", headers={"Range": header})
    assert answer.status_code == status
    assert answer.headers["x-content-type-options" if status != 416 else "content-type"]
    if content is not None:
        assert answer.content == content


def test_odd_names_are_data(session: ApiSession) -> None:
    names = {"naïve 名前 🎉.txt", "a b&c=d#e?.txt", "'quotes\".txt", "%41.txt"}
    for name in names:
        session.put(quote(name), name.encode())
        assert session.client.get(f"{session.path}/files/{quote(name)}").content == name.encode()
    assert set(session.files()) == names
    assert session.printed(f"import os; print(set(os.listdir()) == {names!r})") == "True\n"


@pytest.mark.any_runtime
@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "a\nb", "a\x00b", ".bashrc", "a//b", "x" * 300])
def test_names_that_cannot_be_are_refused_with_a_code(session: ApiSession, name: str) -> None:
    answer = session.client.put(f"{session.path}/files/{quote(name, safe='')}", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_path"), answer.text
    assert session.files() == {}


@pytest.mark.any_runtime
def test_an_upload_that_breaks_off_leaves_nothing(session: ApiSession, stack: Stack) -> None:
    session.put("a.bin", b"whole")
    with socket.create_connection(("127.0.0.1", stack.port)) as line:
        head = f"PUT {session.path}/files/a.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: {64 * MIB}\r\n\r\n"
        line.sendall(head.encode() + b"x" * (8 * MIB))
        incoming = stack.folder / "data" / "sessions" / session.id / "incoming"
        wait_for(lambda: any(incoming.iterdir()), "the upload to begin")
    wait_for(lambda: not any(incoming.iterdir()), "the half file to go")
    assert session.client.get(f"{session.path}/files/a.bin").content == b"whole"


@pytest.mark.any_runtime
def test_the_profiles_disk_limit_holds_for_uploads(make_session: MakeSession) -> None:
    session = make_session(profile="tight")
    asked = session.client.post(f"{session.path}/files", json={"bytes": 40 * MIB})
    assert (asked.status_code, asked.json()["code"]) == (507, "disk_full")
    assert session.client.post(f"{session.path}/files", json={"bytes": 20 * MIB}).status_code == 204
    said = session.client.put(f"{session.path}/files/a.bin", content=b"x" * (40 * MIB))
    assert (said.status_code, said.json()["code"]) == (507, "disk_full")

    def unsaid() -> "object":
        for _ in range(40):
            yield b"x" * MIB

    streamed = session.client.put(f"{session.path}/files/a.bin", content=unsaid())
    assert (streamed.status_code, streamed.json()["code"]) == (507, "disk_full")
    assert session.files() == {}
    session.put("fits.bin", b"x" * (20 * MIB))


@pytest.mark.any_runtime
def test_a_gibibyte_goes_up_and_comes_down_byte_for_byte(session: ApiSession) -> None:
    block = os.urandom(MIB)
    sent, received = hashlib.sha256(), hashlib.sha256()

    def body() -> "object":
        for number in range(1024):
            chunk = number.to_bytes(4, "big") + block[4:]
            sent.update(chunk)
            yield chunk

    answer = session.client.put(f"{session.path}/files/big.bin", content=body())
    assert answer.status_code == 201
    assert answer.json()["size"] == 1024 * MIB
    with session.client.stream("GET", f"{session.path}/files/big.bin") as download:
        for chunk in download.iter_raw():
            received.update(chunk)
    assert received.hexdigest() == sent.hexdigest()


def test_what_a_sandbox_plants_is_never_followed(session: ApiSession) -> None:
    session.run(
        "import os, socket\nos.symlink('/etc/passwd', 'link')\nos.symlink('/etc', 'folder')\nos.mkfifo('pipe')\n"
        "s = socket.socket(socket.AF_UNIX); s.bind('sock')\nopen('plain', 'w').write('x')"
    )
    assert list(session.files()) == ["plain"]
    for name in ("link", "folder/passwd", "pipe", "sock", "folder"):
        answer = session.client.get(f"{session.path}/files/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found"), name
    assert session.client.put(f"{session.path}/files/folder/x", content=b"x").json()["code"] == "bad_path"
    session.put("link", b"new")
    assert session.printed("import os; print(os.path.islink('link'), open('link').read())") == "False new\n"
