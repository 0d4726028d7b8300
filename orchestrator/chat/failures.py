"""What a provider's failure means for the person, purely by the kind of the SDK's error."""

import openai

from orchestrator.errors import ModelUnavailable

_KINDS: tuple[tuple[type[Exception], str, str], ...] = (
    (openai.AuthenticationError, "model_key_refused", "The provider refused the key. Ask whoever runs this Glovebox."),
    (openai.PermissionDeniedError, "model_key_refused", "The key may not use this model."),
    (openai.NotFoundError, "model_unknown", "The provider does not know this model."),
    (openai.RateLimitError, "model_rate_limited", "The provider is asked too often, or the quota is used up."),
    (openai.BadRequestError, "model_refused", "The provider refused the request."),
    (openai.InternalServerError, "model_failed", "The provider failed."),
    (openai.APITimeoutError, "model_timeout", "The provider did not answer in time."),
    (openai.APIConnectionError, "model_unreachable", "The provider cannot be reached."),
    (openai.APIError, "model_failed", "The provider broke off with an error."),
    (ValueError, "model_nonsense", "The provider's answer makes no sense."),
)
_LONGEST_REASON = 300


def model_failure(error: Exception) -> ModelUnavailable | None:
    """Return what to tell about a provider's error, or None for an error of our own."""
    for kind, code, sentence in _KINDS:
        if isinstance(error, kind):
            reason = _reason(error)
            return ModelUnavailable(f"{sentence} It said: {reason}" if reason else sentence, code=code)
    return None


def _reason(error: Exception) -> str:
    """Return the provider's own words, short."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body.get("error", body)
        words = inner.get("message") if isinstance(inner, dict) else inner
        if isinstance(words, str):
            return words[:_LONGEST_REASON]
    return "" if isinstance(error, ValueError | openai.APIConnectionError) else str(error)[:_LONGEST_REASON]
