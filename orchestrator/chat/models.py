"""The models that may be picked, and the clients that reach them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
from openai import AsyncOpenAI

from orchestrator.chat.capabilities import Capabilities
from orchestrator.config import Config, Price, Provider
from orchestrator.errors import BadRequest, ModelUnavailable

DEMO_MODEL = "glovebox-demo"
_DEMO_PROVIDER = Provider(name="demo-model", models=(DEMO_MODEL,))


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the API shows it; `detail` says why it is not available."""

    id: str
    provider: str
    available: bool
    detail: str | None
    default: bool


class Models:
    """All models of the config, and the demo model, which is always there."""

    def __init__(self, config: Config, demo_socket: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._demo_socket = demo_socket
        self._environ = environ
        self._clients: dict[str, AsyncOpenAI] = {}

    def list(self) -> list[Model]:
        """Return the models, in the config's order, the demo model last."""
        found = [
            (name, provider.name, self._missing_key(provider))
            for provider in self._config.providers
            for name in provider.models
        ]
        found.append((DEMO_MODEL, "demo", None))
        wanted = self._config.chat.default_model
        usable = [name for name, _, missing in found if missing is None]
        default = wanted if wanted in usable else usable[0]
        return [Model(name, provider, missing is None, missing, name == default) for name, provider, missing in found]

    def pick(self, name: str | None) -> str:
        """Return the model to use: the one named, or the default.

        Raises:
            BadRequest: there is no such model.
            ModelUnavailable: there is, but its key is not set.

        """
        models = self.list()
        if name is None:
            return next(model.id for model in models if model.default)
        for model in models:
            if model.id == name:
                if not model.available:
                    raise ModelUnavailable(model.detail or "The model has no key.", code="model_no_key")
                return name
        allowed = ", ".join(model.id for model in models if model.available)
        raise BadRequest(f"There is no model {name[:100]!r}; allowed: {allowed}.", code="unknown_model")

    def client(self, model: str) -> AsyncOpenAI:
        """Return the client for a model that was picked."""
        provider = next((p for p in self._config.providers if model in p.models), _DEMO_PROVIDER)
        if provider.name not in self._clients:
            self._clients[provider.name] = self._make_client(provider)
        return self._clients[provider.name]

    def price(self, model: str) -> Price | None:
        """Return what a model costs, where the config says it."""
        return next((p.prices[model] for p in self._config.providers if model in p.models and model in p.prices), None)

    def about(self, model: str) -> Capabilities:
        """Return what a model can do."""
        return Capabilities(window=self._config.chat.window_tokens)

    async def close(self) -> None:
        """Close all clients."""
        for client in self._clients.values():
            await client.close()

    def _make_client(self, provider: Provider) -> AsyncOpenAI:
        if provider is _DEMO_PROVIDER:
            transport = httpx2.AsyncHTTPTransport(uds=str(self._demo_socket))
            http = httpx2.AsyncClient(transport=transport, trust_env=False)
            return AsyncOpenAI(api_key="none", base_url="http://demo-model/v1", http_client=http)
        key = self._environ.get(provider.api_key_env) if provider.api_key_env else "none"
        return AsyncOpenAI(api_key=key, base_url=provider.base_url, timeout=provider.timeout_s)

    def _missing_key(self, provider: Provider) -> str | None:
        if provider.api_key_env is None or self._environ.get(provider.api_key_env):
            return None
        return f"The provider {provider.name!r} has no key: set the environment variable {provider.api_key_env}."
