"""Places on the page that its own scripts fill (browser/): Gradio lays them out, and carries what they trigger."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

# The scripts look at the address for the open session; they listen for this, and for another one (front.py).
CHANGED = "() => { window.dispatchEvent(new CustomEvent('glovebox:changed')); }"


def part(name: str, *events: str) -> Any:
    """Put a place on the page; the script that waits for this name gets its element, and triggers these events."""
    # Gradio knows a custom event by its name in quotes in the script.
    known = json.dumps(events)
    return gr.HTML(
        elem_id=name,
        html_template='<div class="gb-part"></div>',
        js_on_load=f"window.glovebox.mount({json.dumps(name)}, element.querySelector('.gb-part'), trigger, {known});",
    )
