"""The page for admins: a document of its own, which asks the API by way of the page (see browser/admin.js)."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from ui import languages, panel_words, words
from ui.api_client import ApiError
from ui.doors import problem_response
from ui.front import known, language_cookie, tag, tastes_of
from ui.logins import Logins
from ui.places import at

ADMIN_PATH = "/admin"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_BROWSER = Path(__file__).parent / "browser"
_KINDS = {".js": "text/javascript", ".css": "text/css"}


def admin_doors(logins: Logins) -> APIRouter:
    """Make the routes: the page for admins, and the scripts of all panels."""
    router = APIRouter()
    there = {path.name: path for path in _BROWSER.iterdir() if path.suffix in _KINDS}

    @router.get("/browser/{name}", response_model=None)
    async def script(name: str) -> Response:
        path = there.get(name)
        if path is None:
            return problem_response(ApiError(words.NOT_FOUND, "not_found", 404))
        return FileResponse(path, headers={"Cache-Control": "no-cache"}, media_type=_KINDS[path.suffix])

    @router.get(ADMIN_PATH, response_model=None)
    async def admin(request: Request) -> Response:
        tastes = await tastes_of(logins, request.headers)
        try:
            me = await logins.api_for(request.headers).me()
        except ApiError as error:
            return problem_response(error)
        if me["role"] != "admin":
            return RedirectResponse(at("/"), 303)
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        if cookie := language_cookie(tastes):
            headers["Set-Cookie"] = cookie
        return HTMLResponse(document(json.dumps(known(tastes))), headers=headers)

    return router


def document(told: str) -> str:
    """Return the page; `told` is the JSON that its scripts begin with."""
    theme = json.loads(told)["theme"] or "system"
    data = told.replace("<", "\\u003c")
    return (
        f'<!doctype html><html lang="{tag(languages.spoken())}" data-theme="{theme}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(panel_words.ADMIN_TITLE)}</title>"
        f'<link rel="stylesheet" href="{at("/browser/admin.css")}">'
        f'<link rel="stylesheet" href="{at("/browser/panels.css")}">'
        f'<script type="application/json" id="glovebox-known">{data}</script>'
        f'<script type="module" src="{at("/browser/admin.js")}"></script></head>'
        f'<body class="gb-admin"><header><a href="{at("/")}">← {escape(panel_words.BACK_TO_CHAT)}</a>'
        f"<h1>{escape(panel_words.ADMIN_HEADING)}</h1></header>"
        f"<main><noscript>{escape(panel_words.NO_SCRIPTS)}</noscript></main></body></html>"
    )
