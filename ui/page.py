"""What is on the page: its components and where they stand. What they do is in wiring.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ui import words
from ui.panel_parts import part

_LISTS_SCRIPT = (Path(__file__).parent / "lists.js").read_text()
FORMULAS: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


@dataclass(frozen=True)
class Page:
    """The components that change or are listened to."""

    # A component, as a gr.State does not reach `js=`.
    session: gr.Textbox
    width: gr.Number
    # Changes when a cell or a turn ended: files and sessions are to be looked at again.
    pulse: gr.Textbox
    carried: gr.State
    person: gr.HTML
    sessions_panel: gr.Sidebar
    new_session: gr.Button
    sessions: gr.HTML
    title: gr.HTML
    banner: gr.HTML
    conversation: gr.Chatbot
    notice: gr.HTML
    prompt: gr.MultimodalTextbox
    attached: gr.HTML
    model: gr.Dropdown
    profile: gr.Dropdown
    stop: gr.Button
    files_panel: gr.Sidebar
    files: gr.HTML
    export: gr.HTML


def lay_out() -> Page:
    """Put the components on the page; call within `gr.Blocks`."""
    session = gr.Textbox(visible="hidden", elem_id="session", show_label=False, container=False)
    width = gr.Number(visible="hidden", show_label=False, container=False)
    pulse = gr.Textbox(visible="hidden", elem_id="pulse", show_label=False, container=False)
    carried = gr.State({})
    with gr.Sidebar(open=False, width=290, elem_id="sessions-panel") as sessions_panel:
        gr.HTML(f'<div class="gb-brand"><span class="gb-mark" aria-hidden="true"></span>{words.TITLE}</div>')
        person = gr.HTML(elem_id="person")
        new_session = gr.Button(words.NEW_SESSION, elem_id="new-session", variant="secondary", size="md")
        gr.HTML(f"<h2>{words.SESSIONS}</h2>")
        part("find")
        sessions = gr.HTML(elem_id="sessions", js_on_load=_LISTS_SCRIPT)
        part("menu")
    with gr.Column(elem_id="middle"):
        title = gr.HTML(elem_id="title")
        part("bar")
        banner = gr.HTML(elem_id="banner", visible=False)
        conversation = _conversation()
        with gr.Column(elem_id="composer"):
            notice = gr.HTML(elem_id="notice")
            with gr.Column(elem_id="prompt"):
                prompt = _prompt()
                attached = gr.HTML(elem_id="attached")
            with gr.Row(elem_id="controls"):
                model = _picker(words.MODEL, "model")
                profile = _picker(words.PROFILE, "profile")
                stop = gr.Button(words.STOP, elem_id="stop", variant="stop", size="sm", visible=False, min_width=80)
    with gr.Sidebar(open=False, width=320, position="right", elem_id="files-panel") as files_panel:
        gr.HTML(f"<h2>{words.FILES}</h2>")
        files = part("files", "begin")
        export = gr.HTML(elem_id="export")
    return Page(
        session=session,
        width=width,
        pulse=pulse,
        carried=carried,
        person=person,
        sessions_panel=sessions_panel,
        new_session=new_session,
        sessions=sessions,
        title=title,
        banner=banner,
        conversation=conversation,
        notice=notice,
        prompt=prompt,
        attached=attached,
        model=model,
        profile=profile,
        stop=stop,
        files_panel=files_panel,
        files=files,
        export=export,
    )


def _conversation() -> gr.Chatbot:
    examples: list[Any] = [{"text": text} for text in words.EXAMPLES]
    return gr.Chatbot(
        elem_id="conversation",
        label=words.CONVERSATION,
        show_label=False,
        container=False,
        layout="panel",
        scale=1,
        height=None,
        buttons=[],
        placeholder=words.WELCOME,
        examples=examples,
        latex_delimiters=FORMULAS,
        sanitize_html=True,
        allow_tags=False,
        feedback_options=None,
        group_consecutive_messages=True,
        line_breaks=False,
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


def _picker(label: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], label=label, elem_id=elem_id, container=False, show_label=False, scale=0, min_width=200, visible=False
    )
