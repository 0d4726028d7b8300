"""Sessions that sleep: the container goes, files and variables stay (`sandbox_image/glovebox_variables.py`)."""

import time
from typing import Any

import pytest

from tests.engine import docker
from tests.stack import ApiSession, MakeSession, Stack, wait_for

FILL = """
import math, sqlite3, threading
import numpy as np, pandas as pd
from collections import Counter

number, text, nothing = 7, "grüße", None
frame = pd.DataFrame({"a": range(1000), "b": list("xy") * 500})
column = frame["a"]
shared = [1, 2]
also_shared = {"the same": shared}
database = sqlite3.connect(":memory:")
lock = threading.Lock()
generator = (n for n in range(3))
class Point:
    def __init__(self, x): self.x = x
    def doubled(self): return self.x * factor
factor = 2
point = Point(21)
def area(r): return math.pi * r * r * factor
square = lambda x: x * x
"""
CHECK = """
assert (number, text, nothing) == (7, "grüße", None)
assert frame.shape == (1000, 2) and frame["a"].sum() == 499500 and column.sum() == 499500
assert also_shared["the same"] is shared
assert isinstance(point, Point) and point.doubled() == 42
factor = 3  # functions of cells go on using the session's names
assert point.doubled() == 63 and round(area(1), 2) == 9.42 and square(3) == 9
assert Counter("aab")["a"] == 2 and np.zeros(2).sum() == 0
print(sorted(n for n in ("database", "lock", "generator") if n in globals()))
"""


def state(session: ApiSession) -> str:
    found: dict[str, Any] = session.client.get(session.path).json()
    return str(found["state"])


def fall_asleep(session: ApiSession) -> None:
    wait_for(lambda: state(session) == "asleep", "sleep")


def notices(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events if event["type"] == "notice"]


def test_a_session_that_slept_has_its_variables_and_says_what_could_not_be_kept(
    make_session: MakeSession, stack: Stack
) -> None:
    session = make_session(profile="sleepy")
    assert session.run(FILL)["status"] == "ok"
    assert session.run("extra = 1")["execution_count"] == 2
    assert state(session) == "idle"
    fall_asleep(session)
    assert stack.containers(f"label=glovebox.session={session.id}") == []
    events = list(session.events(CHECK))
    (told,) = notices(events)
    for lost in ("database (sqlite3.Connection", "lock (", "generator (generator", "made by cell [1]"):
        assert lost in told, told
    cell = events[-1]
    assert cell["status"] == "ok", cell["outputs"]
    assert cell["outputs"][0]["text"] == "[]\n"
    assert cell["execution_count"] == 3
    assert session.printed("print(In[2])") == "extra = 1\n"
    assert session.files() == {}, "what was kept is nothing that a user looks for"


@pytest.mark.any_runtime
def test_a_restart_is_not_undone_by_a_sleep(make_session: MakeSession) -> None:
    session = make_session(profile="sleepy")
    session.run("x = 1")
    fall_asleep(session)
    session.client.post(f"{session.path}/restart")
    assert session.printed("print('x' in globals())") == "False\n"


@pytest.mark.any_runtime
def test_a_variable_that_cannot_be_loaded_again_is_named_and_the_others_are_there(make_session: MakeSession) -> None:
    session = make_session(profile="sleepy")
    session.run(
        "class Odd:\n    def __reduce__(self): return (int, ('no number',))\nbefore = 1\nodd = Odd()\nafter = 2"
    )
    fall_asleep(session)
    events = list(session.events("print(before, 'odd' in globals())"))
    assert events[-1]["outputs"][0]["text"] == "1 False\n"
    (told,) = notices(events)
    assert "odd (loading it failed with ValueError" in told
    assert "after (it was saved after odd" in told


@pytest.mark.any_runtime
def test_more_than_the_budget_is_not_kept_and_said(make_session: MakeSession) -> None:
    session = make_session(profile="forgetful")
    session.run("big = bytearray(3_000_000); small = 1")
    fall_asleep(session)
    events = list(session.events("print(small, 'big' in globals())"))
    assert events[-1]["outputs"][0]["text"] == "1 False\n"
    assert "big (bytearray: it is too large, made by cell [1])" in notices(events)[0]


@pytest.mark.any_runtime
def test_what_kills_the_kernel_while_it_is_loaded_is_tried_once(make_session: MakeSession) -> None:
    session = make_session(profile="sleepy")
    session.run("import os\nclass Deadly:\n    def __reduce__(self): return (os._exit, (1,))\nx = Deadly()")
    fall_asleep(session)
    events = list(session.events("print('x' in globals())"))
    assert "all variables (they could not be loaded" in notices(events)[0]
    assert events[-1]["outputs"][0]["text"] == "False\n"
    fall_asleep(session)
    assert notices(list(session.events("1"))) == ["The session was asleep."]


@pytest.mark.any_runtime
def test_a_cell_that_comes_while_the_session_falls_asleep_finds_everything(make_session: MakeSession) -> None:
    session = make_session(profile="sleepy")
    slow = "class Slow:\n    def __reduce__(self):\n        import time; time.sleep(1)\n        return (int, ())\n"
    session.run(f"{slow}x = Slow()\nfrom pathlib import Path")
    wait_for(lambda: state(session) in ("idle", "asleep"), "idleness")
    for _ in range(8):
        assert session.printed("print('x' in globals())") == "True\n"
        time.sleep(0.45)


def test_a_sandbox_that_was_killed_is_lost_and_says_so(make_session: MakeSession, stack: Stack) -> None:
    session = make_session()
    session.run("x = 1")
    docker("kill", stack.container_of(session.id))
    wait_for(lambda: state(session) == "lost", "the loss")
    assert session.printed("print('x' in globals())") == "False\n"
    assert state(session) == "idle"
