"""The look of the page: Gradio's variables, and what stands in the document's head. All fonts are the reader's own."""

from __future__ import annotations

import gradio as gr

_SANS = ("Inter", "ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

HEAD = """
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
"""


def theme() -> gr.themes.Base:
    """Return the theme."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        font=_SANS,
        font_mono=_MONO,
        radius_size=gr.themes.sizes.radius_md,
    ).set(
        body_background_fill="white",
        body_background_fill_dark="*neutral_950",
        background_fill_secondary="*neutral_50",
        background_fill_secondary_dark="*neutral_900",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_border_width="0px",
        block_shadow="none",
    )
