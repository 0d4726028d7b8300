"""S7, S13 with hard disks: what a sandbox fills ends at its own limit, and the host sees no more than the image."""

import os
from collections.abc import Iterator

import pytest

from orchestrator.disks.images import image_bytes, inodes
from tests.hard_disks import DISK_MB, HardStack, running_hard_stack
from tests.stack import ApiSession, MakeSession

MIB = 2**20


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, runtime: str) -> Iterator[HardStack]:
    with running_hard_stack(tmp_path_factory.mktemp("hard"), runtime) as running:
        yield running


def test_s7_a_full_disk_ends_at_the_limit_and_takes_no_more_of_the_host(session: ApiSession, stack: HardStack) -> None:
    session.run("kept = 7")
    printed = session.printed(
        "import os\nsize = 0\ntry:\n    with open('big', 'wb', buffering=0) as f:\n"
        "        while True: size += f.write(b'x' * 65536)\nexcept OSError as e: print(e.errno, size)\n"
        "try:\n    with open('more', 'wb', buffering=0) as f:\n"
        "        while True: size += f.write(b'x' * 65536)\nexcept OSError as e: print(e.errno, size)"
    )
    (first, at_limit), (second, size) = [line.split() for line in printed.splitlines()]
    assert (first, second) == ("27", "28"), "EFBIG at the limit of one file, then ENOSPC at that of the disk"
    assert int(at_limit) == DISK_MB * MIB <= int(size) < (DISK_MB + 4) * MIB
    image = stack.image(session.id).stat()
    assert image.st_size == image_bytes(DISK_MB)
    assert image.st_blocks * 512 <= image_bytes(DISK_MB) + MIB
    assert session.printed("os.remove('big'); os.remove('more'); open('a', 'w').write('fits'); print(kept)") == "7\n"


def test_s7_an_inode_bomb_takes_none_of_the_hosts(session: ApiSession, stack: HardStack) -> None:
    session.run("1")
    printed = session.printed(
        "n = 0\ntry:\n    while True: open(f'{n}', 'w').close(); n += 1\nexcept OSError as e: print(e.errno, n)"
    )
    code, made = printed.split()
    assert code == "28"
    assert inodes(DISK_MB) / 2 < int(made) < inodes(DISK_MB)
    disk, host = os.stat(stack.disk(session.id)), os.stat(stack.folder)
    assert disk.st_dev != host.st_dev, "these are the host's own inodes"
    assert os.statvfs(stack.disk(session.id)).f_files < 2 * inodes(DISK_MB), "it is not a disk of this session's"


@pytest.mark.any_runtime
def test_s7_a_deep_or_wide_disk_is_deleted_in_no_time(session: ApiSession, stack: HardStack) -> None:
    session.run(
        "import os\nfor n in range(1500):\n    os.mkdir('d'); os.chdir('d')\nos.chdir('/mnt/data')\n"
        "os.symlink('/etc/passwd', 'link')"
    )
    session.delete()
    assert not (stack.folder / "data" / "sessions" / session.id).exists()
    assert not stack.image(session.id).exists()


def test_s2_s13_a_sandbox_sees_neither_images_nor_devices_nor_another_ones_disk(
    make_session: MakeSession, stack: HardStack
) -> None:
    one, other = make_session(), make_session()
    one.run("open('canary-77aa.txt', 'w').write('canary')")
    other.put("own.txt", b"x")
    found = other.printed(
        "import os, stat, subprocess\n"
        'print(subprocess.getoutput(\'find / -xdev -name "*canary-*" -o -name "*.ext4" 2>/dev/null\'))\n'
        "print(subprocess.getoutput('find /mnt /run /dev'))\n"
        "for folder, _, names in os.walk('/dev'):\n"
        "    for name in names:\n"
        "        if stat.S_ISBLK(os.lstat(os.path.join(folder, name)).st_mode): print('block device', name)\n"
        "print(sorted(os.listdir('/mnt/data')))\n"
        "print([line for line in open('/proc/self/mountinfo') if ' /mnt/data ' in line])"
    )
    assert "canary-77" not in found
    assert ".ext4" not in found
    assert "block device" not in found
    assert str(stack.folder) not in found
    assert "lost+found" not in found
    assert "incoming" not in found
    assert "['own.txt']" in found
    (mount,) = [line for line in found.splitlines() if "/mnt/data" in line and line.startswith("[")]
    if stack.runtime == "runc":
        assert "nosuid" in mount
        assert "nodev" in mount
