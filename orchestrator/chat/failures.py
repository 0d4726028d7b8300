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

    code = "model_window_full"

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
    for kind, code, sentence in _KINDS:
        if isinstance(error, kind):
            break
    else:
        return None
    reason = _without(_reason(error), secrets)
    told = f" {'The reason' if isinstance(error, openai.APIConnectionError) else 'It said'}: {reason}" if reason else ""
    status = getattr(error, "status_code", None)
    words = f"{getattr(error, 'code', '')} {_all_words(error)}"
    if isinstance(error, openai.APIError) and (status in (None, 400, 413, 422, 500)):
        if status == 413 or _WINDOW.search(words):
            return WindowRefused(
                "The conversation is longer than this model's window. Pick a model with a larger one, or begin a new "
                f"session.{told}"
            )
        if _FILTER.search(words):
            return filtered(reason)
    if _is_used_up(error):
        return ModelUnavailable(
            f"What this key may use at the provider is used up. Ask whoever pays for it.{told}",
            code="model_quota_used_up",
        )
    if code == "model_key_refused" and own_key:
        sentence = _WITH_OWN_KEY
    if code == "model_rate_limited" and wait_s is not None and wait_s >= 1:
        sentence = f"The provider is asked too often right now. Try again in {in_words(wait_s)}."
    return ModelUnavailable(f"{sentence}{told}", code=code)


def filtered(reason: str = "") -> ModelUnavailable:
    """Return what to tell where the provider's content filter ended the conversation or a reply."""
    told = f" It said: {reason}" if reason else ""
    detail = f"The provider's content filter stepped in. Say it in other words, or pick another model.{told}"
    return ModelUnavailable(detail, code="model_filtered")


def _is_used_up(error: Exception) -> bool:
    """Tell whether money or a quota has run out, which no waiting mends."""
    if getattr(error, "status_code", None) == 402:
        return True
    about = isinstance(error, openai.APIError) and getattr(error, "status_code", None) in (None, 403, 429)
    return about and _USED_UP.search(f"{getattr(error, 'code', '')} {_all_words(error)}") is not None


def in_words(seconds: float) -> str:
    """Return a time to wait as people say it."""
    if seconds < 90:
        return f"{ceil(seconds)} s"
    minutes = ceil(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _all_words(error: Exception) -> str:
    return f"{error} {getattr(error, 'body', '')}"[:4000]


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
