"""Which event of the page calls which handler."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.actions import Actions
from ui.page import Page
from ui.panel_parts import CHANGED
from ui.turns import Turns

# Explicit everywhere: Gradio's default lets one user at a time use a handler.
_QUICK: dict[str, Any] = {
    "concurrency_limit": None,
    "show_progress": "hidden",
    "api_visibility": "private",
}

_FROM_BROWSER = """() => {
  window.glovebox.began = new URLSearchParams(location.search).get('session') || '';
  return [window.glovebox.began, window.innerWidth];
}"""
# Whoever was quicker than the page and has begun a session keeps it.
_LOADED = """(session) => {
  const now = () => new URLSearchParams(location.search).get('session') || '';
  if (now() === window.glovebox.began) window.glovebox.open(session ?? '');
  return now();
}"""
# The address names the session, so a reload shows it again; the conversation follows it, and the panels do.
_TO_ADDRESS = "(session) => { window.glovebox.open(session ?? ''); }"
# The address knows a new session before Gradio's component does: who stops its first answer at once means that one.
_OF_ADDRESS = """(_, ...others) => {
  return [new URLSearchParams(location.search).get('session') || '', ...others];
}"""
# On a phone an open side covers the page: whoever chose something there wants to see it.
_TO_MIDDLE = """() => {
  if (window.innerWidth <= 768) document.querySelector('#sessions-panel.open .toggle-button')?.click();
  else document.querySelector('#prompt textarea')?.focus();
}"""
# Gradio shows a waiting file as a nameless icon; names are put in as text, never as HTML.
_ATTACHED_NAMES = """(value) => {
  window.glovebox.attached = value?.files ?? [];
  const list = document.createElement('div');
  for (const file of window.glovebox.attached) {
    const name = document.createElement('span');
    name.textContent = file.orig_name || String(file.path).split('/').pop();
    list.append(name);
  }
  return list.innerHTML;
}"""
# What composer.js has to say, and what it leaves attached: Gradio shows both.
_SAID = "() => window.glovebox.said"
_ATTACHED = "() => ({ text: document.querySelector('#prompt textarea').value, files: window.glovebox.attached })"


def wire(demo: gr.Blocks, page: Page, actions: Actions, turns: Turns) -> None:
    """Connect everything; call within `gr.Blocks`."""
    opened = [page.session, page.notice, page.approval, page.model, page.banner]
    loaded = [page.person, page.sessions_panel, page.files_panel, page.profile, *opened]

    def then_watch(dependency: Any) -> None:
        dependency.then(None, page.session, js=_TO_ADDRESS, **_QUICK)

    shown = demo.load(actions.open_page, [page.session, page.width], loaded, js=_FROM_BROWSER, **_QUICK)
    shown.then(None, page.session, page.session, js=_LOADED, **_QUICK)

    then_watch(page.sessions.choose(actions.choose, None, opened, **_QUICK))
    page.sessions.rename(actions.rename, None, page.notice, **_QUICK).then(None, js=CHANGED, **_QUICK)
    then_watch(page.sessions.discard(actions.discard, page.session, opened, **_QUICK))
    then_watch(page.new_session.click(actions.new, None, opened, **_QUICK))
    page.new_session.click(None, js=_TO_MIDDLE, **_QUICK)
    page.sessions.choose(None, js=_TO_MIDDLE, **_QUICK)

    chosen = [page.session, page.model, page.profile, page.approval]
    page.prompt.change(None, page.prompt, page.attached, js=_ATTACHED_NAMES, **_QUICK)
    page.composer.said(None, None, page.notice, js=_SAID, **_QUICK)
    page.composer.attached(None, None, page.prompt, js=_ATTACHED, **_QUICK)
    then_watch(page.conversation.act(turns.act, chosen, [page.session, page.notice], js=_OF_ADDRESS, **_QUICK))
    page.conversation.gone(turns.gone, None, page.notice, **_QUICK)
    # Not queued: it must work while everything else waits.
    page.stop.click(actions.stop, page.session, None, js=_OF_ADDRESS, queue=False, **_QUICK)

    page.model.input(actions.choose_model, [page.model, page.session], [page.banner, page.notice], **_QUICK)
    page.approval.input(actions.choose_approval, [page.approval, page.session], page.notice, **_QUICK)
    then_watch(page.files.begin(actions.begin, [page.profile, page.approval], opened, **_QUICK))
