"""The login page: a plain form that needs no script. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ui.places import at

SSO_PATH = "/login/sso"
# Nothing is loaded and no script runs; the form goes nowhere else.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
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
a { display: block; margin-top: 16px; color: var(--accent); text-align: center; }
p { margin: 0 0 8px; color: var(--red); }
"""


def document(texts: Mapping[str, str], lang: str, remark: str = "", name: str = "", *, sso: bool = False) -> str:
    """Return the page."""
    other_way = f'<a href="{at(SSO_PATH)}">{escape(texts["sso"])}</a>' if sso else ""
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
        f"<button>{escape(texts['enter'])}</button></form>{other_way}</main></body></html>"
    )
