"""Which event of the page calls which handler."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.actions import Actions
from ui.page import Page
from ui.panel_parts import CHANGED, SESSION_SHOWN
from ui.turns import Turns

# Explicit everywhere: Gradio's default lets one user at a time use a handler.
_QUICK: dict[str, Any] = {
    "concurrency_limit": None,
    "show_progress": "hidden",
    "api_visibility": "private",
}

_FROM_BROWSER = """() => {
  return [new URLSearchParams(location.search).get('session') || '', window.innerWidth];
}"""
# The address names the session, so a reload shows it again; the conversation follows it, and the panels do.
_TO_ADDRESS = f"""(session) => {{
  const address = new URL(location.href);
  if (session) address.searchParams.set('session', session); else address.searchParams.delete('session');
  history.replaceState(null, '', address);
  window.glovebox?.watch?.(session ?? '');
  {SESSION_SHOWN}
}}"""
# On a phone an open side covers the page: whoever chose something there wants to see it.
_TO_MIDDLE = """() => {
  if (window.innerWidth <= 768) document.querySelector('#sessions-panel.open .toggle-button')?.click();
  else document.querySelector('#prompt textarea')?.focus();
}"""
# Gradio shows a waiting file as a nameless icon; names are put in as text, never as HTML.
_ATTACHED_NAMES = """(value) => {
  const list = document.createElement('div');
  for (const file of value?.files ?? []) {
    const name = document.createElement('span');
    name.textContent = file.orig_name || String(file.path).split('/').pop();
    list.append(name);
  }
  return list.innerHTML;
}"""


def wire(demo: gr.Blocks, page: Page, actions: Actions, turns: Turns) -> None:
    """Connect everything; call within `gr.Blocks`."""
    sides = [page.sessions, page.title, page.profile, page.export]
    opened = [page.session, page.notice, page.approval, page.model, page.banner, *sides]
    loaded = [page.person, page.sessions_panel, page.files_panel, *opened]
    asked = [page.session, page.prompt, page.attached, page.carried, page.notice, *sides]

    def then_watch(dependency: Any) -> None:
        dependency.then(None, page.session, js=_TO_ADDRESS, **_QUICK)

    then_watch(demo.load(actions.open_page, [page.session, page.width], loaded, js=_FROM_BROWSER, **_QUICK))

    then_watch(page.sessions.choose(actions.choose, None, opened, **_QUICK))
    page.sessions.rename(actions.rename, page.session, [page.notice, *sides], **_QUICK)
    then_watch(page.sessions.discard(actions.discard, page.session, opened, **_QUICK))
    then_watch(page.new_session.click(actions.new, None, opened, **_QUICK))
    page.new_session.click(None, js=_TO_MIDDLE, **_QUICK)
    page.sessions.choose(None, js=_TO_MIDDLE, **_QUICK)

    chosen = [page.session, page.model, page.profile, page.approval]
    then_watch(page.prompt.submit(actions.send, [page.prompt, *chosen, page.carried], asked, **_QUICK))
    page.prompt.change(None, page.prompt, page.attached, js=_ATTACHED_NAMES, **_QUICK)
    then_watch(page.conversation.act(turns.act, chosen, [page.session, page.notice], **_QUICK))
    page.conversation.gone(turns.gone, None, page.notice, **_QUICK)
    # Not queued: it must work while everything else waits.
    page.stop.click(actions.stop, page.session, None, queue=False, **_QUICK)

    again = {**_QUICK, "trigger_mode": "always_last"}
    page.conversation.pulse(actions.refresh, page.session, [page.notice, *sides], **again)
    page.conversation.pulse(None, None, js=CHANGED, **again)
    page.model.input(actions.choose_model, [page.model, page.session], [page.banner, page.notice], **_QUICK)
    page.approval.input(actions.choose_approval, [page.approval, page.session], page.notice, **_QUICK)
    then_watch(page.files.begin(actions.begin, [page.profile, page.approval], opened, **_QUICK))
