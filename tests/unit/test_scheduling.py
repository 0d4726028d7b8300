"""Which tests run together, and when: `tests/scheduling.py`."""

from pathlib import Path

from tests.scheduling import LONG, TOGETHER, scope_of, turn

TESTS = Path(__file__).parents[1]


def test_what_shares_a_stack_runs_together_and_gvisor_last() -> None:
    assert scope_of("tests/integration/test_chat.py::test_a[runc-x]") == "runc integration/test_chat.py"
    assert scope_of("tests/integration/test_chat.py::test_a[runsc]") == "runsc integration/test_chat.py"
    assert scope_of("tests/integration/test_people.py::test_a[runcible]") == "integration/test_people.py"
    assert scope_of("tests/security/test_bombs.py::test_a[runc]") == scope_of("tests/security/test_fills.py::b[runc]")
    names = ("runsc whole host", "runsc security/test_life.py", "runc security/test_life.py", "runc whole host", "site")
    assert sorted(names, key=turn) == [names[3], names[4], names[2], names[0], names[1]]


def test_every_file_that_is_named_is_there() -> None:
    named = {*TOGETHER, *LONG} - set(TOGETHER.values())
    assert {name for name in named if not (TESTS / name).exists()} == set()
