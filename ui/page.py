"""What is on the page: its components and where they stand. What they do is in wiring.py."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from ui import words
from ui.katex import katex_files
from ui.panel_parts import part

_LISTS_SCRIPT = (Path(__file__).parent / "lists.js").read_text()
_SESSIONS_PLACE = '<ul class="gb-list"></ul><p class="gb-empty" hidden></p>'
_CONVERSATION_SCRIPT = "".join(
    (Path(__file__).parent / name).read_text()
    for name in ("conversation.js", "conversation_morph.js", "conversation_batch.js", "conversation_acts.js")
)


@dataclass(frozen=True)
class Page:
    """The components that change or are listened to."""

    # A component, as a gr.State does not reach `js=`.
    session: gr.Textbox
    width: gr.Number
    person: gr.HTML
    sessions_panel: gr.Sidebar
    new_session: gr.Button
    sessions: gr.HTML
    banner: gr.HTML
    conversation: gr.HTML
    notice: gr.HTML
    prompt: gr.MultimodalTextbox
    attached: gr.HTML
    composer: gr.HTML
    model: gr.Dropdown
    profile: gr.Dropdown
    approval: gr.Dropdown
    stop: gr.Button
    files_panel: gr.Sidebar
    files: gr.HTML


def lay_out() -> Page:
    """Put the components on the page; call within `gr.Blocks`."""
    session = gr.Textbox(visible="hidden", elem_id="session", show_label=False, container=False)
    width = gr.Number(visible="hidden", show_label=False, container=False)
    with gr.Sidebar(open=False, width=290, elem_id="sessions-panel") as sessions_panel:
        gr.HTML(f'<div class="gb-brand"><span class="gb-mark" aria-hidden="true"></span>{words.TITLE}</div>')
        person = gr.HTML(elem_id="person")
        new_session = gr.Button(words.NEW_SESSION, elem_id="new-session", variant="secondary", size="md")
        gr.HTML(f"<h2>{words.SESSIONS}</h2>")
        part("find")
        sessions = gr.HTML(_SESSIONS_PLACE, elem_id="sessions", js_on_load=_LISTS_SCRIPT)
        part("menu")
    with gr.Column(elem_id="middle", elem_classes="gb-empty"):
        # Title, list and links are filled by lists.js alone.
        gr.HTML(f"<h1>{words.TITLE}</h1>", elem_id="title")
        part("bar")
        banner = gr.HTML(elem_id="banner", visible=False)
        conversation = _conversation()
        with gr.Column(elem_id="composer"):
            gr.HTML('<p class="gb-offline" role="status"></p>', elem_id="offline")
            notice = gr.HTML(elem_id="notice")
            with gr.Column(elem_id="prompt"):
                prompt = _prompt()
                attached = gr.HTML(elem_id="attached")
            composer = part("sender", "said", "attached")
            with gr.Row(elem_id="controls"):
                model = _picker(words.MODEL, "model")
                profile = _picker(words.PROFILE, "profile")
                approval = _approval()
                gr.HTML('<span class="gb-meter"></span>', elem_id="meter")
                stop = gr.Button(words.STOP, elem_id="stop", variant="stop", size="sm", min_width=80)
    with gr.Sidebar(open=False, width=320, position="right", elem_id="files-panel") as files_panel:
        gr.HTML(f"<h2>{words.FILES}</h2>")
        files = part("files", "begin")
        gr.HTML(elem_id="export")
    return Page(
        session=session,
        width=width,
        person=person,
        sessions_panel=sessions_panel,
        new_session=new_session,
        sessions=sessions,
        banner=banner,
        conversation=conversation,
        notice=notice,
        prompt=prompt,
        attached=attached,
        composer=composer,
        model=model,
        profile=profile,
        approval=approval,
        stop=stop,
        files_panel=files_panel,
        files=files,
    )


def _conversation() -> gr.HTML:
    """Make the conversation's place, which conversation.js fills; it is never an output, so nothing else touches it."""
    katex = katex_files()
    drawn = f'data-katex-script="{katex[0]}" data-katex-style="{katex[1]}"' if katex else ""
    label = escape(words.CONVERSATION)
    return gr.HTML(
        f'<div class="gb-scroll" tabindex="-1"><div class="gb-welcome-place"></div>'
        f'<div class="gb-log" role="log" aria-live="off" aria-label="{label}" {drawn}></div></div>'
        f'<button type="button" class="gb-to-end" hidden aria-label="{escape(words.TO_END)}">↓</button>'
        '<p class="gb-announced" role="status"></p>',
        elem_id="conversation",
        js_on_load=_CONVERSATION_SCRIPT,
        apply_default_css=False,
    )


def _prompt() -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(
        label=words.PROMPT_LABEL,
        show_label=False,
        container=False,
        placeholder=words.PROMPT_PLACEHOLDER,
        sources=["upload"],
        file_count="multiple",
        max_plain_text_length=20_000,
        lines=1,
        max_lines=12,
        autofocus=True,
        submit_btn=True,
        stop_btn=False,
    )


def _approval() -> gr.Dropdown:
    choices = [(words.APPROVAL_AUTO, "auto"), (words.APPROVAL_ASK, "ask")]
    return gr.Dropdown(
        choices,
        value="auto",
        label=words.APPROVAL,
        elem_id="approval",
        container=False,
        show_label=False,
        scale=0,
        min_width=200,
    )


def _picker(label: str, elem_id: str) -> gr.Dropdown:
    picker = gr.Dropdown(
        [], label=label, elem_id=elem_id, container=False, show_label=False, scale=0, min_width=200, visible=False
    )
    # Gradio forgets the choices when the page's process is started anew, and would then refuse what was chosen.
    # Whoever is asked for it, the API, knows whether it is there.
    picker.preprocess = lambda payload: payload  # type: ignore[method-assign]
    return picker
