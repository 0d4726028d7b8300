"""The page for admins: a document of its own, which asks the API by way of the page (see browser/admin.js)."""

from __future__ import annotations

import json
from hashlib import sha256
from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ui import languages, panel_words, words
from ui.api_client import ApiError
from ui.assets import BROWSER, KINDS, our_folder
from ui.doors import problem_response
from ui.front import known, language_cookie, tag, tastes_of
from ui.logins import Logins
from ui.places import at

ADMIN_PATH = "/admin"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class _Script:
    """A file for browsers: asked for again each time, and sent again when it is another."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.kind = KINDS[path.suffix]
        self.tag = f'"{sha256(self.content).hexdigest()[:16]}"'


def admin_doors(logins: Logins) -> APIRouter:
    """Make the routes: the page for admins, and the scripts of all panels."""
    router = APIRouter()
    there = {path.name: _Script(path) for path in BROWSER.iterdir() if path.suffix in KINDS}

    @router.get("/browser/{version}/{name}", response_model=None)
    @router.get("/browser/{name}", response_model=None)
    async def script(name: str, request: Request) -> Response:
        found = there.get(name)
        if found is None:
            return problem_response(ApiError(words.NOT_FOUND, "not_found", 404))
        headers = {"Cache-Control": "no-cache", "ETag": found.tag}
        if request.headers.get("if-none-match") == found.tag:
            return Response(status_code=304, headers=headers)
        return Response(found.content, headers=headers, media_type=found.kind)

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
        f'<link rel="stylesheet" href="{at(our_folder())}/admin.css">'
        f'<link rel="stylesheet" href="{at(our_folder())}/panels.css">'
        f'<script type="application/json" id="glovebox-known">{data}</script>'
        f'<script type="module" src="{at(our_folder())}/admin.js"></script></head>'
        f'<body class="gb-admin"><header><a href="{at("/")}">← {escape(panel_words.BACK_TO_CHAT)}</a>'
        f"<h1>{escape(panel_words.ADMIN_HEADING)}</h1></header>"
        f"<main><noscript>{escape(panel_words.NO_SCRIPTS)}</noscript></main></body></html>"
    )
