"""Event logs as streams of bytes: NDJSON and server-sent events. A watcher that goes away stops nothing."""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from orchestrator.events import Event, EventLog

_HEARTBEAT_S = 15.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def ndjson(log: EventLog) -> StreamingResponse:
    """Return a log as one JSON object a line, each as it happens."""

    async def lines() -> AsyncIterator[bytes]:
        async for _, event in log.follow():
            yield _json(event) + b"\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=_HEADERS)


def server_sent_events(log: EventLog, after: int = 0) -> StreamingResponse:
    """Return a log as server-sent events from number `after + 1` on, with heartbeats so that proxies keep the line."""

    async def frames() -> AsyncIterator[bytes]:
        events = log.follow(after)
        waiting = asyncio.ensure_future(anext(events, None))
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=_HEARTBEAT_S)
                if not done:
                    yield b": still here\n\n"
                    continue
                numbered = waiting.result()
                if numbered is None:
                    return
                waiting = asyncio.ensure_future(anext(events, None))
                number, event = numbered
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.type.encode(), _json(event))
        finally:
            waiting.cancel()

    return StreamingResponse(frames(), media_type="text/event-stream", headers=_HEADERS)


def _json(event: Event) -> bytes:
    return json.dumps(event.as_json(), separators=(",", ":")).encode()
