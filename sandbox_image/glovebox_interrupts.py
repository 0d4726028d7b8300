"""Which request an interrupt is meant for. A signal cannot say, and it may come when another cell runs already."""

import mmap

NUMBER = 8  # bytes


class Interrupts:
    """A word of memory that a bridge and its kernels share, made before they are forked.

    The bridge notes the number of the last request that it has passed on, then sends the signal. The kernel takes it.
    """

    def __init__(self) -> None:
        self._word = mmap.mmap(-1, NUMBER)

    def note(self, request: int) -> None:
        """Say that the next signal is for this request, counted from 1 for each kernel, or for one before it."""
        self._word[:] = request.to_bytes(NUMBER)

    def take(self) -> int:
        """Return what the signal is for; 0 where the bridge has not sent it."""
        request = int.from_bytes(self._word[:])
        self._word[:] = bytes(NUMBER)
        return request
