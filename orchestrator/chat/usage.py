"""What a model's replies used, counted for the metrics."""

from collections.abc import Mapping

from orchestrator.config_models import Price
from orchestrator.metrics import MODEL_COST, MODEL_TOKENS

_PER = 1_000_000


def count_usage(model: str, usage: Mapping[str, object] | None, price: Price | None) -> None:
    """Count a reply's tokens and, where the config has a price, what they cost. Some providers say nothing."""
    if usage is None:
        return
    told, said = (_number(usage[name]) for name in ("prompt_tokens", "completion_tokens"))
    MODEL_TOKENS.count(model, "in", amount=told)
    MODEL_TOKENS.count(model, "out", amount=said)
    if price is not None:
        MODEL_COST.count(model, cost(told, said, price))


def cost(told: int, said: int, price: Price) -> float:
    """Return what so many tokens cost, in the currency of the price."""
    return (told * price.input + said * price.output) / _PER


def _number(said: object) -> int:
    """Return a number of tokens; nobody checked what the provider sent."""
    return max(0, said) if isinstance(said, int) else 0
