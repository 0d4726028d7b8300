"""The models that may be picked, what each can do, and who asks them with which key."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openai.types.chat import ChatCompletionToolParam

from orchestrator.chat import known_models
from orchestrator.chat.asking import Asker, Target
from orchestrator.chat.capabilities import Capabilities
from orchestrator.chat.clients import DEMO, CannotAsk, Clients, find_key
from orchestrator.chat.patience import Patience
from orchestrator.chat.prompt import TOOL
from orchestrator.chat.request import Lesson, Manner
from orchestrator.chat.usage import ModelUse
from orchestrator.config import Config
from orchestrator.config_models import DEMO_MODEL, ModelEntry, OutputLimit, Price, Provider
from orchestrator.errors import BadRequest, ModelUnavailable
from orchestrator.people.keys import OwnKeys


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the API shows it; `detail` says why it is not available."""

    id: str
    provider: str
    available: bool
    detail: str | None
    default: bool
    tools: bool
    vision: bool
    window: int
    price: dict[str, float | None] | None


@dataclass(frozen=True, slots=True)
class _Offer:
    """A model of the config, with what follows from it."""

    provider: Provider
    entry: ModelEntry
    capabilities: Capabilities
    price: Price | None
    learned: set[Lesson]


class Models:
    """All models of the config, and the demo model, which is always there."""

    def __init__(
        self, config: Config, demo_socket: Path, keys: OwnKeys, use: ModelUse, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.use = use
        self._keys = keys
        self._environ = environ
        self._clients = Clients(demo_socket)
        self._wanted = config.chat.default_model
        self._usual = Capabilities(window=config.chat.window_tokens)
        self._offers = {
            entry.name: _Offer(
                provider,
                entry,
                known_models.capabilities(provider, entry, config.chat.window_tokens),
                known_models.price(provider, entry),
                set(),
            )
            for provider in config.providers
            for entry in provider.models
        }
        self._offers[DEMO_MODEL] = _Offer(DEMO, ModelEntry(name=DEMO_MODEL), Capabilities(), None, set())

    async def list(self, person_id: str) -> list[Model]:
        """Return the models for somebody, in the config's order, the demo model last."""
        missing = await asyncio.to_thread(self._missing, await self._keys.all_of(person_id))
        usable = [name for name, why in missing.items() if why is None]
        default = self._wanted if self._wanted in usable else usable[0]
        return [
            Model(
                name,
                offer.provider.name,
                missing[name] is None,
                missing[name],
                name == default,
                offer.capabilities.tools,
                offer.capabilities.vision,
                offer.capabilities.window,
                None if offer.price is None else offer.price.model_dump(),
            )
            for name, offer in self._offers.items()
        ]

    async def pick(self, name: str | None, person_id: str) -> str:
        """Return the model to use: the one named, or the default.

        Raises:
            BadRequest: there is no such model.
            ModelUnavailable: there is, but no key for it.

        """
        models = await self.list(person_id)
        if name is None:
            return next(model.id for model in models if model.default)
        for model in models:
            if model.id == name:
                if not model.available:
                    raise ModelUnavailable(model.detail or "The model has no key.", code="model_no_key")
                return name
        allowed = ", ".join(model.id for model in models if model.available)
        raise BadRequest(f"There is no model {name[:100]!r}; allowed: {allowed}.", code="unknown_model")

    async def asker(
        self,
        person_id: str,
        session_id: str,
        name: str | None,
        *,
        tools: Sequence[ChatCompletionToolParam] = (TOOL,),
    ) -> Asker:
        """Return who asks a model in the name of a person: with their own key where they have one.

        Raises:
            BadRequest: there is no such model.
            ModelUnavailable: there is, but no key for it.
            TooManyRequests: they have used up what they may use in a day.

        """
        offer = self._offers[await self.pick(name, person_id)]
        own = (await self._keys.all_of(person_id)).get(offer.provider.name) if offer.provider.own_keys else None
        if own is None:
            await self.use.check(person_id)
        try:
            key = own or await asyncio.to_thread(find_key, offer.provider, self._environ)
            client = await self._clients.client(offer.provider, key)
        except CannotAsk as error:
            raise ModelUnavailable(str(error), code="model_no_key") from error
        target = Target(
            offer.entry.name,
            client,
            _manner(offer),
            offer.capabilities,
            offer.price,
            Patience(offer.provider.retries),
            offer.learned,
            key or "",
            own is not None,
        )
        return Asker(target, self.use, person_id, session_id, tools)

    def about(self, name: str) -> Capabilities:
        """Return what a model can do; of one that is not (any more) in the config, what most can."""
        offer = self._offers.get(name)
        return self._usual if offer is None else offer.capabilities

    def price(self, name: str) -> Price | None:
        """Return what a model costs, where that is known."""
        offer = self._offers.get(name)
        return None if offer is None else offer.price

    async def close(self) -> None:
        """Close all connections."""
        await self._clients.close()

    def _missing(self, own: Mapping[str, str]) -> dict[str, str | None]:
        """Return for each model why it cannot be used; None: it can. Blocks for keys in files."""
        by_provider: dict[str, str | None] = {}
        for offer in self._offers.values():
            provider = offer.provider
            if provider.name in by_provider:
                continue
            by_provider[provider.name] = None
            try:
                if provider.name not in own:
                    find_key(provider, self._environ)
            except CannotAsk as error:
                by_provider[provider.name] = str(error)
        return {name: by_provider[offer.provider.name] for name, offer in self._offers.items()}


def _manner(offer: _Offer) -> Manner:
    provider, entry = offer.provider, offer.entry
    usual: OutputLimit = "max_completion_tokens" if provider.is_openais else "max_tokens"
    return Manner(
        called=provider.called(entry),
        tools=offer.capabilities.tools,
        stream_usage=entry.stream_usage,
        parallel_calls=entry.parallel_calls,
        output_limit=entry.output_limit or usual,
        max_output=entry.max_output,
        extra_body=entry.extra_body,
    )
