"""What is known of models by their names, for what the config leaves open. A name that nobody knows just works.

Windows are those of the makers' own servers; a server of one's own may run a model with less, and the config says so.
Prices are list prices in US dollars, and count for OpenAI's models at OpenAI and Azure only.
"""

import re
from typing import NamedTuple

from orchestrator.chat.capabilities import Capabilities
from orchestrator.config_models import ModelEntry, Price, Provider

_MAKERS = re.compile(r"^.*/")  # "openai/gpt-5.4": gateways say whose it is


class _Known(NamedTuple):
    """A family of models; the first whose pattern the name begins with counts."""

    pattern: str
    window: int
    tools: bool = True
    vision: bool = False
    max_output: int | None = None


_FAMILIES = (
    _Known(r"gpt-oss", 131_072),
    _Known(r"gpt-5\.6", 922_000, vision=True, max_output=128_000),
    _Known(r"gpt-5\.[45](?!-(mini|nano))", 1_050_000, vision=True, max_output=128_000),
    _Known(r"gpt-5", 272_000, vision=True, max_output=128_000),
    _Known(r"gpt-4\.1", 1_047_576, vision=True, max_output=32_768),
    _Known(r"(chat)?gpt-4o", 128_000, vision=True, max_output=16_384),
    _Known(r"gpt-4-turbo", 128_000, vision=True, max_output=4096),
    _Known(r"gpt-4", 8192, max_output=4096),
    _Known(r"gpt-3\.5", 16_385, max_output=4096),
    _Known(r"o1-(mini|preview)", 128_000, tools=False),
    _Known(r"o3-mini", 200_000, max_output=100_000),
    _Known(r"o[134]", 200_000, vision=True, max_output=100_000),
    _Known(r"claude", 200_000, vision=True),
    _Known(r"gemini", 1_048_576, vision=True, max_output=65_535),
    _Known(r"deepseek-(coder|llm)", 16_384, tools=False),
    _Known(r"deepseek-r1", 131_072, tools=False),
    _Known(r"deepseek", 131_072),
    _Known(r"(qwen.*-?vl|qvq)", 131_072, vision=True),
    _Known(r"qwen-?(3-max|3-coder)", 262_144),
    _Known(r"qwen-?3", 131_072),
    _Known(r"qwen-?1|codeqwen", 32_768, tools=False),
    _Known(r"qwen", 32_768),
    _Known(r"(bak)?llava|moondream", 4096, tools=False, vision=True),
    _Known(r"minicpm-v", 32_768, tools=False, vision=True),
    _Known(r"llama-?4", 128_000, vision=True),
    _Known(r"llama-?3\.2-vision", 128_000, tools=False, vision=True),
    _Known(r"llama-?3\.", 128_000),
    _Known(r"llama-?3", 8192, tools=False),
    _Known(r"(llama-?2|codellama|starcoder|vicuna|tinyllama|orca)", 4096, tools=False),
    _Known(r"gemma-?3", 131_072, tools=False, vision=True),
    _Known(r"gemma", 8192, tools=False),
    _Known(r"phi-?4-mini", 131_072),
    _Known(r"phi", 16_384, tools=False),
    _Known(r"(mistral|ministral)-(large|medium|small)-latest", 262_144, vision=True),
    _Known(r"pixtral", 131_072, vision=True),
    _Known(r"(mistral-(large|medium|small|nemo)|ministral|magistral|devstral)", 131_072),
    _Known(r"(mistral|mixtral|codestral)", 32_768),
    _Known(r"kimi-k2\.", 262_144, vision=True),
    _Known(r"kimi", 131_072),
    _Known(r"glm-(4\.[67]|5)", 200_000),
    _Known(r"glm", 131_072),
    _Known(r"grok-[4-9]", 256_000, vision=True),
    _Known(r"grok", 131_072),
    _Known(r"command-(r|a)", 128_000),
)
_PRICES: tuple[tuple[str, float, float, float | None], ...] = (
    (r"gpt-5\.6(-sol)?$", 4, 20, 0.4),
    (r"gpt-5\.5$", 5, 30, 0.5),
    (r"gpt-5\.4-mini$", 0.75, 4.5, 0.075),
    (r"gpt-5\.4-nano$", 0.2, 1.25, 0.02),
    (r"gpt-5\.4$", 2.5, 15, 0.25),
    (r"gpt-5\.2$", 1.75, 14, 0.175),
    (r"gpt-5(\.1)?$", 1.25, 10, 0.125),
    (r"gpt-5-mini$", 0.25, 2, 0.025),
    (r"gpt-5-nano$", 0.05, 0.4, 0.005),
    (r"gpt-4\.1$", 2, 8, 0.5),
    (r"gpt-4\.1-mini$", 0.4, 1.6, 0.1),
    (r"gpt-4\.1-nano$", 0.1, 0.4, 0.025),
    (r"gpt-4o-mini$", 0.15, 0.6, 0.075),
    (r"gpt-4o$", 2.5, 10, 1.25),
    (r"o3$", 2, 8, 0.5),
    (r"o4-mini$", 1.1, 4.4, 0.275),
)
_DATED = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")


def capabilities(provider: Provider, entry: ModelEntry, usual_window: int) -> Capabilities:
    """Return what a model can do: as the config says it, else as its name does, else what most models can."""
    known = _known(entry.name) or _known(provider.called(entry)) or _Known("", usual_window)
    return Capabilities(
        window=entry.window or known.window,
        tools=known.tools if entry.tools is None else entry.tools,
        vision=known.vision if entry.vision is None else entry.vision,
        max_output=entry.max_output or known.max_output,
    )


def price(provider: Provider, entry: ModelEntry) -> Price | None:
    """Return what a model costs: as the config says it, else OpenAI's list price, else nobody knows."""
    if (told := provider.price_of(entry)) is not None or not provider.is_openais:
        return told
    for name in (entry.name, provider.called(entry)):
        plain = _DATED.sub("", name.lower())
        for pattern, input_, output, cached in _PRICES:
            if re.match(pattern, plain):
                return Price(input=input_, output=output, cached_input=cached)
    return None


def _known(name: str) -> _Known | None:
    plain = _MAKERS.sub("", name.lower())
    return next((family for family in _FAMILIES if re.match(family.pattern, plain)), None)
