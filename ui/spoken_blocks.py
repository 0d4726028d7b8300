"""Gradio's part of the page, once for each language: labels are fixed when components are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.context import Context

from ui import languages

# What a component says, and the scripts of events, which may say something as well.
_SAID = ("components", "dependencies")


class SpokenBlocks(gr.Blocks):
    """Blocks whose config is told in the language of the request; their handlers are the same for all."""

    def __init__(self, **how: Any) -> None:
        self._config: dict[str, Any] = {}
        self._said: dict[str, dict[str, Any]] = {}
        super().__init__(**how)

    @property
    def config(self) -> Any:
        """What a browser is told to show."""
        return self._config | self._said.get(languages.spoken(), {})

    @config.setter
    def config(self, config: Any) -> None:
        self._config = config

    def also(self, language: str, config: Any) -> None:
        """Say what this config says to those who speak this language."""
        if [each["id"] for each in config["components"]] != [each["id"] for each in self._config["components"]]:
            raise ValueError(f"The page is laid out differently in {language!r}: its words must not decide on that.")
        self._said[language] = {part: config[part] for part in _SAID}


def in_every_language(make: Callable[[], SpokenBlocks]) -> SpokenBlocks:
    """Make the page once for each language, each with the same components' ids; the English one runs."""
    first = Context.id
    english = make()
    for language in languages.names()[1:]:
        Context.id = first
        with languages.speaking(language):
            english.also(language, make().get_config_file())
    return english
