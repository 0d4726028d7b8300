"""Thoughts that a server leaves in the text, `<think>…</think>` before the answer: told apart as they stream. Pure."""

_OPEN, _CLOSE = "<think>", "</think>"


class Thoughts:
    """Tells the thoughts at the beginning of a reply from its text."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "before"

    def take(self, text: str) -> tuple[str, str]:
        """Add text and return what of it is thought, and what is said."""
        self._held += text
        thought = ""
        if self._state == "before":
            begun = self._held.lstrip()
            if _OPEN.startswith(begun[: len(_OPEN)]) and len(begun) < len(_OPEN):
                return "", ""
            self._state = "thinking" if begun.startswith(_OPEN) else "said"
            if self._state == "thinking":
                self._held = begun.removeprefix(_OPEN)
        if self._state == "thinking":
            thought, found, rest = self._held.partition(_CLOSE)
            if found:
                self._state, self._held = "after", rest
            else:
                kept = next((n for n in range(len(_CLOSE) - 1, 0, -1) if thought.endswith(_CLOSE[:n])), 0)
                self._held = thought[len(thought) - kept :]
                return thought[: len(thought) - kept], ""
        if self._state == "after":
            self._held = self._held.lstrip()
            if not self._held:
                return thought, ""
            self._state = "said"
        said, self._held = self._held, ""
        return thought, said

    def finish(self) -> tuple[str, str]:
        """Say that no more comes, and return what was held back."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "thinking" else ("", held if self._state == "before" else "")
