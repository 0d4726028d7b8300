"""The built-in demo model: what answers when nobody has put a provider's key into the config.

Theory of operation. `demo_app()` is a small server that speaks OpenAI's Chat Completions, streamed and whole. The
orchestrator serves it with uvicorn on a unix socket and talks to it with the same SDK as to any provider, so that
the demo exercises the whole path: streaming, tool calls in fragments, results sent back, repair of a failed cell.
It follows scripts and is no language model; its first answer in a conversation says so.

It keeps no state. Every request carries the whole conversation, and the answer is a pure function of it:

    server.py        HTTP: checks the request, paces the stream
    wire.py          a reply -> OpenAI's JSON objects
    conversation.py  a request's messages -> the turn: what is asked, of which table, what the tool said since
    scenarios.py     the turn -> the reply: picks a scripted analysis by keywords and continues it
    hooks.py         the turn -> a reply that misbehaves, when the message asks for it
    scripts/         the Python code of the cells, and the words around them

A user's message may end with lines that the orchestrator adds, in any order; they are read, never taken for words:

    [attached: a.csv, b.csv]
    [files in the workspace: a.csv (12.3 KiB), b.csv (4 B)]

The table that is analysed is the attached one, else one that the message names, else the one attached last in the
conversation, else the first listed (files are expected newest first; what the scripts themselves wrote comes last).

A turn makes at most two calls of `run_python`, besides `demo:fail-forever`. Calls are made only when the request
offers that tool and `tool_choice` is not `none`.

Test hooks. A message that begins with one of these makes the server misbehave, for tests of whoever talks to it:

    demo:no-arguments     a call of run_python whose arguments are the empty string
    demo:half-json        a call whose arguments end in the middle of the JSON
    demo:unknown-tool     a call of a tool `browse` that nobody offered
    demo:two-calls        two calls of run_python in one reply: print('one'), print('two')
    demo:run <code>       one call with exactly this code (it may have many lines)
    demo:fail-forever     a call with code that raises, in every round; never gives up
    demo:cut              the stream ends in the middle: no finish_reason, no [DONE]
    demo:error-in-stream  an {"error": ...} object in the middle of the stream
    demo:http-401, demo:http-429, demo:http-500
                          that status, in the shape of OpenAI's errors
    demo:slow             a word each 0.1 s, for 60 s

After the results of its calls a hook answers with what the tool said, each result cut at 200 characters. Asked for
without streaming, `cut` is a text with the finish_reason `length`, and `error-in-stream` is a status 500.
"""

from orchestrator.demo_model.server import MODEL_ID, demo_app

__all__ = ["MODEL_ID", "demo_app"]
