"""Whether what failed is asked again, and after how long. Pure, but for the dice."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import openai

from orchestrator.chat.failures import model_failure
from orchestrator.limits import MODEL_BACKOFF_S

_TRANSIENT = frozenset({408, 409, 429})
_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"
_LASTING = frozenset({"context_too_long", "model_filtered", "model_quota_used_up"})


def _dice() -> float:
    return random.random()  # noqa: S311 - it spreads those who wait, and keeps no secret


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a reply is asked for again, and how the waits grow; each is drawn between a half and the whole."""

    retries: int = 2
    first_s: float = 0.5
    most_s: float = 8.0
    dice: Callable[[], float] = _dice

    def wait_s(self, error: Exception, failed_before: int) -> float | None:
        """Return the seconds to wait before the reply is asked for again, or None: it is not.

        A server's `Retry-After` counts; one that asks for more than anybody would wait is told to the person.
        """
        if failed_before >= self.retries or not _is_transient(error):
            return None
        asked_s = retry_after_s(error)
        if asked_s is not None:
            return asked_s if asked_s <= MODEL_BACKOFF_S else None
        longest: float = min(self.most_s, self.first_s * 2**failed_before)
        return longest * (0.5 + self.dice() / 2)


def retry_after_s(error: Exception) -> float | None:
    """Return how long a server asks to wait, where it does."""
    if not isinstance(error, openai.APIStatusError):
        return None
    headers = error.response.headers
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / divisor
        except ValueError:
            continue
        if seconds >= 0:  # which no NaN is
            return seconds
    try:
        at = datetime.strptime(headers.get("retry-after", ""), _HTTP_DATE).replace(tzinfo=UTC)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    except ValueError:
        return None


def _is_transient(error: Exception) -> bool:
    failure = model_failure(error)
    if failure is None or failure.code in _LASTING:
        return False
    if isinstance(error, openai.APIStatusError):
        wished = error.response.headers.get("x-should-retry")
        if wished in ("true", "false"):
            return wished == "true"
        return error.status_code in _TRANSIENT or error.status_code >= 500
    return True  # the connection, or the stream: neither says anything about the request
