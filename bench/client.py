"""Glovebox's API as a client sees it: one keep-alive connection, as the page or a script would hold.

What is timed in milliseconds goes over the standard library's client: a larger one takes as long as the whole API does.
"""

import http.client
import json
import re
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from bench.errors import WrongResult

CHUNK_BYTES = 2**20
_TIMEOUT_S = 300


class Api:
    """A client of one orchestrator."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx2.Client(base_url=base_url, timeout=_TIMEOUT_S, trust_env=False)
        self._quick = http.client.HTTPConnection(base_url.removeprefix("http://"), timeout=_TIMEOUT_S)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._quick.close()

    def ready(self) -> str | None:
        """Return None when the service is ready, or what it (or its absence) says instead."""
        try:
            reply = self._client.get("/readyz")
        except httpx2.HTTPError as error:
            return repr(error)
        return None if reply.is_success else reply.text

    def make_session(self) -> str:
        """Make a session and return its id."""
        return str(self._post("/v1/sessions", {})["id"])

    def import_notebook(self, notebook: bytes, name: str) -> str:
        """Make a session of a notebook and return its id."""
        reply = self._client.post("/v1/sessions/import", params={"name": name}, content=notebook)
        return str(_checked(reply).json()["id"])

    def states(self) -> list[str]:
        """Return the states of all sessions."""
        return [session["state"] for session in _checked(self._client.get("/v1/sessions")).json()]

    def waiting(self) -> int:
        """Return how many warm sandboxes wait for a session."""
        found = re.findall(r"^glovebox_warm_sandboxes\{.*\} (\S+)$", _checked(self._client.get("/metrics")).text, re.M)
        return int(sum(float(number) for number in found))

    def delete_session(self, session: str) -> None:
        """Delete a session with its container and files."""
        _checked(self._client.delete(f"/v1/sessions/{session}"))

    def run(self, session: str, code: str) -> dict[str, Any]:
        """Run a cell and return it.

        Raises:
            WrongResult: the cell did not end well.

        """
        cell = self.try_to_run(session, code)
        if cell["status"] != "ok":
            raise WrongResult(f"a cell ended with {cell['status']}: {cell['outputs']}")
        return cell

    def try_to_run(self, session: str, code: str) -> dict[str, Any]:
        """Run a cell and return it, however it ended."""
        url = f"/v1/sessions/{session}/executions"
        return self._post(url, {"code": code})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._quick.sock is not None and select.select([self._quick.sock], [], [], 0)[0]:
            self._quick.close()  # the server has ended it: nobody used it for a while
        self._quick.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        reply = self._quick.getresponse()
        content = reply.read()
        if not 200 <= reply.status < 300:
            raise WrongResult(f"POST {path} was answered {reply.status}: {content.decode(errors='replace')}")
        answer: dict[str, Any] = json.loads(content)
        return answer

    def run_watched(self, session: str, code: str) -> Iterator[dict[str, Any]]:
        """Run a cell and yield its events as they arrive."""
        headers = {"Accept": "application/x-ndjson"}
        url = f"/v1/sessions/{session}/executions"
        with self._client.stream("POST", url, json={"code": code}, headers=headers) as reply:
            _checked(reply)
            for line in reply.iter_lines():
                yield json.loads(line)

    def say(self, session: str, content: str, model: str) -> Iterator[dict[str, Any]]:
        """Say something to a model and yield the turn's events as they arrive."""
        body = {"content": content, "model": model}
        with self._client.stream("POST", f"/v1/sessions/{session}/messages", json=body) as reply:
            _checked(reply)
            for line in reply.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

    def stop(self, session: str) -> None:
        """Stop the turn that runs."""
        _checked(self._client.post(f"/v1/sessions/{session}/stop"))

    def state(self, session: str) -> str:
        """Return a session's state."""
        return str(_checked(self._client.get(f"/v1/sessions/{session}")).json()["state"])

    def upload(self, session: str, path: str, source: Path) -> None:
        """Send a file, streamed."""
        headers = {"Content-Length": str(source.stat().st_size)}
        _checked(self._client.put(_file(session, path), content=_chunks(source), headers=headers))

    def download(self, session: str, path: str, target: Path) -> None:
        """Fetch a file into another, streamed."""
        with self._client.stream("GET", _file(session, path)) as reply, target.open("wb") as file:
            _checked(reply)
            for chunk in reply.iter_raw(CHUNK_BYTES):
                file.write(chunk)

    def delete_file(self, session: str, path: str) -> None:
        """Delete a file."""
        _checked(self._client.delete(_file(session, path)))


def _file(session: str, path: str) -> str:
    return f"/v1/sessions/{session}/files/{path}"


def _chunks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _checked(reply: httpx2.Response) -> httpx2.Response:
    if not reply.is_success:
        reply.read()
        raise WrongResult(
            f"{reply.request.method} {reply.request.url.path} was answered {reply.status_code}: {reply.text}"
        )
    return reply
