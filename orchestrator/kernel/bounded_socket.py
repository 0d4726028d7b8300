"""The WebSocket to a gateway, with bounds for what the library does by itself before a message reaches us.

It answers every ping with a pong. A hostile gateway that pings without end and reads nothing would fill our memory
with pongs, at no cost of a message; one that sends pongs nobody asked for would have us look at each. An honest one
does neither: its pings are switched off at its start, and we send none.
"""

import asyncio

from websockets.asyncio.client import ClientConnection
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.protocol import Event

from orchestrator.metrics import GATEWAY_VIOLATIONS

_MOST_CONTROL_FRAMES = 20
_MOST_UNREAD_BYTES = 4 * 1024 * 1024  # a cell's code, at most 1 MiB, fits in


class BoundedConnection(ClientConnection):
    """A client connection that is cut off when its server abuses control frames or reads nothing."""

    _control_frames = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket, then look at what they made us want to send."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            self._cut_off()

    async def put(self, message: bytes, most_s: float) -> None:
        """Send a message; waits only where the gateway has not taken what was sent before.

        Raises:
            WebSocketException: the connection is closed, or being so.
            TimeoutError: the gateway took nothing for `most_s` seconds.

        """
        self.protocol.send_binary(message)
        self.send_data()
        if self.paused:
            async with asyncio.timeout(most_s):
                await self.drain()

    def process_event(self, event: Event) -> None:
        """Take one event of the protocol; too many pings or pongs are the end."""
        if not isinstance(event, Response) and getattr(event, "opcode", None) in (Opcode.PING, Opcode.PONG):
            self._control_frames += 1
            if self._control_frames > _MOST_CONTROL_FRAMES:
                self._cut_off()
                return
        super().process_event(event)

    def _cut_off(self) -> None:
        if not self.transport.is_closing():
            GATEWAY_VIOLATIONS.count("flood")
        self.transport.abort()
