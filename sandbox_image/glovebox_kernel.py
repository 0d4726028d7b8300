"""The kernel of a sandbox: ipykernel's, with two of its habits changed.

An interrupt strikes nothing but the user's own code. ipykernel takes interrupts for as long as it handles a request;
one that comes while it sends its reply leaves half a message on the socket (the next one continues it, and the gateway
passes on rubbish) or none at all (whoever waits for the reply waits for ever).

And what is printed at once goes out in pieces: the orchestrator refuses messages beyond a size, and a single print of
20 MB would be one.
"""

import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ipykernel.iostream import OutStream
from ipykernel.ipkernel import IPythonKernel

PIECE_CHARS = 1_000_000


class SandboxKernel(IPythonKernel):  # type: ignore[misc]
    """An IPython kernel whose messages are whole whatever interrupts it."""

    def pre_handler_hook(self) -> None:
        """Take interrupts our way while a request is handled."""
        self.saved_sigint_handler = signal.signal(signal.SIGINT, interrupt_only_the_cell)

    async def do_execute(
        self,
        code: str,
        silent: bool,  # noqa: FBT001
        store_history: bool = True,  # noqa: FBT001, FBT002
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,  # noqa: FBT001, FBT002
        *,
        cell_meta: dict[str, Any] | None = None,
        cell_id: str | None = None,
    ) -> Any:
        """Run a cell. An interrupt that comes when its code has just ended ends it as aborted."""
        try:
            return await super().do_execute(
                code, silent, store_history, user_expressions, allow_stdin, cell_meta=cell_meta, cell_id=cell_id
            )
        except KeyboardInterrupt:
            return {"status": "aborted", "execution_count": self.execution_count}


def interrupt_only_the_cell(number: int, frame: FrameType | None) -> None:
    """Handle SIGINT: raise KeyboardInterrupt where a cell's code runs, do nothing elsewhere."""
    while frame is not None:
        if frame.f_code is IPythonKernel.do_execute.__code__:
            signal.default_int_handler(number, frame)
        frame = frame.f_back


def print_in_pieces() -> None:
    """Have ipykernel send long printed text as several messages."""
    buffers = OutStream._flush_buffers

    def in_pieces(stream: Any) -> Iterator[tuple[Any, str]]:
        for parent, text in buffers(stream):
            for start in range(0, len(text), PIECE_CHARS):
                yield parent, text[start : start + PIECE_CHARS]

    OutStream._flush_buffers = in_pieces
