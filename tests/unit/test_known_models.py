"""What follows from a model's name, and that the config counts first."""

from typing import Any

import pytest

from orchestrator.chat.capabilities import Capabilities
from orchestrator.chat.known_models import capabilities, price
from orchestrator.config_models import Price, Provider


def offered(model: Any, **provider: Any) -> tuple[Capabilities, Price | None]:
    made = Provider.model_validate({"name": "p", "models": [model], **provider})
    return capabilities(made, made.models[0], 50_000), price(made, made.models[0])


@pytest.mark.parametrize(
    ("name", "window", "tools", "vision"),
    [
        ("gpt-5.5", 1_050_000, True, True),
        ("gpt-5.4-mini-2026-03-17", 272_000, True, True),
        ("openai/gpt-4o-mini", 128_000, True, True),
        ("GPT-4.1", 1_047_576, True, True),
        ("gpt-4", 8192, True, False),
        ("gpt-oss:20b", 131_072, True, False),
        ("o3-mini", 200_000, True, False),
        ("o4-mini", 200_000, True, True),
        ("deepseek-chat", 131_072, True, False),
        ("deepseek-r1:14b", 131_072, False, False),
        ("qwen2.5-vl:7b", 131_072, True, True),
        ("Qwen/Qwen3-32B", 131_072, True, False),
        ("llama3.2-vision", 128_000, False, True),
        ("meta-llama/Llama-3.3-70B-Instruct", 128_000, True, False),
        ("gemma3:12b", 131_072, False, True),
        ("llava", 4096, False, True),
        ("nobody-knows-it", 50_000, True, False),
        ("my-gpt-5", 50_000, True, False),
    ],
)
def test_a_known_name_says_what_a_model_can_do(name: str, window: int, tools: bool, vision: bool) -> None:
    found, _ = offered(name)
    assert (found.window, found.tools, found.vision) == (window, tools, vision)


def test_the_providers_own_name_counts_where_the_shown_one_says_nothing() -> None:
    assert offered({"name": "The big one", "called": "openai/gpt-4.1"})[0].window == 1_047_576


def test_the_config_counts_first() -> None:
    entry = {"name": "gpt-4o", "window": 4096, "tools": False, "vision": False, "max_output": 100}
    assert offered(entry)[0] == Capabilities(4096, tools=False, vision=False, max_output=100)
    assert offered({"name": "x", "tools": True, "vision": True})[0] == Capabilities(50_000, vision=True)


def test_list_prices_count_for_openais_models_at_openai_and_azure() -> None:
    azure = {"kind": "azure", "endpoint": "https://x", "api_version": "1", "api_key_env": "K"}
    known = Price(input=2.5, output=10, cached_input=1.25)
    assert offered("gpt-4o-2024-08-06")[1] == offered("gpt-4o", **azure)[1] == known
    assert offered("prod", **azure, deployments={"prod": "gpt-4o"})[1] == known
    assert offered("gpt-4o", base_url="http://localhost:4000")[1] is None
    assert offered("gpt-4o-audio-preview")[1] is None
    told = Price(input=1, output=1)
    assert offered("gpt-4o", prices={"gpt-4o": {"input": 1, "output": 1}})[1] == told
    assert (
        offered({"name": "gpt-4o", "price": {"input": 1, "output": 1}}, prices={"gpt-4o": {"input": 9, "output": 9}})[1]
        == told
    )
