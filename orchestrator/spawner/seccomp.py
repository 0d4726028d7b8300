"""The system calls that a sandbox may make: a list of what Python and its libraries need, and nothing else.

Everything that is not named here fails with EPERM. What is left out on purpose, beside what needs a capability anyway:
ptrace and process_vm_* (looking into other processes), keyrings, bpf, perf, io_uring, userfaultfd, handles of files,
namespaces, kernel asynchronous I/O, POSIX message queues, and 32-bit calls, by which filters were passed before.
"""

import json
import platform
from typing import Any

_EPERM, _ENOSYS = 1, 38
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat
fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init inotify_init1
inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir
mkdirat mknod mknodat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs
statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice
write writev
"""
_MEMORY = """
brk cachestat madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap msync
munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect shmat shmctl shmdt shmget
"""
_PROCESSES = """
arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups getpgid getpgrp
getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set
kill landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_open pidfd_send_signal prctl prlimit64 rseq
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid
setreuid setrlimit setsid setuid get_robust_list sysinfo tgkill times tkill uname vfork wait4 waitid
"""
_SIGNALS_AND_TIME = """
alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep pause restart_syscall rt_sigaction
rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer
sigaltstack signalfd signalfd4 time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
timerfd_create timerfd_gettime timerfd_settime
"""
_WAITING = """
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 futex_waitv msgctl msgget
msgrcv msgsnd poll ppoll pselect6 select semctl semget semop semtimedop
"""
_SOCKETS = """
accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto
setsockopt shutdown socketpair
"""
_GROUPS = (_FILES, _MEMORY, _PROCESSES, _SIGNALS_AND_TIME, _WAITING, _SOCKETS)

_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW… flag that clone takes
# Unix sockets, and those of the loopback: a family that is not here has its own way into the kernel.
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _NETLINK_ROUTE = 1, 2, 10, 16, 0
# wait, wake, requeue, compare and requeue, wake and operate, wait and wake by bits: none that inherits priority.
_FUTEX_OPERATIONS = (0, 1, 3, 4, 5, 9, 10)
_FUTEX_OPERATION_BITS = 0x7F
_PLAIN_PERSONALITIES = (0x0, 0xFFFFFFFF)  # the usual one, and the question which one it is


def seccomp_profile(machine: str | None = None) -> str:
    """Return the profile for this host's processor as the JSON that the engine takes.

    Raises:
        ValueError: the processor is none that sandboxes run on.

    """
    architecture = _ARCHITECTURES.get(machine or platform.machine())
    if architecture is None:
        raise ValueError(f"no seccomp profile for the processor {machine or platform.machine()!r}")
    names = sorted(name for group in _GROUPS for name in group.split())
    rules = [
        _rule(names),
        _rule(["clone"], _argument(0, "SCMP_CMP_MASKED_EQ", _NEW_NAMESPACES, 0)),
        # Its flags lie in memory, where no filter sees them; glibc falls back to clone.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
        *(_rule(["socket"], _argument(0, "SCMP_CMP_EQ", family)) for family in (_AF_UNIX, _AF_INET, _AF_INET6)),
        _rule(["socket"], _argument(0, "SCMP_CMP_EQ", _AF_NETLINK), _argument(2, "SCMP_CMP_EQ", _NETLINK_ROUTE)),
        *(
            _rule(["futex"], _argument(1, "SCMP_CMP_MASKED_EQ", _FUTEX_OPERATION_BITS, operation))
            for operation in _FUTEX_OPERATIONS
        ),
        *(_rule(["personality"], _argument(0, "SCMP_CMP_EQ", plain)) for plain in _PLAIN_PERSONALITIES),
    ]
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "architectures": [architecture],
        "syscalls": rules,
    }
    return json.dumps(profile, separators=(",", ":"))


def _rule(names: list[str], *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _argument(index: int, comparison: str, value: int, second: int = 0) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": second, "op": comparison}
