"""What the server draws at the sides of the page, as HTML. Everything in them is escaped here. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from urllib.parse import quote

from ui import words
from ui.api_client import Person, Session
from ui.places import at
from ui.sizes import age_words


def session_rows(sessions: Sequence[Session], current: str, now: datetime) -> list[tuple[str, str]]:
    """Return the rows of the list of conversations by their ids; the current one is marked."""
    return [(each["id"], _session_row(each, current, now)) for each in sessions]


def title(session: Session | None) -> str:
    """Return what stands above the conversation."""
    name = session["name"] or words.UNNAMED if session else ""
    profile = f"<small>{escape(session['profile'])}</small>" if session else ""
    return f"<h1>{escape(name or words.TITLE)}</h1>{profile}"


def export_link(session: str) -> str:
    """Return the links to the conversation as a notebook, a page and Markdown; nothing without a session."""
    if not session:
        return ""
    url = f"{at('/export/')}{quote(session, safe='')}"
    forms = (("", words.EXPORT), ("?form=html", words.EXPORT_PAGE), ("?form=md", words.EXPORT_MARKDOWN))
    links = (f'<a class="gb-export" href="{url}{form}" download>{escape(name)}</a>' for form, name in forms)
    return f'<div class="gb-exports">{"".join(links)}</div>'


def person(who: Person) -> str:
    """Return who is logged in, with the way out; nothing where there are no logins."""
    if who["mode"] == "one":
        return ""
    way_out = f"<button>{escape(words.LOG_OUT)}</button>" if who["can_log_out"] else ""
    return (
        f'<form class="gb-person" method="post" action="{at("/logout")}"><span title="{escape(who["role"])}">'
        f"{escape(who['name'])}</span>{way_out}</form>"
    )


def _session_row(session: Session, current: str, now: datetime) -> str:
    name = escape(session["name"] or words.UNNAMED)
    state = escape(words.SESSION_STATES.get(session["state"], session["state"]))
    by = words.SHARED_BY.format(name=session["shared_by"]) if session["shared_by"] else ""
    age = age_words(session["last_active_at"], now)
    about = f'<small class="{"gb-by" if by else "gb-age"}">{escape(by or age)}</small>'
    chosen = ' aria-current="page"' if session["id"] == current else ""
    return (
        f'<li class="gb-row" data-id="{escape(session["id"])}">'
        f'<a class="gb-name" data-act="choose" href="?session={quote(session["id"], safe="")}"{chosen}'
        f' title="{name}: {state}">'
        f'<span class="gb-dot gb-{escape(session["state"])}" aria-label="{state}"></span>'
        f'<span class="gb-label">{name}</span>'
        f"{about}</a>"
        f"{'' if by else _own_session_tools(name)}</li>"
    )


def _own_session_tools(name: str) -> str:
    return (
        f'<input class="gb-rename" value="{name}" maxlength="200" aria-label="{escape(words.RENAME)}">'
        f"{_button('edit', words.RENAME, name, '✎')}{_button('ask', words.DELETE, name, '✕')}"
        f"{_question(words.DELETE_SESSION)}"
    )


def _button(act: str, label: str, name: str, sign: str) -> str:
    label = escape(label)
    named = f'aria-label="{label} {name}" title="{label}"'
    return f'<button type="button" class="gb-act" data-act="{act}" {named}>{sign}</button>'


def _question(text: str) -> str:
    return (
        f'<div class="gb-question"><span>{escape(text)}</span>'
        f'<button type="button" class="gb-danger" data-act="discard">{escape(words.DELETE)}</button>'
        f'<button type="button" data-act="keep">{escape(words.KEEP)}</button></div>'
    )
