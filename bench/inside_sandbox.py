"""Runs inside a sandbox: cells over ZeroMQ, with a kernel of its own. The least that a cell can cost there.

Reads one JSON object `{"code": …}` a line and answers each with what the cell took and showed, timed right at the
sockets: how the line came here and how the answer goes back is not measured. With `"for_s": …` the cell is run again
and again so long, and the answer is how often.
"""

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

_READY_S = 60


class Cell:
    """One cell: when it began, what was heard of it."""

    def __init__(self, client: AsyncKernelClient) -> None:
        self._client = client
        self._message_id = ""
        self._first_text: str | None = None
        self._first_at = 0.0
        self._lines = 0

    async def run(self, code: str) -> dict[str, Any]:
        """Run it until the kernel has replied and is idle."""
        began = time.perf_counter()
        self._message_id = self._client.execute(code)
        await asyncio.gather(self._hear_reply(), self._hear_outputs())
        return {
            "seconds": time.perf_counter() - began,
            "first_text": self._first_text,
            "first_text_at": self._first_at,
            "lines": self._lines,
        }

    async def _hear_reply(self) -> None:
        while True:
            message = await self._client.get_shell_msg()
            if message["parent_header"].get("msg_id") == self._message_id:
                return

    async def _hear_outputs(self) -> None:
        while True:
            message = await self._client.get_iopub_msg()
            if message["parent_header"].get("msg_id") != self._message_id:
                continue
            content = message["content"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return
            if message["msg_type"] == "stream":
                if self._first_text is None:
                    self._first_at = time.time()
                    self._first_text = content["text"][:100]
                self._lines += content["text"].count("\n")


async def _run_for(client: AsyncKernelClient, code: str, for_s: float) -> dict[str, Any]:
    """Run a cell again and again for some seconds; return how often it ran to its end."""
    ends_at = time.perf_counter() + for_s
    ran = 0
    while True:
        await Cell(client).run(code)
        if time.perf_counter() > ends_at:
            return {"ran": ran}
        ran += 1


async def main() -> None:
    """Start a kernel and answer until there is nothing more to read."""
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.RCVHWM, 0)  # else a cell that prints a lot loses messages, and its idle with them
    manager = AsyncKernelManager(context=context)
    # The kernel warns on stderr that others on this (unconnected) loopback could listen.
    await manager.start_kernel(stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels(stdin=False, hb=False)
    try:
        await client.wait_for_ready(timeout=_READY_S)
        # Blocking reads are fine: between two cells there is nothing else to do.
        for line in sys.stdin:
            asked = json.loads(line)
            answer = await (_run_for(client, **asked) if "for_s" in asked else Cell(client).run(asked["code"]))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    asyncio.run(main())
