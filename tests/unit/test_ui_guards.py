"""Who may ask the page."""

from base64 import b64encode

import httpx2
import pytest

from ui.app import build
from ui.guards import knows_token
from ui.logins import Logins
from ui.settings import Settings

TOKEN = "a-long-random-token-for-this-test"


def basic(password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {b64encode(f'someone:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("authorization", "token", "known"),
    [
        (None, None, True),
        (basic("whatever"), None, True),
        (None, TOKEN, False),
        ("", TOKEN, False),
        (basic(""), TOKEN, False),
        (basic(TOKEN + "x"), TOKEN, False),
        (basic(TOKEN[:-1]), TOKEN, False),
        (basic(TOKEN, "Bearer"), TOKEN, False),
        ("Basic not base64!", TOKEN, False),
        (f"Basic {b64encode(TOKEN.encode()).decode()}", TOKEN, False),
        (basic(TOKEN), TOKEN, True),
        (basic(TOKEN, "basic"), TOKEN, True),
    ],
)
def test_only_the_token_as_password_opens_the_page(authorization: str | None, token: str | None, known: bool) -> None:
    assert knows_token(authorization, token) is known


@pytest.fixture
def one_person(monkeypatch: pytest.MonkeyPatch) -> None:
    async def are_needed(_: Logins) -> bool:
        return False

    monkeypatch.setattr(Logins, "are_needed", are_needed)


async def test_with_a_token_every_path_of_the_page_asks_for_it_but_the_health_check(one_person: None) -> None:
    transport = httpx2.ASGITransport(build(Settings(token=TOKEN)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for path in ("/", "/config", "/gradio_api/info", "/files/0/a", "/gradio_api/queue/data", "/theme.css"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"][:5]) == (401, "Basic"), path
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/", headers={"Authorization": basic(TOKEN)})).status_code == 200
        foreign = await client.get("/", headers={"Host": "evil.example"})
        assert foreign.status_code == 421


@pytest.mark.parametrize(
    ("environment", "opens"),
    [
        ({}, True),
        ({"GLOVEBOX_UI_HOST": "0.0.0.0"}, False),
        ({"GLOVEBOX_UI_HOST": "0.0.0.0", "GLOVEBOX_BIND": "127.0.0.1"}, True),
        ({"GLOVEBOX_UI_HOST": "0.0.0.0", "GLOVEBOX_BIND": "0.0.0.0"}, False),
        ({"GLOVEBOX_UI_HOST": "0.0.0.0", "GLOVEBOX_BIND": "0.0.0.0", "GLOVEBOX_TOKEN": TOKEN}, True),
        ({"GLOVEBOX_UI_HOST": "10.0.0.1", "GLOVEBOX_TOKEN": ""}, False),
    ],
)
async def test_the_page_is_never_open_to_others_without_a_token_or_logins(
    environment: dict[str, str], opens: bool, one_person: None
) -> None:
    settings = Settings.from_environment(environment)
    headers = {"Authorization": basic(TOKEN)}
    transport = httpx2.ASGITransport(build(settings))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        for path in ("/", "/config", "/pictures/x"):
            assert ((await client.get(path)).status_code == 403) is not opens
