"""The routes of logging in and out, by a password or by a provider of single sign-on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ui import languages, words
from ui.api_client import Api, ApiError
from ui.login_page import POLICY, SSO_PATH, document
from ui.logins import Logins, bearer, cookie, flow_cookie, flow_of, login_of
from ui.places import at

LOGIN_PATH = "/login"
CALLBACK_PATH = "/login/callback"
LOGOUT_PATH = "/logout"
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
_FORM_BYTES = 8192
_SESSION = re.compile(r"[0-9a-f]{32}")


class LoginDoors:
    """The handlers."""

    def __init__(self, api: Api, logins: Logins) -> None:
        self._api = api
        self._logins = logins

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        for path, handler, method in (
            (LOGIN_PATH, self.show, "GET"),
            (LOGIN_PATH, self.enter, "POST"),
            (SSO_PATH, self.sign_on, "GET"),
            (CALLBACK_PATH, self.come_back, "GET"),
            (LOGOUT_PATH, self.leave, "POST"),
        ):
            router.add_api_route(path, handler, methods=[method], response_model=None)
        return router

    async def show(self, request: Request) -> Response:
        """Show the login page, where people log in."""
        if not await self._are_needed():
            return RedirectResponse(at("/"), HTTPStatus.SEE_OTHER)
        return await self._page(request, request.query_params.get("why", ""))

    async def enter(self, request: Request) -> Response:
        """Log in with name and password."""
        form = await _form(request)
        name = form.get("name", "")
        try:
            login = await self._api.log_in(name, form.get("password", ""), _about(request))
        except ApiError as error:
            return await self._trouble(request, error, name)
        answer = RedirectResponse(_target(request), HTTPStatus.SEE_OTHER)
        answer.headers.append("Set-Cookie", cookie(login, secure=_over_tls(request)))
        return answer

    async def sign_on(self, request: Request) -> Response:
        """Send the browser to the provider of single sign-on."""
        try:
            begun = await self._api.begin_sso()
        except ApiError as error:
            return await self._trouble(request, error)
        answer = RedirectResponse(begun["url"], HTTPStatus.SEE_OTHER)
        secure = begun["redirect_uri"].startswith("https://")
        answer.headers.append("Set-Cookie", flow_cookie(begun["flow"], secure=secure))
        return answer

    async def come_back(self, request: Request) -> Response:
        """Log in whom the provider sends back."""
        flow, secure = flow_of(request.headers)
        told = {name: request.query_params[name] for name in ("state", "code", "iss") if name in request.query_params}
        if "code" not in told or "state" not in told:
            return await self._page(request, "login_refused", status=HTTPStatus.UNAUTHORIZED)
        try:
            login = await self._api.finish_sso(told | {"flow": flow}, _about(request))
        except ApiError as error:
            return await self._trouble(request, error)
        # A redirect would still count as the provider's, and a strict cookie would not come along.
        answer = HTMLResponse(f'<!doctype html><meta http-equiv="refresh" content="0;url={at("/")}">', headers=_HEADERS)
        answer.headers.append("Set-Cookie", cookie(login, secure=secure))
        answer.headers.append("Set-Cookie", flow_cookie("", secure=secure))
        return answer

    async def leave(self, request: Request) -> Response:
        """Log out: the login ends, wherever else it is used."""
        if (login := login_of(request.headers)) is not None:
            who = bearer(login)
            try:
                await self._api.of(who).log_out()
            except ApiError as error:
                if error.status != HTTPStatus.UNAUTHORIZED:
                    return await self._trouble(request, error)
            self._logins.forget(who)
        answer = RedirectResponse(at(f"{LOGIN_PATH}?why=out"), HTTPStatus.SEE_OTHER)
        for secure in (True, False):
            answer.headers.append("Set-Cookie", cookie("", secure=secure))
        return answer

    async def _are_needed(self) -> bool:
        try:
            return await self._logins.are_needed()
        except ApiError:
            return True

    async def _trouble(self, request: Request, error: ApiError, name: str = "") -> HTMLResponse:
        return await self._page(request, error.code, error.detail, error.status or HTTPStatus.BAD_GATEWAY, name)

    async def _page(
        self, request: Request, why: str, otherwise: str = "", status: int = HTTPStatus.OK, name: str = ""
    ) -> HTMLResponse:
        lang = languages.wanted(request.headers)
        with languages.speaking(lang):
            texts = words.LOGIN
        try:
            sso = await self._logins.sso()
        except ApiError:
            sso = False
        return HTMLResponse(document(texts, lang, texts.get(why, otherwise), name, sso=sso), status, _HEADERS)


def to_login(path: str, query: Mapping[str, str], why: str) -> str:
    """Return where a browser without a login is sent to from here, so that it comes back to the same session."""
    session = query.get("session", "") if path == "/" else ""
    asked = [f"why={why}"] if why else []
    asked += [f"session={session}"] if _SESSION.fullmatch(session) else []
    return at(LOGIN_PATH) + ("?" + "&".join(asked) if asked else "")


def _target(request: Request) -> str:
    session = request.query_params.get("session", "")
    return at(f"/?session={session}" if _SESSION.fullmatch(session) else "/")


def _over_tls(request: Request) -> bool:
    """Tell whether the browser sees https: it says so itself, and the guard has checked that the name is ours."""
    told = request.headers.get("origin", "").startswith("https://"), request.headers.get("x-forwarded-proto") == "https"
    return any(told)


def _about(request: Request) -> dict[str, str]:
    """Return what the API is told of the browser; which of the addresses it believes is its own business."""
    before = request.headers.get("x-forwarded-for", "")
    came_by = ", ".join(filter(None, [before, request.client.host if request.client else ""]))
    return {"User-Agent": request.headers.get("user-agent", "")[:200], "X-Forwarded-For": came_by}


async def _form(request: Request) -> dict[str, str]:
    """Return a form's fields; of one that is too large to be ours, none."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            return {}
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}
