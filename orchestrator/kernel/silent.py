"""Code of ours in a session's kernel: it leaves no number, no name and no output behind. What it prints is hostile."""

import asyncio
from contextlib import suppress

from orchestrator.errors import SandboxUnavailable
from orchestrator.kernel.connection import KernelConnection, Lost
from orchestrator.kernel.messages import Reply, State, Stream
from orchestrator.limits import SILENT_OUTPUT_CHARS


async def printed_by(
    connection: KernelConnection, code: str, deadline_s: float, most_chars: int = SILENT_OUTPUT_CHARS
) -> str:
    """Run code and return what it printed until it ended, the kernel was lost or `deadline_s` seconds were over."""
    printed: list[str] = []
    length = 0
    replied = idle = False
    with suppress(TimeoutError, SandboxUnavailable):
        async with asyncio.timeout(deadline_s), connection.executing(code, silent=True) as heard:
            while not (replied and idle):
                match await heard.get():
                    case Stream(name="stdout", text=text):
                        length += len(text)
                        if length <= most_chars:
                            printed.append(text)
                    case Reply():
                        replied = True
                    case State(execution_state="idle"):
                        idle = True
                    case Lost():
                        break
    return "".join(printed)
