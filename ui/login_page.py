"""The login page: a plain form that needs no script, and the routes beneath it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ui import words
from ui.api_client import Api, ApiError
from ui.logins import Logins, cookie, login_of

PATH = "/login"
# Nothing is loaded and no script runs; the form goes nowhere else.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
_FORM_BYTES = 8192
_SESSION = re.compile(r"[0-9a-f]{32}")
_STYLE = """
:root { color-scheme: light dark; --line: #cbd5e1; --soft: #f8fafc; --accent: #0f766e; --red: #b91c1c; }
@media (prefers-color-scheme: dark) {
  :root { --line: #334155; --soft: #0f172a; --accent: #2dd4bf; --red: #fca5a5; } body { background: #020617; }
}
* { box-sizing: border-box; }
body { display: grid; place-items: center; min-height: 100dvh; margin: 0; padding: 16px;
  font: 15px/1.5 Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif; }
main { width: 100%; max-width: 360px; padding: 28px; border: 1px solid var(--line); border-radius: 14px;
  background: var(--soft); }
h1 { margin: 0 0 20px; font-size: 20px; }
label { display: block; margin: 14px 0 4px; font-size: 13px; font-weight: 600; }
input { width: 100%; padding: 10px 12px; border: 1px solid var(--line); border-radius: 8px; font: inherit; }
button { width: 100%; margin-top: 20px; padding: 10px; border: 0; border-radius: 8px; background: #0f766e;
  color: white; font: inherit; font-weight: 600; cursor: pointer; }
:is(input, button):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
p { margin: 0 0 8px; color: var(--red); }
"""


def language(accepted: str) -> str:
    """Return which of the page's languages a browser wants most: of those it names, the first that there is."""
    for wanted in accepted.split(","):
        name = wanted.split(";")[0].strip().lower().split("-")[0]
        if name in words.LOGIN:
            return name
    return "en"


def document(texts: Mapping[str, str], lang: str, remark: str = "", name: str = "") -> str:
    """Return the page."""
    told = f'<p role="alert">{escape(remark)}</p>' if remark else ""
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(texts["title"])}</title>'
        f'<style>{_STYLE}</style></head><body><main><h1>{escape(texts["title"])}</h1>{told}<form method="post">'
        f'<label for="name">{escape(texts["name"])}</label>'
        f'<input id="name" name="name" value="{escape(name)}" autocomplete="username" autocapitalize="none" '
        f'maxlength="200" required{"" if name else " autofocus"}>'
        f'<label for="password">{escape(texts["password"])}</label>'
        f'<input id="password" name="password" type="password" autocomplete="current-password" maxlength="200" '
        f"required{' autofocus' if name else ''}>"
        f"<button>{escape(texts['enter'])}</button></form></main></body></html>"
    )


def login_doors(api: Api, logins: Logins) -> APIRouter:
    """Make the routes of logging in and out."""
    router = APIRouter()

    @router.get(PATH)
    async def show(request: Request) -> Response:
        if not await _is_for_logins(logins):
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        return _page(request, request.query_params.get("why", ""))

    @router.post(PATH)
    async def enter(request: Request) -> Response:
        form = await _form(request)
        name = form.get("name", "")
        about = {"User-Agent": request.headers.get("user-agent", "")[:200], "X-Forwarded-For": _came_by(request)}
        try:
            login = await api.log_in(name, form.get("password", ""), about)
        except ApiError as error:
            return _page(request, error.code, name, error.status or HTTPStatus.BAD_GATEWAY, error.detail)
        answer = RedirectResponse(_target(request), HTTPStatus.SEE_OTHER)
        answer.headers.append("Set-Cookie", cookie(login, secure=_over_tls(request)))
        return answer

    @router.post("/logout")
    async def leave(request: Request) -> Response:
        login = login_of(request.headers)
        if login is not None:
            try:
                await api.of(login).log_out()
            except ApiError as error:
                if error.status != HTTPStatus.UNAUTHORIZED:
                    return _page(request, error.code, "", error.status or HTTPStatus.BAD_GATEWAY, error.detail)
            logins.forget(login)
        answer = RedirectResponse(f"{PATH}?why=out", HTTPStatus.SEE_OTHER)
        for secure in (True, False):
            answer.headers.append("Set-Cookie", cookie("", secure=secure))
        return answer

    return router


def to_login(path: str, query: Mapping[str, str], why: str) -> str:
    """Return where a browser without a login is sent to from here, so that it comes back to the same session."""
    session = query.get("session", "") if path == "/" else ""
    asked = [f"why={why}"] if why else []
    asked += [f"session={session}"] if _SESSION.fullmatch(session) else []
    return PATH + ("?" + "&".join(asked) if asked else "")


async def _is_for_logins(logins: Logins) -> bool:
    try:
        return await logins.are_needed()
    except ApiError:
        return True


def _page(request: Request, why: str, name: str = "", status: int = HTTPStatus.OK, otherwise: str = "") -> HTMLResponse:
    lang = language(request.headers.get("accept-language", ""))
    texts = words.LOGIN[lang]
    return HTMLResponse(document(texts, lang, texts.get(why, otherwise), name), status, _HEADERS)


async def _form(request: Request) -> dict[str, str]:
    """Return a form's fields; of one that is too large to be ours, none."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}


def _target(request: Request) -> str:
    session = request.query_params.get("session", "")
    return f"/?session={quote(session)}" if _SESSION.fullmatch(session) else "/"


def _over_tls(request: Request) -> bool:
    """Tell whether the browser sees https: it says so itself, and the guard has checked that the name is ours."""
    told = request.headers.get("origin", "").startswith("https://"), request.headers.get("x-forwarded-proto") == "https"
    return any(told)


def _came_by(request: Request) -> str:
    """Return the addresses that this request came by, ours not among them; the API decides which it believes."""
    before = request.headers.get("x-forwarded-for", "")
    return ", ".join(filter(None, [before, request.client.host if request.client else ""]))
