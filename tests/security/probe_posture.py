"""Runs inside a sandbox (stdlib only): writes as JSON what its posture is made of, a sorted list for each subject.

What differs from start to start or from host to host is told by its kind: the session's own uid is `UID`, other numbers
are `#`, families of files that every kernel has in other numbers are `*`. Each entry is something that is granted, so
that what a stricter host takes away is an entry less, and never another one.

Usage: probe_posture.py FILE [SUBJECT]
"""

import ctypes
import json
import os
import platform
import re
import resource
import socket
import stat
import sys
from collections.abc import Iterator

LIMITS = ("CORE", "FSIZE", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RTPRIO", "SIGPENDING")
STATUS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
KNOWN_FILE_SYSTEMS = ("proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "devtmpfs")
DENIALS = {"ro": "write", "noexec": "execute", "nosuid": "change who runs", "nodev": "hold devices"}
# Each is made with arguments that no kernel takes, so one that is not refused does nothing.
CALLS_X86_64 = {
    "ptrace": 101,
    "syslog": 103,
    "modify_ldt": 154,
    "pivot_root": 155,
    "chroot": 161,
    "acct": 163,
    "settimeofday": 164,
    "mount": 165,
    "swapon": 167,
    "reboot": 169,
    "sethostname": 170,
    "iopl": 172,
    "init_module": 175,
    "quotactl": 179,
    "io_setup": 206,
    "clock_settime": 227,
    "mbind": 237,
    "mq_open": 240,
    "kexec_load": 246,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "unshare": 272,
    "move_pages": 279,
    "perf_event_open": 298,
    "fanotify_init": 300,
    "name_to_handle_at": 303,
    "open_by_handle_at": 304,
    "setns": 308,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "kcmp": 312,
    "finit_module": 313,
    "bpf": 321,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "memfd_secret": 447,
}
CLONE, CLONE3, FUTEX, PERSONALITY = 56, 435, 202, 135
NEW_USER_NAMESPACE, LOCK_PI, NO_RANDOM_ADDRESSES = 0x10000000, 6, 0x40000
FAMILIES = range(1, 46)


def told(number: int, result: int) -> str:
    return "refused" if result == -1 and number == 1 else f"errno {number}" if result == -1 else "done"


def identity() -> Iterator[str]:
    status = dict(line.split(":\t", 1) for line in text("/proc/self/status").splitlines() if ":\t" in line)
    yield from (f"{name} {status[name]}" for name in STATUS if name in status)
    yield f"uids {named(' '.join(map(str, os.getresuid())))}"
    yield f"gids {named(' '.join(map(str, os.getresgid())))}"
    yield f"groups {named(' '.join(map(str, sorted(os.getgroups()))))}"


def named(numbers: str) -> str:
    uid = os.getuid()
    return re.sub(rf"\b{uid}\b", "UID", numbers) if uid >= 200_000 else numbers


def mounts() -> Iterator[str]:
    for line in text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        point, options = before.split()[4:6]
        kind, rest = after.split(maxsplit=1)
        kind = "root" if point == "/" else kind if kind in KNOWN_FILE_SYSTEMS else "host"
        if kind == "cgroup":
            point = "/sys/fs/cgroup/*"
        yield f"{point} {kind}"
        denied, of_file_system = options.split(","), rest.split()[-1].split(",")
        if "ro" in of_file_system:
            denied.append("ro")
        yield from (f"{point} may {grant}" for option, grant in DENIALS.items() if option not in denied)
        if kind == "tmpfs" and "ro" not in denied:
            for limit in ("size=", "nr_inodes="):
                held = [option for option in of_file_system if option.startswith(limit)]
                yield f"{point} {held[0] if held else f'without {limit}'}"


def devices() -> Iterator[str]:
    for folder, _, names in os.walk("/dev"):
        for name in names:
            path = f"{folder}/{name}"
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                yield f"{path} -> {os.readlink(path)}"
                continue
            numbers = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
            may = "".join(letter for letter, mode in (("r", os.R_OK), ("w", os.W_OK)) if os.access(path, mode))
            yield f"{re.sub('[0-9]+$', '#', path)} {stat.filemode(found.st_mode)} {numbers} {may}"


def files_of(top: str) -> Iterator[str]:
    """Yield the regular files of /proc (of processes: one's own) or /sys."""
    for folder, folders, names in os.walk(top):
        if folder == "/proc":
            folders[:] = [name for name in folders if not name.isdigit()]
        for name in names:
            path = f"{folder}/{name}"
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    yield path
            except OSError:
                continue
    if top == "/proc":
        yield from files_of("/proc/self/")


def family(path: str) -> str:
    """Return the family of a file of /proc or /sys that is the same on all hosts."""
    parts = path.replace("//", "/").split("/")[1:]
    depth = 2
    if parts[:2] in (["proc", "self"], ["proc", "sys"], ["sys", "kernel"], ["sys", "fs"], ["sys", "devices"]):
        depth = 3
    return "/" + "/".join(parts[:depth]) + ("/*" if len(parts) > depth else "")


def readable(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return False
    try:
        os.read(descriptor, 1)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def proc_files() -> Iterator[str]:
    return (family(path) for path in files_of("/proc") if readable(path))


def sys_files() -> Iterator[str]:
    return (family(path) for path in files_of("/sys") if readable(path))


def writable_kernel_files() -> Iterator[str]:
    for top in ("/proc", "/sys"):
        yield from (family(path) for path in files_of(top) if os.access(path, os.W_OK))


def rest_of_the_tree() -> Iterator[tuple[str, os.stat_result]]:
    for folder, folders, names in os.walk("/"):
        if folder == "/":
            folders[:] = [name for name in folders if name not in ("proc", "sys", "dev")]
            folders.append("dev/shm")
            folders.append("dev/mqueue")
        yield folder, os.lstat(folder)
        if os.access(folder, os.W_OK):
            folders.clear()
            continue
        for name in names:
            yield f"{folder}/{name}", os.lstat(f"{folder}/{name}")


def tree() -> Iterator[str]:
    """Walk the tree for what may be written and what changes who runs it."""
    for path, found in rest_of_the_tree():
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFREG and found.st_mode & (stat.S_ISUID | stat.S_ISGID):
            yield f"{path} changes who runs it"
        mine = found.st_uid == os.getuid() or found.st_gid == os.getgid() or found.st_mode & stat.S_IWOTH
        if kind != stat.S_IFLNK and mine and os.access(path, os.W_OK):
            yield f"{path} may be written"


def environment() -> Iterator[str]:
    for name, value in os.environ.items():
        yield f"{name}={'#' if name.startswith(('JPY_', 'KERNEL_')) else value}"


def sockets() -> Iterator[str]:
    for protocol in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite", "sctp/eps", "packet"):
        for line in text(f"/proc/net/{protocol}").splitlines()[1:]:
            parts = line.split()
            if protocol.startswith("tcp") and parts[3] != "0A":  # only who listens
                continue
            yield f"{protocol} {parts[1].split(':')[0] if ':' in parts[1] else 'any'}"
    for line in text("/proc/net/unix").splitlines()[1:]:
        parts = line.split()
        if len(parts) > 7:
            yield f"unix {re.sub('[0-9a-f]{8,}', '#', parts[7])}"


def interfaces() -> Iterator[str]:
    yield from (name for _, name in socket.if_nameindex())
    yield from (f"route {line.split()[0]}" for line in text("/proc/net/route").splitlines()[1:] if line.split())


def limits() -> Iterator[str]:
    for name in LIMITS:
        soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
        yield f"{name.lower()} {soft} {hard}"


def processes() -> Iterator[str]:
    for number in filter(str.isdigit, os.listdir("/proc")):
        yield f"{'1 ' if number == '1' else ''}{text(f'/proc/{number}/comm').strip()}"


def descriptors() -> Iterator[str]:
    for number in filter(str.isdigit, os.listdir("/proc")):
        if number == str(os.getpid()):
            continue
        try:
            opened = [os.readlink(f"/proc/{number}/fd/{name}") for name in os.listdir(f"/proc/{number}/fd")]
        except OSError:
            opened = ["(closed to us)"]
        role = "1" if number == "1" else "other"
        yield from (f"{role} {re.sub('[0-9]+', '#', path)}" for path in opened)


def cgroup() -> Iterator[str]:
    return (re.sub("[0-9a-f]{64}", "#", line.split(":", 2)[2]) for line in text("/proc/self/cgroup").splitlines())


def names() -> Iterator[str]:
    yield f"host {socket.gethostname()}"
    yield f"folder {os.getcwd()}"
    yield f"umask {os.umask(0o22):03o}"


def calls() -> Iterator[str]:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: int) -> str:
        result = libc.syscall(number, *[ctypes.c_long(argument) for argument in arguments])
        return told(ctypes.get_errno(), result)

    if platform.machine() == "x86_64":
        yield from (f"{name} {call(number, -1, -1, -1, -1, -1)}" for name, number in CALLS_X86_64.items())
        word = ctypes.c_int()
        yield f"futex with inheritance {call(FUTEX, ctypes.addressof(word), LOCK_PI, 0, 0, 0, 0)}"
        yield f"personality {call(PERSONALITY, NO_RANDOM_ADDRESSES)}"
        yield f"clone3 {call(CLONE3, 0, 0)}"
        parent = os.getpid()
        cloned = call(CLONE, NEW_USER_NAMESPACE, 0, 0, 0, 0)
        if os.getpid() != parent or os.getppid() == parent:
            os._exit(0)
        yield f"clone with a user namespace {cloned}"
    for one in FAMILIES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                socket.socket(one, kind).close()
                result = "made"
            except OSError as error:
                result = told(error.errno or 0, -1)
            yield f"socket {one} {kind.name} {result}"


def text(path: str) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


SUBJECTS = {
    "identity": identity,
    "mounts": mounts,
    "devices": devices,
    "readable in /proc": proc_files,
    "readable in /sys": sys_files,
    "writable in /proc and /sys": writable_kernel_files,
    "environment": environment,
    "sockets": sockets,
    "interfaces": interfaces,
    "limits": limits,
    "processes": processes,
    "descriptors": descriptors,
    "cgroup": cgroup,
    "names": names,
    "calls": calls,
    "tree": tree,
}


def main(target: str, *subjects: str) -> None:
    posture = {name: sorted(set(SUBJECTS[name]())) for name in subjects or SUBJECTS}
    with open(target, "w") as file:
        file.write(json.dumps(posture, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
