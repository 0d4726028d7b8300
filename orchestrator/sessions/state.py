"""What a session can be doing."""

from enum import StrEnum


class SessionState(StrEnum):
    """`asleep` has no container; the next use starts one."""

    ASLEEP = "asleep"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
