"""The page as Gradio has it: what it takes from Gradio's package, and what Gradio must not decide."""

import gradio as gr

from ui.katex import katex_files
from ui.page import lay_out


def test_what_was_chosen_before_the_process_was_started_anew_is_still_taken() -> None:
    with gr.Blocks():
        page = lay_out()
    assert page.model.preprocess("a-model-that-gradio-never-heard-of") == "a-model-that-gradio-never-heard-of"


def test_gradio_still_has_what_draws_formulas() -> None:
    assert katex_files() is not None
