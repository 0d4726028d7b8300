"""A stand-in for the orchestrator: speaks docs/api.md from memory, with one scripted turn.

For unit tests of the page, and to look at it: `python -m uvicorn --port 18800 tests.unit.fake_api:app`.
A message that starts with `slow` takes its time, `hold` goes on until it is stopped, `fail` ends in a problem,
`rich` shows every kind of output, `think` thinks first, `break` begins its reply twice, `flood` prints a lot, and what
begins with `!` is one's own code.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import os
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.unit.fake_panels import LIMITS, add_panels
from tests.unit.fake_turn import Script, Session, Turn, now

JSON = dict[str, Any]

MODELS = [
    {"id": "glovebox-demo", "provider": "demo", "available": True, "detail": None, "default": True},
    {"id": "gpt-5.5", "provider": "openai", "available": True, "detail": None, "default": False},
    {"id": "no-key", "provider": "other", "available": False, "detail": "OTHER_KEY is not set", "default": False},
]
PROFILES = [
    {"name": "standard", "default": True, "limits": {"memory_mb": 2048}},
    {"name": "small", "default": False, "limits": {"memory_mb": 512}},
]


def create(pace: float = 0.0) -> FastAPI:  # noqa: C901  (one short handler for each call)
    """Make the API; `pace` is the pause between two deltas, in seconds."""
    app = FastAPI()
    sessions: dict[str, Session] = {}
    add_panels(app, sessions)

    def problem(status: int, code: str, detail: str) -> Response:
        document = {"type": f"urn:glovebox:problem:{code}", "title": code.replace("_", " ").capitalize(),
                    "status": status, "detail": detail, "code": code}  # fmt: skip
        return JSONResponse(document, status, media_type="application/problem+json")

    def missing(sid: str) -> Response:
        return problem(404, "session_not_found", f"No session has the id {sid!r}.")

    @app.get("/v1/login")
    async def ways_in() -> JSON:
        return {"mode": "one"}

    @app.get("/v1/me")
    async def me() -> JSON:
        return {"id": "local", "name": "local", "role": "admin", "mode": "one", "can_log_out": False}

    @app.get("/v1/models")
    async def models() -> list[JSON]:
        return MODELS

    @app.get("/v1/profiles")
    async def profiles() -> list[JSON]:
        return PROFILES

    @app.get("/v1/sessions")
    async def listed(search: str = "") -> list[JSON]:
        text = search.lower()
        found = [each for each in sessions.values() if text in f"{each.about['name']} {each.tree}".lower()]
        return sorted((each.about for each in found), key=lambda each: each["last_active_at"], reverse=True)

    @app.post("/v1/sessions", status_code=201)
    async def made(wanted: JSON) -> JSON:
        sid = f"s{len(sessions) + 1}x{os.urandom(4).hex()}"
        about = {"id": sid, "name": wanted.get("name") or "Session", "profile": wanted.get("profile") or "standard",
                 "state": "asleep", "created_at": now(), "last_active_at": now(), "limits": LIMITS,
                 "usage": {"disk_bytes": 0}, "shared_by": None,
                 "model": None, "approval": "auto", "instructions": ""}  # fmt: skip
        sessions[sid] = Session(about)
        return about

    @app.get("/v1/sessions/{sid}")
    async def looked(sid: str) -> Any:
        return sessions[sid].about if sid in sessions else missing(sid)

    @app.patch("/v1/sessions/{sid}")
    async def renamed(sid: str, wanted: JSON) -> Any:
        if sid not in sessions:
            return missing(sid)
        sessions[sid].about |= wanted
        return sessions[sid].about

    @app.delete("/v1/sessions/{sid}")
    async def deleted(sid: str) -> Response:
        return Response(status_code=204) if sessions.pop(sid, None) else missing(sid)

    @app.get("/v1/sessions/{sid}/files")
    async def files(sid: str) -> Any:
        if sid not in sessions:
            return missing(sid)
        kept = sessions[sid].files
        return [
            {"path": path, "size": len(content), "modified_at": when, "mime_type": mimetypes.guess_type(path)[0]}
            for path, (content, when) in sorted(kept.items())
        ]

    @app.post("/v1/sessions/{sid}/files", status_code=204)
    async def asked_for_room(sid: str, coming: JSON) -> Response:
        if coming["bytes"] > LIMITS["disk_mb"] * 2**20:
            return problem(507, "disk_full", "The session's disk limit leaves less.")
        return Response(status_code=204)

    @app.put("/v1/sessions/{sid}/files/{path:path}")
    async def put(sid: str, path: str, request: Request) -> Response:
        if sid not in sessions:
            return missing(sid)
        if path.startswith("forbidden"):
            return problem(422, "bad_name", "That name is forbidden.")
        replaced = path in sessions[sid].files
        if replaced:
            sessions[sid].replaced[path] = sessions[sid].files[path]
        content = await request.body()
        sessions[sid].files[path] = (content, now())
        return JSONResponse({"path": path, "size": len(content), "replaced": replaced}, 200 if replaced else 201)

    @app.get("/v1/sessions/{sid}/files/{path:path}")
    async def got(sid: str, path: str, request: Request) -> Response:
        if sid not in sessions or path not in sessions[sid].files:
            return problem(404, "file_not_found", f"There is no file {path!r}.")
        content = sessions[sid].files[path][0]
        asked = request.headers.get("range", "").removeprefix("bytes=")
        if asked:
            first, last = (int(number or len(content) - 1) for number in asked.split("-"))
            part = content[first : last + 1]
            where = {"content-range": f"bytes {first}-{last}/{len(content)}", "accept-ranges": "bytes"}
            return Response(part, 206, where, "text/csv")
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return Response(content, 200, {"accept-ranges": "bytes"}, kind)

    @app.delete("/v1/sessions/{sid}/files/{path:path}")
    async def removed(sid: str, path: str) -> Response:
        for each in [each for each in sessions[sid].files if each == path or each.startswith(f"{path}/")]:
            sessions[sid].files.pop(each)
        return Response(status_code=204)

    @app.get("/v1/sessions/{sid}/messages")
    async def messages(sid: str) -> Any:
        return sessions[sid].shown() if sid in sessions else missing(sid)

    def begin(session: Session, asked: str, parent: str, model: str | None) -> Response:
        name = f"m{len(session.tree) + 1}x{os.urandom(2).hex()}"
        answer = session.add({"id": name, "role": "assistant", "model": model or "glovebox-demo", "status": "running",
                              "parts": [], "problem": None, "created_at": now()}, parent)  # fmt: skip
        session.about |= {"state": "busy", "last_active_at": now()}
        session.turn = turn = Turn(answer)
        turn.task = asyncio.create_task(Script(session, turn, pace).play(asked))
        return StreamingResponse(turn.log(0), media_type="text/event-stream")

    def running() -> Response:
        return problem(409, "turn_running", "An answer is being written in this session; wait for it, or stop it.")

    @app.post("/v1/sessions/import", status_code=201)
    async def imported(request: Request, name: str = "") -> Any:
        content = await request.body()
        if b'"cells"' not in content:
            return problem(422, "bad_notebook", "It has no list of 'cells'.")
        about = await made({"name": name})
        question = {"id": "q", "role": "user", "content": "I have imported the notebook.", "attachments": []}
        session = sessions[about["id"]]
        session.add(question | {"created_at": now()}, None)
        cells = [
            {"type": "cell", "cell_id": f"i{number}", "code": "".join(each["source"]), "execution_count": number,
             "status": "ok", "outputs": each.get("outputs", []), "duration_s": 0.0, "truncated": False, "files": []}
            for number, each in enumerate(json.loads(content)["cells"])
        ]  # fmt: skip
        answer = {"id": "a", "role": "assistant", "model": None, "status": "done", "parts": cells, "problem": None}
        session.add(answer | {"created_at": now()}, "q")
        return about

    @app.post("/v1/sessions/{sid}/cells/{cell}/run")
    async def run_again(sid: str, cell: str, wanted: JSON) -> Any:
        parts = [part for message in sessions[sid].tree.values() for part in message.get("parts") or []]
        part = next(part for part in parts if part.get("cell_id") == cell)
        if not wanted.get("in_place"):
            return await asked(sid, {"content": f"!{part['code']}"})
        # `raise …` fails, and what begins with `wait` ends when the session is interrupted.
        ename = "ValueError" if part["code"].startswith("raise") else ""
        if part["code"].startswith("wait"):
            await sessions[sid].interrupted.wait()
            sessions[sid].interrupted.clear()
            ename = "KeyboardInterrupt"
        printed: JSON = {"output_type": "stream", "name": "stdout", "text": f"ran {part['code']}"}
        raised: JSON = {"output_type": "error", "ename": ename, "evalue": "", "traceback": [ename]}
        part |= {"status": "error" if ename else "ok", "outputs": [raised if ename else printed], "duration_s": 0.1}
        return part

    @app.post("/v1/sessions/{sid}/messages")
    async def asked(sid: str, question: JSON) -> Response:
        session = sessions.get(sid)
        if session is None:
            return missing(sid)
        if session.turn:
            return running()
        edits = question.get("edits")
        parent = session.tree[edits]["parent_id"] if edits else session.head
        name = f"m{len(session.tree) + 1}x{os.urandom(2).hex()}"
        session.add({"id": name, "role": "user", "content": str(question["content"]), "created_at": now(),
                     "attachments": question.get("attachments") or []}, parent)  # fmt: skip
        return begin(session, str(question["content"]), name, question.get("model"))

    @app.post("/v1/sessions/{sid}/messages/{mid}/regenerate")
    async def regenerated(sid: str, mid: str, wanted: JSON) -> Response:
        session = sessions[sid]
        if session.turn:
            return running()
        asked = (
            session.tree[mid] if session.tree[mid]["role"] == "user" else session.tree[session.tree[mid]["parent_id"]]
        )
        return begin(session, asked["content"], asked["id"], wanted.get("model"))

    @app.post("/v1/sessions/{sid}/messages/{mid}/show")
    async def branched(sid: str, mid: str) -> Response:
        sessions[sid].head = sessions[sid].leaf(mid)
        return Response(status_code=204)

    @app.delete("/v1/sessions/{sid}/messages/{mid}")
    async def dropped(sid: str, mid: str) -> Response:
        sessions[sid].drop(mid)
        return Response(status_code=204)

    @app.post("/v1/sessions/{sid}/approvals/{call}")
    async def decided(sid: str, call: str, decision: JSON) -> Response:
        waiting = sessions[sid].waiting.get(call)
        if waiting is None or waiting.done():
            return problem(404, "nothing_waits", "Nothing waits for this decision any more.")
        waiting.set_result(decision)
        return Response(status_code=204)

    @app.get("/v1/sessions/{sid}/events")
    async def events(sid: str, request: Request) -> Response:
        if sid not in sessions:
            return missing(sid)
        waits = int(request.headers.get("prefer", "wait=0").removeprefix("wait=")) * 50
        while sessions[sid].turn is None and waits and not await request.is_disconnected():
            waits -= 1
            await asyncio.sleep(0.02)
        turn = sessions[sid].turn
        if turn is None:
            return Response(status_code=204)
        return StreamingResponse(turn.log(int(request.headers.get("last-event-id", 0))), media_type="text/event-stream")

    @app.post("/v1/sessions/{sid}/stop")
    async def stopped(sid: str) -> Response:
        turn = sessions[sid].turn
        if turn:
            turn.stopping.set()
        sessions[sid].interrupted.set()
        return Response(status_code=204)

    @app.get("/v1/sessions/{sid}/export")
    async def exported(sid: str, request: Request) -> Response:
        if request.query_params["format"] != "ipynb":
            return Response(f"as {request.query_params['format']}", media_type="text/plain")
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
        name = quote(sessions[sid].about["name"])
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}.ipynb"}
        return Response(json.dumps(notebook), headers=headers, media_type="application/x-ipynb+json")

    return app


app = create(float(os.environ.get("FAKE_PACE", "0.04")))
