"""Calls that say plainly what they mean, though not as they were asked to: which code they have. Pure.

Nothing is guessed: a string that was cut off, or arguments that could mean two things, are told to the model.
"""

import json
import re
from typing import Any

TOOL_NAME = "run_python"
_OTHER_NAMES = re.compile(
    r"(functions[._:])?(run_|execute_|exec_)?(i?python3?|code|cell|jupyter|notebook|code_interpreter|interpreter)"
    r"(_code|_cell|_interpreter|_tool|_exec|_script)?|execute|exec|(functions[._:])run_python",
    re.IGNORECASE,
)
_DEEPEST = 5
_KEYS = ("code", "python", "python_code", "source", "script", "cell", "input", "command", "content", "__arg1")
_WRAPPERS = ("arguments", "parameters", "args", "kwargs", "input")
_BAD_ESCAPE = re.compile(r"""\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(.|\Z))""", re.DOTALL)
_TRIPLE = re.compile(r"""\s*\{\s*"code"\s*:\s*("{3}|'{3})(.*)\1\s*,?\s*\}\s*""", re.DOTALL)
_LEFT_OVER = re.compile(r"(?:[\s}\],;]|</?tool_call>|<\|[a-z_]+\|>|```)*")
_FENCED = re.compile(r"\s*(`{3,}|~{3,})[ \t]*\w*[ \t]*\n(.*?)\n?[ \t]*\1\s*", re.DOTALL)
_LIKE_JSON = re.compile(r"\s*(?:[{\[]\s*(?:[\"'{\[\]}\d]|\w+[\"']?\s*:|\Z)|\"|(?:null|true|false)\s*\Z)")


def means_python(name: str) -> bool:
    """Tell whether a tool that was made up can only be the one that runs Python."""
    return name in (TOOL_NAME, "") or _OTHER_NAMES.fullmatch(name) is not None


def code_of(arguments: str) -> str | None:
    """Return the code that a call's arguments mean; None where they are broken, or it is not plain."""
    if (told := _TRIPLE.fullmatch(arguments)) is not None:
        return _bare(told.group(2).strip("\n"))
    found, value = _parse(arguments)
    if found:
        return _code_in(value, arguments)
    return None if _LIKE_JSON.match(arguments) else _bare(arguments)


def _parse(text: str) -> tuple[bool, Any]:
    """Return whether the text is JSON, but for what is written wrong again and again, and its value."""
    stripped = text.strip()
    for attempt in (stripped, _escaped(stripped), stripped + "}", _escaped(stripped) + "}"):
        try:
            value, end = json.JSONDecoder(strict=False).raw_decode(attempt)
        except (ValueError, RecursionError):
            continue
        if _LEFT_OVER.fullmatch(attempt, end):
            return True, value
    return False, None


def _escaped(text: str) -> str:
    """Return JSON whose single backslashes, as in a regular expression or a path, are written as JSON has them."""
    return _BAD_ESCAPE.sub(lambda found: found.group() if found.group(1) else "\\\\" + (found.group(2) or ""), text)


def _code_in(value: Any, whole: str, depth: int = 0) -> str | None:
    match value:
        case str() if depth < _DEEPEST:
            inner, parsed = _parse(value) if value.lstrip()[:1] == "{" else (False, None)
            nested = _code_in(parsed, value, depth + 1) if inner and isinstance(parsed, dict) else None
            return _bare(value) if nested is None else nested  # a dict is a cell, too
        case dict() if depth < _DEEPEST:
            return _code_of_object(value, depth)
        case list() if value and all(isinstance(line, str) for line in value) and depth:
            return _bare("\n".join(line.removesuffix("\n") for line in value))
        case bool() | None:
            return None
        case int() | float() if not depth:
            return whole.strip()  # a cell that is only a number is a cell
    return None


def _code_of_object(value: dict[str, Any], depth: int) -> str | None:
    for key in _KEYS:
        if key in value and (key == "code" or not isinstance(value[key], dict)):
            return _code_in(value[key], "", depth + 1)
    for key in _WRAPPERS:
        if isinstance(value.get(key), dict | str):
            return _code_in(value[key], "", depth + 1)
    return None


def _bare(code: str) -> str:
    """Return code without the fence that some put around it."""
    fenced = _FENCED.fullmatch(code)
    return fenced.group(2) if fenced else code
