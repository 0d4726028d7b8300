"""What a model is told of tables and plots, with a real kernel and a played provider over real HTTP."""

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from orchestrator.limits import PICTURE_SIDE
from tests.stack import ApiSession, Stack, stopping_stack

pytestmark = pytest.mark.any_runtime

DRAW = "import matplotlib.pyplot as plt; plt.plot([1, 3, 2]); plt.show()"


class Told(ThreadingHTTPServer):
    """A provider that keeps what it is told, and runs the code that a question has behind `run:`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.requests: list[dict[str, Any]] = []


class Answering(BaseHTTPRequestHandler):
    server: Told

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        question = text_of(next(m for m in reversed(request["messages"]) if text_of(m).startswith(("run:", "say:"))))
        ran = any(message["role"] == "tool" for message in request["messages"][-3:])
        delta: dict[str, Any] = {"content": "Done."}
        if question.startswith("run:") and not ran:
            function = {"name": "run_python", "arguments": json.dumps({"code": question.split("\n")[0][4:]})}
            delta = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}
        about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
        chunks = [{"delta": delta, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}]
        lines = [json.dumps({**about, "choices": [{"index": 0, **chunk}]}) for chunk in chunks]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write("".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def pictures(request: dict[str, Any]) -> list[str]:
    lists = [message["content"] for message in request["messages"] if isinstance(message.get("content"), list)]
    return [part["image_url"]["url"] for content in lists for part in content if part["type"] == "image_url"]


@pytest.fixture(scope="module")
def provider() -> Iterator[Told]:
    server = Told()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def told_stack(tmp_path_factory: pytest.TempPathFactory, provider: Told, runtime: str) -> Iterator[Stack]:
    url = f"http://127.0.0.1:{provider.server_address[1]}/v1"
    told = {"name": "told", "base_url": url, "models": ["blind", "seeing"]}
    config = {"providers": [told], "chat": {"vision_model": "seeing"}}
    with stopping_stack(Stack(tmp_path_factory.mktemp("told"), config, runtime=runtime)) as stack:
        yield stack


@pytest.fixture
def told_session(told_stack: Stack) -> Iterator[ApiSession]:
    with told_stack.client() as client:
        session = ApiSession(client)
        yield session
        session.delete()


def workbook(session: ApiSession) -> None:
    session.run(
        "import pandas as pd, pyarrow\n"
        "table = pd.DataFrame({'city': ['Ulm', 'Bonn'], 'people': [127000, 331000]})\n"
        "table.to_excel('cities.xlsx', index=False); table.to_parquet('cities.parquet')"
    )


def test_tables_are_told_by_their_columns(told_session: ApiSession, provider: Told) -> None:
    told_session.put("sales.csv", b"month;revenue\nJanuary;1204,5\nMarch;1310\n")
    assert list(told_session.say("say: look", attachments=["sales.csv"]))[-1]["status"] == "done"
    words = text_of(provider.requests[-1]["messages"][1])
    assert " sales.csv (separator ';')\n  2 rows; columns:\n   month (text): January, March\n   revenue (" in words
    assert "numpy 2." in text_of(provider.requests[-1]["messages"][0])
    assert told_session.printed("print('_', sorted(n for n in dir() if 'glovebox' in n))") == "_ []\n"
    workbook(told_session)
    list(told_session.say("say: and now?"))
    words = text_of(provider.requests[-1]["messages"][-1])
    assert " cities.xlsx\n  Sheet1: about 2 rows; columns:\n   city (text): Ulm, Bonn\n   people (int): 127000" in words
    assert " cities.parquet\n  2 rows; columns:\n   city (" in words and "   people (int64): 127000, 331000" in words


def test_plots_and_pictures_go_to_a_model_that_sees(told_session: ApiSession, provider: Told) -> None:
    large = BytesIO()
    Image.effect_noise((3000, 1500), 80).save(large, "JPEG", quality=95)
    told_session.put("photo.jpg", large.getvalue())
    events = list(told_session.say(f"run:{DRAW}", model="seeing", attachments=["photo.jpg"]))
    assert events[-1]["status"] == "done", events[-1]
    first, second = provider.requests[-2:]
    (photo,) = pictures(first)
    assert photo.startswith("data:image/jpeg;base64,") and len(photo) < len(large.getvalue())
    assert pictures(second)[0] == photo and pictures(second)[1].startswith("data:image/png;base64,")
    assert [message["role"] for message in second["messages"]][-2:] == ["tool", "user"]
    (drawn,) = [e for e in events if e["type"] == "cell_finished"]
    plot = next(o["data"]["image/png"] for o in drawn["outputs"] if "image/png" in o.get("data", {}))
    assert pictures(second)[1].endswith("".join(plot.split()))
    assert told_session.files().keys() == {"photo.jpg"}


def test_a_plot_larger_than_a_model_takes_is_scaled(told_session: ApiSession, provider: Told) -> None:
    huge = DRAW.replace("plt.plot", "plt.figure(figsize=(40, 20)); plt.plot")
    assert list(told_session.say(f"run:{huge}", model="seeing"))[-1]["status"] == "done"
    (plot,) = pictures(provider.requests[-1])
    with Image.open(BytesIO(b64decode(plot.partition(",")[2]))) as picture:
        assert max(picture.size) == PICTURE_SIDE


def test_a_hostile_workspace_delays_a_turn_and_does_not_end_it(told_session: ApiSession, provider: Told) -> None:
    told_session.run("import os; os.mkfifo('pipe.csv'); open('a.json', 'w').write('[' * 10_000_000)")
    told_session.run("open('bomb.parquet', 'wb').write(b'PAR1' + b'\\xff' * 100_000 + b'PAR1')")
    told_session.run('import glovebox_aside; glovebox_aside.run = lambda *_: print(\'[{"path": "a.json"}]\' * 1000)')
    assert list(told_session.say("say: look", attachments=["a.json"]))[-1]["status"] == "done"
    assert "[tables" not in text_of(provider.requests[-1]["messages"][1])
    assert told_session.printed("print(1)") == "1\n"
