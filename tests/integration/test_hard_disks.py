"""Sessions with hard disks: they last like any other, and never lie anywhere else. (What they withstand: security.)"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.engine import docker
from tests.hard_disks import DISK_MB, HardStack, loop_devices, mounted_beneath, running_hard_stack, unmount_beneath
from tests.stack import ApiSession, MakeSession, wait_for

MIB = 2**20


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardStack]:
    with running_hard_stack(tmp_path_factory.mktemp("hard")) as running:
        yield running


def refused(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_disk_is_made_with_the_first_file_and_gone_with_the_session(session: ApiSession, stack: HardStack) -> None:
    assert session.files() == {}
    assert session.client.get(session.path).json()["usage"]["disk_bytes"] is None
    assert not stack.image(session.id).exists()
    session.put("a/b.txt", b"1")
    assert stack.disk(session.id).is_mount()
    assert session.client.put(f"{session.path}/files/a/b.txt", content=b"22").status_code == 200
    assert session.printed("print(open('a/b.txt').read()); open('c', 'w').write('x' * 1000000)") == "22\n"
    assert session.files() == {"a/b.txt": 2, "c": 1_000_000}
    assert MIB < session.client.get(session.path).json()["usage"]["disk_bytes"] + 100_000 < 2 * MIB
    session.delete()
    assert not stack.image(session.id).exists()
    assert not (stack.folder / "data" / "sessions" / session.id).exists()
    assert not [one for one in (*mounted_beneath(stack.folder), *loop_devices(stack.folder)) if session.id in one]


def test_uploads_end_at_the_sessions_limit_and_leave_nothing(session: ApiSession) -> None:
    url = f"{session.path}/files/a.bin"
    assert refused(session.client.put(url, content=b"x" * ((DISK_MB + 4) * MIB))) == (507, "disk_full")
    unsaid = session.client.put(url, content=(b"x" * MIB for _ in range(DISK_MB + 4)))
    assert refused(unsaid) == (507, "disk_full")
    assert "session's disk limit" in unsaid.json()["detail"]
    session.put("fits.bin", b"x" * (DISK_MB * MIB))
    assert session.files() == {"fits.bin": DISK_MB * MIB}


def test_an_upload_that_finds_the_disk_full_is_told_so(session: ApiSession) -> None:
    session.printed(
        "import os\nfor name in ('one', 'two', 'three'):\n    try:\n        with open(name, 'wb', buffering=0) as f:\n"
        "            while True: f.write(b'x' * 4096)\n    except OSError as e: print(e.errno)"
    )
    answer = session.client.put(f"{session.path}/files/new/folder/a.txt", content=b"x")
    assert refused(answer) == (507, "disk_full")
    session.run("os.remove('one')\nfor i in range(10**6): open(f'{i}', 'w').close()")
    assert refused(session.client.put(f"{session.path}/files/a.txt", content=b"")) == (507, "disk_full")


def test_output_that_finds_no_room_is_said_to_be_cut(session: ApiSession) -> None:
    session.run(f"open('most', 'wb').write(b'x' * {(DISK_MB - 4) * MIB})")
    said = [event["text"] for event in session.events("print('x' * 10_000_000)") if event["type"] == "cell_notice"]
    assert any("is not whole" in text for text in said), said


def test_whatever_is_killed_the_files_are_there_again(
    stack: HardStack, session: ApiSession, make_session: MakeSession
) -> None:
    session.run("x = 7; open('a.txt', 'w').write('kept')")
    resting = make_session()
    resting.put("b.txt", b"kept, too")
    stack.kill(stack.disks)
    stack.start_disks()
    stack.kill(stack.orchestrator)
    orphan = stack.image("f" * 32)
    orphan.write_bytes(b"")
    stack.start_orchestrator()
    assert not orphan.exists()
    assert mounted_beneath(stack.folder) == [str(stack.disk(session.id))]  # the other one has no sandbox
    assert session.printed("print(x, open('a.txt').read())") == "7 kept\n"
    assert (session.files(), resting.files()) == ({"a.txt": 4}, {"b.txt": 9})
    # All at once, as after a power cut: nothing is mounted any more.
    for process in (stack.orchestrator, stack.spawner, stack.disks):
        stack.kill(process)
    for container in stack.containers():
        docker("rm", "-f", container)
    unmount_beneath(stack.folder)
    wait_for(lambda: not loop_devices(stack.folder), "the loop devices to go")
    stack.start_spawner()
    stack.start_disks()
    stack.start_orchestrator()
    assert session.printed("print(open('a.txt').read())") == "kept\n"
    assert resting.files() == {"b.txt": 9}


def test_without_the_disks_service_there_is_no_workspace_at_all(stack: HardStack, session: ApiSession) -> None:
    """Seen to fail when the folder's `make` made a plain workspace in the disk's place."""
    stack.kill(stack.disks)
    try:
        answers = [
            session.client.put(f"{session.path}/files/a.txt", content=b"x"),
            session.client.post(f"{session.path}/executions", json={"code": "1"}),
            session.client.get("/readyz"),
        ]
        assert {refused(answer) for answer in answers} == {(503, "disk_unavailable")}
        assert "disks service" in answers[0].json()["detail"]
        files = [name for _, _, found in os.walk(stack.folder / "data" / "sessions" / session.id) for name in found]
        assert files == [] == stack.containers(f"label=glovebox.session={session.id}")
        assert session.client.get(session.path).status_code == 200
    finally:
        stack.start_disks()
    session.put("a.txt", b"x")
    assert session.printed("print(open('a.txt').read())") == "x\n"


def test_a_disk_that_somebody_unmounted_is_mounted_again(stack: HardStack, session: ApiSession) -> None:
    session.put("a.txt", b"kept")
    unmount_beneath(stack.disk(session.id).parent)
    assert session.files() == {"a.txt": 4}
    session.run("open('b.txt', 'w').write('b')")
    unmount_beneath(stack.disk(session.id).parent)  # the sandbox has it mounted still: it is the same disk again
    session.put("c.txt", b"c")
    assert session.printed("import os; print(sorted(os.listdir()))") == "['a.txt', 'b.txt', 'c.txt']\n"
    assert session.files() == {"a.txt": 4, "b.txt": 1, "c.txt": 1}


def test_an_idle_disk_is_closed_but_not_while_a_file_is_read(stack: HardStack) -> None:
    with stack.client() as client:
        session = ApiSession(client, profile="sleepy")
        image = stack.image(session.id)
        session.run(f"import os; open('a.bin', 'wb').write(os.urandom({20 * MIB}))")
        assert image.stat().st_blocks * 512 > DISK_MB * MIB
        with client.stream("GET", f"{session.path}/files/a.bin") as download:
            chunks = download.iter_raw()
            size = len(next(chunks))
            wait_for(lambda: "disk_busy" in stack.log("orchestrator.log"), "the disk to be found busy")
            assert stack.disk(session.id).is_mount()
            size += sum(map(len, chunks))
        assert size == 20 * MIB
        wait_for(lambda: not stack.disk(session.id).is_mount(), "the disk to be closed")
        wait_for(lambda: not [one for one in loop_devices(stack.folder) if session.id in one], "its loop device to go")
        wait_for(lambda: image.stat().st_blocks * 512 < 28 * MIB, "its free room to be given back")
        assert session.printed("import os; print(os.path.getsize('a.bin'))") == f"{20 * MIB}\n"
        session.delete()


def test_a_session_can_be_deleted_while_a_file_is_read(stack: HardStack, session: ApiSession) -> None:
    session.put("a.bin", b"x" * (20 * MIB))
    with session.client.stream("GET", f"{session.path}/files/a.bin") as download:
        chunks = download.iter_raw()
        size = len(next(chunks))
        with stack.client() as other:
            assert other.delete(session.path).status_code == 204
        assert not stack.image(session.id).exists()
        assert size + sum(map(len, chunks)) == 20 * MIB
    wait_for(lambda: not [one for one in loop_devices(stack.folder) if session.id in one], "its loop device to go")


def test_the_data_folder_shows_one_image_a_session(stack: HardStack) -> None:
    assert set(os.listdir(stack.folder / "data" / "disks")) <= {
        f"{name}.ext4" for name in os.listdir(stack.folder / "data" / "sessions")
    }
    assert Path(stack.folder / "data" / "disks").stat().st_mode & 0o777 == 0o700
