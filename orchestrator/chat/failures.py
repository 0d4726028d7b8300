"""What a provider's failure means for the person, in their words and with the provider's reason. Pure."""

import re
from math import ceil

import openai

from orchestrator.errors import ModelUnavailable

_LONGEST_REASON = 300
_WINDOW = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|prompt is too long|too many (input )?tokens|token limit"
    r"|(input|prompt|request)[^.]{0,40}(too long|exceeds)[^.]{0,40}(token|length|context|model)|reduce the length",
    re.IGNORECASE,
)
_FILTER = re.compile(r"content[ _]?(filter|management|policy)|responsible ?ai|safety system|flagged", re.IGNORECASE)
_USED_UP = re.compile(
    r"insufficient[_ ](quota|balance|funds|credit)|exceeded your current quota|billing|out of credit|credit balance",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class WindowRefused(ModelUnavailable):
    """What was told is more than the model's window holds, by the provider's count."""

    code = "context_too_long"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code=self.code)


_KINDS: tuple[tuple[type[Exception], str, str], ...] = (
    (openai.AuthenticationError, "model_key_refused", "The provider refused the key. Ask whoever runs this Glovebox."),
    (openai.PermissionDeniedError, "model_key_refused", "The key may not use this model."),
    (openai.NotFoundError, "model_unknown", "The provider does not know this model. Pick another one."),
    (openai.RateLimitError, "model_rate_limited", "The provider is asked too often right now. Try again in a while."),
    (openai.InternalServerError, "model_failed", "The provider failed. Try again, or pick another model."),
    (openai.APIStatusError, "model_refused", "The provider refused the request."),
    (openai.APITimeoutError, "model_timeout", "The provider did not answer in time. Try again, or pick another model."),
    (openai.APIConnectionError, "model_unreachable", "The provider cannot be reached. Try again in a while."),
    (openai.APIError, "model_failed", "The provider broke off with an error. Try again, or pick another model."),
    (ValueError, "model_nonsense", "The provider's answer makes no sense. Try again, or pick another model."),
)
_REFUSING = (400, 413, 422, 500)
_WITH_OWN_KEY = "The provider refused the key that you brought. Give another one, or take it back."


def model_failure(
    error: Exception, *, secrets: tuple[str, ...] = (), own_key: bool = False, wait_s: float | None = None
) -> ModelUnavailable | None:
    """Return what to tell about a provider's error, or None for an error of our own.

    Args:
        error: what the SDK raised.
        secrets: keys that a provider may repeat in its words, and that nobody is told.
        own_key: whether the person brought the key.
        wait_s: how long the provider asked to wait.

    """
    found = next(((code, sentence) for kind, code, sentence in _KINDS if isinstance(error, kind)), None)
    if found is None:
        return None
    code, sentence = found
    reason = _without(_reason(error), secrets)
    said = "The reason" if isinstance(error, openai.APIConnectionError) else "It said"
    told = f" {said}: {reason}" if reason else ""
    if _is_about_the_window(error):
        return WindowRefused(
            "The conversation is longer than this model's window. Pick a model with a larger one, or begin a new "
            f"session.{told}"
        )
    if _is_about(error, _FILTER, _REFUSING):
        return filtered(reason)
    if getattr(error, "status_code", None) == 402 or _is_about(error, _USED_UP, (403, 429)):
        code = "model_quota_used_up"
        sentence = "What this key may use at the provider is used up. Ask whoever pays for it."
    elif code == "model_key_refused" and own_key:
        sentence = _WITH_OWN_KEY
    elif code == "model_rate_limited" and wait_s is not None and wait_s >= 1:
        sentence = f"The provider is asked too often right now. Try again in {in_words(wait_s)}."
    return ModelUnavailable(f"{sentence}{told}", code=code)


def filtered(reason: str = "") -> ModelUnavailable:
    """Return what to tell where the provider's content filter ended the conversation or a reply."""
    told = f" It said: {reason}" if reason else ""
    detail = f"The provider's content filter stepped in. Say it in other words, or pick another model.{told}"
    return ModelUnavailable(detail, code="model_filtered")


def in_words(seconds: float) -> str:
    """Return a time to wait as people say it."""
    if seconds < 90:
        return f"{ceil(seconds)} s"
    minutes = ceil(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _is_about_the_window(error: Exception) -> bool:
    return getattr(error, "status_code", None) == 413 or _is_about(error, _WINDOW, _REFUSING)


def _is_about(error: Exception, words: re.Pattern[str], statuses: tuple[int, ...]) -> bool:
    """Tell whether an error with one of these statuses, or one in a stream, which has none, speaks of something."""
    if not isinstance(error, openai.APIError) or isinstance(error, openai.APIConnectionError):
        return False
    status = getattr(error, "status_code", None)
    said = f"{error.code} {error.message} {error.body}"[:4000]
    return (status is None or status in statuses) and words.search(said) is not None


def _without(words: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if len(secret) >= 4:
            words = words.replace(secret, "…")
    return words


def _reason(error: Exception) -> str:
    """Return the provider's own words, short, in one line."""
    body = getattr(error, "body", None)
    words: object = "" if isinstance(error, ValueError) else str(error)
    if isinstance(error, openai.APIConnectionError):
        words = str(error.__cause__ or "")  # a certificate, a name that is not known, …
    if isinstance(body, dict):
        inner = body.get("error", body)
        words = inner.get("message", words) if isinstance(inner, dict) else inner
    return _CONTROL.sub(" ", words)[:_LONGEST_REASON].strip() if isinstance(words, str) else ""
