"""Real kernels that put out more than anybody can read: bounded memory, bounded time, and the session goes on.

A gateway that floods by itself, without the pace that an honest kernel keeps, is in `test_evil_gateway.py`.
"""

import pytest

from tests.security.conftest import LIMITS
from tests.security.watch import assert_held, watching
from tests.stack import ApiSession, MakeSession, Stack

HUNDREDS_OF_MEGABYTES = "line = 'x' * 99 + '\\n'\nfor _ in range(300): print(line * 10_000, end='')\nprint('the end')"
PICTURES = (
    "import base64\nfrom IPython.display import publish_display_data\n"
    "png = base64.b64encode(b'\\x89PNG\\r\\n\\x1a\\n' + bytes(100)).decode()\n"
    "for _ in range(24_000): publish_display_data({'image/png': png})"
)
SMALL_FLOODS = {
    "returns": "import sys\nfor i in range(500_000): sys.stdout.write(f'\\r{i}')",
    "both streams": "import sys\nfor i in range(5000): print(i); print(i, file=sys.stderr)",
    "flushes": "for i in range(5000): print(i, flush=True)",
    "clearing": "from IPython.display import clear_output\nfor i in range(2000): clear_output(); print(i)",
    "updating": (
        "from IPython.display import HTML, display\nshown = display(HTML('a'), display_id='x')\n"
        "for i in range(2000): shown.update(HTML(f'{i}' + 'x' * 10_000))"
    ),
    "a long line": "import sys\nsys.stdout.write('y' * 40_000_000)",
    "errors": "for _ in range(200):\n    try: 1 / 0\n    except ZeroDivisionError: get_ipython().showtraceback()",
}


def texts(cell: dict) -> str:  # type: ignore[type-arg]
    return "".join(output.get("text", "") for output in cell["outputs"])


@pytest.mark.any_runtime
def test_more_stdout_than_a_file_may_have_is_shown_in_part_and_kept_in_part(
    make_session: MakeSession, stack: Stack, peer: ApiSession
) -> None:
    session = make_session(profile="patient")
    session.run("a = 1")
    with watching(stack, peer) as watch:
        cell = session.run(HUNDREDS_OF_MEGABYTES)
        assert cell["status"] == "ok", cell["outputs"][-1]
        assert texts(cell).endswith("the end\n")
        (spilled,) = session.files().values()
        most = LIMITS["SPILL_FILE_BYTES"]
        assert most - (12 << 20) < spilled <= most
        assert session.printed("print(a)") == "1\n"
    assert_held(watch)


@pytest.mark.any_runtime
def test_thousands_of_pictures_are_all_counted(make_session: MakeSession, stack: Stack, peer: ApiSession) -> None:
    session = make_session(profile="patient")
    session.run("a = 1")
    with watching(stack, peer) as watch:
        cell = session.run(PICTURES)
        assert cell["status"] == "ok", cell["outputs"][-1]
        assert "[23,900 more outputs are not kept" in texts(cell)  # every one was counted, so none was lost on the way
        assert session.printed("print(a)") == "1\n"
    assert_held(watch)


@pytest.mark.any_runtime
def test_floods_of_small_things_end_and_the_session_goes_on(
    make_session: MakeSession, stack: Stack, peer: ApiSession
) -> None:
    session = make_session(profile="patient")
    session.run("a = 1")
    with watching(stack, peer) as watch:
        for kind, flood in SMALL_FLOODS.items():
            cell = session.run(flood)
            assert cell["status"] in ("ok", "error"), (kind, cell)
            assert sum(len(str(output)) for output in cell["outputs"]) < 10 << 20, kind
            assert session.printed("print(a)") == "1\n", kind
    assert_held(watch)
