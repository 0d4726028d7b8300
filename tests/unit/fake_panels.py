"""The part of the fake API that the panels ask: settings, tokens, keys, accounts, sandboxes, shares, files."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from tests.unit.fake_turn import Session, now

JSON = dict[str, Any]
LIMITS = {"cpus": 2, "memory_mb": 2048, "pids": 256, "disk_mb": 2048, "cell_timeout_s": 600}


def add_panels(app: FastAPI, sessions: dict[str, Session]) -> None:
    """Add the routes."""
    _add_me(app)
    _add_accounts(app)
    _add_admin(app, sessions)
    _add_sessions(app, sessions)
    _add_files(app, sessions)


def problem(status: int, code: str, detail: str) -> Response:
    document = {"title": code, "status": status, "detail": detail, "code": code}
    return JSONResponse(document, status, media_type="application/problem+json")


def _add_me(app: FastAPI) -> None:  # noqa: C901  (one short handler for each call)
    settings: JSON = {
        "instructions": "",
        "language": None,
        "theme": "system",
        "fold_code": True,
        "default_model": None,
        "default_profile": None,
    }
    keys: dict[str, JSON] = {}
    tokens: list[JSON] = []
    app.state.settings = settings

    @app.get("/v1/me/settings")
    async def told() -> JSON:
        return settings

    @app.put("/v1/me/settings")
    async def set_(wanted: JSON) -> JSON:
        settings.update(wanted)
        return settings

    @app.get("/v1/me/usage")
    async def usage() -> JSON:
        return {"tokens_today": 18_204, "cost_today": 0.31, "tokens_per_day": 200_000, "cost_per_day": None,
                "disk_bytes": 734_003_200, "disk_mb": 10_240}  # fmt: skip

    @app.put("/v1/me/password")
    async def password(wanted: JSON) -> Response:
        if wanted["old"] != "correct horse":
            return problem(401, "wrong_password", "The old password is wrong.")
        return Response(status_code=204)

    @app.get("/v1/me/keys")
    async def listed() -> list[JSON]:
        return list(keys.values())

    @app.put("/v1/me/keys/{provider}")
    async def key(provider: str, wanted: JSON) -> Response:
        if provider == "demo":
            return problem(422, "no_own_keys", "Keys of one's own are not allowed for demo.")
        keys[provider] = {"provider": provider, "hint": f"…{wanted['key'][-4:]}", "created_at": now()}
        return Response(status_code=204)

    @app.delete("/v1/me/keys/{provider}")
    async def forget(provider: str) -> Response:
        keys.pop(provider, None)
        return Response(status_code=204)

    @app.get("/v1/tokens")
    async def token_list() -> list[JSON]:
        return [{name: each[name] for name in ("id", "name", "created_at", "used_at")} for each in tokens]

    @app.post("/v1/tokens", status_code=201)
    async def token(wanted: JSON) -> JSON:
        made = {"id": f"t{len(tokens)}", "name": wanted["name"], "created_at": now(), "used_at": None}
        tokens.append(made)
        return made | {"token": "gbt_0123456789abcdef_secret"}

    @app.delete("/v1/tokens/{tid}")
    async def revoke(tid: str) -> Response:
        tokens[:] = [each for each in tokens if each["id"] != tid]
        return Response(status_code=204)


def _add_accounts(app: FastAPI) -> None:
    users: dict[str, JSON] = {
        name: {"id": name, "name": name, "role": role, "disabled": off, "password": True, "created_at": now()}
        for name, role, off in (("ann", "admin", False), ("bob", "member", False), ("zoe", "member", True))
    }

    @app.get("/v1/users")
    async def listed() -> list[JSON]:
        return list(users.values())

    @app.post("/v1/users", status_code=201)
    async def add(wanted: JSON) -> Any:
        if wanted["name"] in users:
            return problem(409, "name_taken", f"There is an account {wanted['name']!r} already.")
        made = {"id": wanted["name"], "name": wanted["name"], "role": wanted.get("role", "member"), "disabled": False,
                "password": "password" in wanted, "created_at": now()}  # fmt: skip
        users[wanted["name"]] = made
        return made

    @app.patch("/v1/users/{name}")
    async def change(name: str, wanted: JSON) -> Any:
        if wanted.get("role") == "member" and name == "ann":
            return problem(409, "last_admin", "ann is the last admin who can come in.")
        wanted.pop("password", None)
        users[name].update(wanted)
        return users[name]


def _add_admin(app: FastAPI, sessions: dict[str, Session]) -> None:
    asked: list[str] = []
    stopped: set[str] = set()
    app.state.admin_asked = asked

    @app.get("/v1/admin/sandboxes")
    async def sandboxes() -> JSON:
        asked.append(now())
        looked = [
            {"session_id": sid, "name": each.about["name"], "owner": "ann", "profile": each.about["profile"],
             "state": each.about["state"], "queue_place": None, "cell_runs_s": 12.0 if each.turn else None,
             "memory_bytes": 210_000_000, "cpu_s": 1.2 * len(asked), "pids": 12, "disk_bytes": 8_400_000}
            for sid, each in sessions.items() if each.about["state"] != "asleep" and sid not in stopped
        ]  # fmt: skip
        return {"capacity": {"memory_mb": 15_360, "cpus": 32.0}, "waiting": 1, "warm": {"standard": 1},
                "promised": {"memory_mb": 2048.0 * len(looked), "cpus": 2.0 * len(looked)},
                "sandboxes": looked}  # fmt: skip

    @app.post("/v1/admin/sandboxes/{sid}/stop")
    async def stop(sid: str) -> Response:
        stopped.add(sid)
        return Response(status_code=204)


def _add_sessions(app: FastAPI, sessions: dict[str, Session]) -> None:
    shares: dict[str, set[str]] = {}

    @app.post("/v1/sessions/{sid}/interrupt")
    @app.post("/v1/sessions/{sid}/restart")
    async def done(sid: str) -> Response:
        return Response(status_code=204)

    @app.post("/v1/sessions/{sid}/sleep")
    async def sleep(sid: str) -> Response:
        sessions[sid].about["state"] = "asleep"
        return Response(status_code=204)

    @app.get("/v1/sessions/{sid}/shares")
    async def readers(sid: str) -> list[JSON]:
        return [{"name": name} for name in sorted(shares.get(sid, ()))]

    @app.put("/v1/sessions/{sid}/shares/{name}")
    async def share(sid: str, name: str) -> Response:
        if name not in {"bob", "zoe"}:
            return problem(404, "no_such_account", f"There is no account {name!r}.")
        shares.setdefault(sid, set()).add(name)
        return Response(status_code=204)

    @app.delete("/v1/sessions/{sid}/shares/{name}")
    async def unshare(sid: str, name: str) -> Response:
        shares.get(sid, set()).discard(name)
        return Response(status_code=204)


def _add_files(app: FastAPI, sessions: dict[str, Session]) -> None:
    @app.post("/v1/sessions/{sid}/files/{path:path}/rename")
    async def rename(sid: str, path: str, wanted: JSON) -> Any:
        files = sessions[sid].files
        if wanted["to"] in files:
            return problem(409, "file_exists", f"There is a file {wanted['to']!r} already.")
        for each in [each for each in files if each == path or each.startswith(f"{path}/")]:
            files[wanted["to"] + each.removeprefix(path)] = files.pop(each)
        return {"path": wanted["to"], "size": 0}

    @app.post("/v1/sessions/{sid}/files/{path:path}/undo")
    async def undo(sid: str, path: str) -> Response:
        old = sessions[sid].replaced.pop(path, None)
        if old is None:
            sessions[sid].files.pop(path, None)
        else:
            sessions[sid].files[path] = old
        return Response(status_code=204)

    @app.get("/v1/sessions/{sid}/archive")
    async def archive(sid: str, request: Request) -> Response:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, (content, _) in sessions[sid].files.items():
                archive.writestr(path, content)
        return Response(packed.getvalue(), media_type="application/zip")
