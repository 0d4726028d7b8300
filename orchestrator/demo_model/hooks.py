"""The test hooks: replies that misbehave because the user's message asked for it. Listed in the package's docstring."""

import json
from collections.abc import Callable

from orchestrator.demo_model.conversation import Turn
from orchestrator.demo_model.reply import TOOL, Call, Refusal, Reply, run

PREFIX = "demo:"
QUOTED_CHARACTERS = 200
SLOW_PACE_S = 0.1
SLOW_WORDS = 600

_REFUSALS = {
    "http-401": Refusal(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    "http-429": Refusal(429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    "http-500": Refusal(500, "The server had an error while processing your request.", "server_error"),
}

_TWO_HALVES = "This is the beginning of an answer, and you will not see how it ends. " * 3

_CALLS: dict[str, Callable[[str], Reply]] = {
    "no-arguments": lambda _: Reply("I call the tool without arguments.", (Call(TOOL, ""),)),
    "half-json": lambda _: Reply("I call the tool with half of the arguments.", (Call(TOOL, '{"code": "print(1'),)),
    "unknown-tool": lambda _: Reply("I look that up.", (Call("browse", json.dumps({"query": "weather"})),)),
    "two-calls": lambda _: Reply("I run two cells.", run("print('one')") + run("print('two')")),
    "run": lambda code: Reply("I run this.", run(code)),
}

_TEXTS = {
    "cut": Reply(_TWO_HALVES, ending="cut"),
    "error-in-stream": Reply(_TWO_HALVES, ending="error"),
    "slow": Reply(" ".join(f"word{number}" for number in range(1, SLOW_WORDS + 1)), pace_s=SLOW_PACE_S),
}


def misbehave(turn: Turn) -> Reply | Refusal | None:
    """Return what a test hook asks for, or None when the message is no hook."""
    if not turn.words.startswith(PREFIX):
        return None
    name, rest = _hook(turn.words)
    if name in _REFUSALS:
        return _REFUSALS[name]
    if name in _TEXTS:
        return _TEXTS[name]
    if not turn.may_call:
        return Reply("The hook is a tool call, and this request allows none.")
    if name == "fail-forever":
        attempt = len(turn.results) + 1
        return Reply(f"Attempt {attempt}.", run(f"raise RuntimeError('attempt {attempt} fails')"))
    if name not in _CALLS:
        return Reply(f"There is no test hook '{name}'.")
    return _quote(turn) if turn.results else _CALLS[name](rest)


def _hook(words: str) -> tuple[str, str]:
    """Return the hook's name and what follows it, to the letter: it may be code, whose indentation counts."""
    told = words.removeprefix(PREFIX)
    name = told.split(maxsplit=1)[0] if told.strip() else ""
    return name, told[told.find(name) + len(name) + 1 :]


def _quote(turn: Turn) -> Reply:
    said = (result.text[:QUOTED_CHARACTERS] for result in turn.results)
    return Reply("The tool said:\n\n" + "\n\n".join(f"```\n{text}\n```" for text in said))
