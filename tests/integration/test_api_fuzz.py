"""Every operation of the OpenAPI document with data that fits it and data that does not, against the real parts.

No answer may be a failure of ours, and each must be as the document says: status, content type and shape. Data that
fits the document may still be refused: it cannot say which profiles, models or files there are.
"""

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS

from orchestrator.app import make_app
from orchestrator.config import Settings
from tests.stack import STANDARD, ApiSession, Stack

EXAMPLES = int(os.environ.get("GLOVEBOX_FUZZ_EXAMPLES", "0"))  # 0: the same few each time; else so many, at random
OURS = settings(
    max_examples=EXAMPLES or 6,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
DOCUMENT = schemathesis.openapi.from_dict(make_app(Settings.load({})).openapi())
OPERATIONS = {found.ok().label: found.ok() for found in DOCUMENT.get_all_operations()}
FILE = "folder/数 é.csv"
WANTED = ["application/json", "application/x-ndjson", "*/*"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of short cells, with one runtime: it is the API that is asked, not the sandbox."""
    profiles = {"standard": {**STANDARD, "cell_timeout_s": 5, "disk_mb": 64}, "other": STANDARD}
    running = Stack(tmp_path_factory.mktemp("stack"), {"profiles": profiles})
    try:
        running.start_spawner()
        running.start_orchestrator()
        yield running
    finally:
        running.stop()
    assert running.containers() == []


def can_be_wrong(label: str) -> bool:
    """Tell whether anything beside names in the path could break the document: any text fits a parameter of text."""
    method, path = label.split(" ")
    told = DOCUMENT.raw_schema["paths"][path][method.lower()]
    if "application/json" in told.get("requestBody", {}).get("content", {}):
        return True
    schemas = [one["schema"] for one in told.get("parameters", []) if one["in"] != "path"]
    return any(schema.get("type") != "string" or "const" in schema for schema in schemas)


CASES = [(label, GenerationMode.POSITIVE) for label in OPERATIONS]
CASES += [(label, GenerationMode.NEGATIVE) for label in OPERATIONS if can_be_wrong(label)]


@pytest.mark.parametrize(("label", "mode"), CASES, ids=[f"{mode.value}-{label}" for label, mode in CASES])
def test_an_operation_answers_as_the_document_says(
    stack: Stack, session: ApiSession, label: str, mode: GenerationMode
) -> None:
    session.put(FILE, b"a,b\n" * 1000)
    names = {"session_id": session.id, "path": FILE}
    mine = {name: value for name, value in names.items() if f"{{{name}}}" in label}
    anything = {name: value for name, value in mine.items() if name != "path"}
    for known in [mine] if mine == anything else [mine, anything]:

        @OURS
        @given(OPERATIONS[label].as_strategy(generation_mode=mode, path_parameters=known), st.sampled_from(WANTED))
        def answers(case: Case, wanted: str) -> None:
            excluded = [CHECKS.get_one("positive_data_acceptance"), CHECKS.get_one("unsupported_method")]
            reply = case.call(base_url=stack.url, headers={"Accept": wanted}, timeout=600)
            if reply.status_code == 507:  # a full disk, as the document says: no fault of the server's
                excluded.append(CHECKS.get_one("not_a_server_error"))
            case.validate_response(reply, excluded_checks=excluded)

        answers()


def test_there_is_something_to_try() -> None:
    assert len(OPERATIONS) > 20
    assert {label for label, mode in CASES if mode is GenerationMode.NEGATIVE} > {
        "POST /v1/sessions",
        "POST /v1/sessions/{session_id}/executions",
        "GET /v1/sessions/{session_id}/events",
    }
