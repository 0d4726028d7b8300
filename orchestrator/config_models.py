"""The part of the config that says which models there are, how each is reached, and what it can do."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from orchestrator.config_part import Part
from orchestrator.config_people import HeaderName

_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
DEMO_MODEL = "glovebox-demo"
DEMO_PROVIDER = "demo"
_HEADER_VALUE = r"^[\x20-\x7e]{0,1000}$"
_HTTP = r"^https?://[^\s]+$"
# What the client itself sets, or what would send a key to where it does not belong.
_TAKEN = frozenset({"authorization", "connection", "content-length", "content-type", "cookie", "host", "te"})
_OURS = frozenset({"messages", "model", "stream", "stream_options", "tools", "n"})

ModelName = Annotated[str, Field(min_length=1, max_length=200)]
OutputLimit = Literal["max_tokens", "max_completion_tokens"]


class Price(Part):
    """What a model costs for a million tokens; the currency is the operator's."""

    input: float = Field(ge=0, description="a million tokens told to the model")
    output: float = Field(ge=0, description="a million tokens that it says")
    cached_input: float | None = Field(
        default=None, ge=0, description="a million told tokens that the provider had in its cache; null: as the others"
    )


class ModelEntry(Part):
    """A model that users may pick. What is not said here follows from its name, where that is a known one."""

    name: ModelName = Field(description="as users see it")
    called: ModelName | None = Field(default=None, description="the provider's own name of it; null: the same")
    window: int | None = Field(default=None, ge=2048, description="tokens that a request and its reply may have")
    max_output: int | None = Field(default=None, ge=16, description="longest reply in tokens, asked for in requests")
    tools: bool | None = Field(default=None, description="whether it calls tools; false: it writes fenced code")
    vision: bool | None = Field(default=None, description="whether it sees pictures")
    price: Price | None = None
    stream_usage: bool = Field(default=True, description="whether a stream is asked to tell what it used")
    parallel_calls: bool = Field(default=True, description="whether one reply may have several calls")
    output_limit: OutputLimit | None = Field(
        default=None, description="the field that max_output goes into; null: as OpenAI has it, or as others have it"
    )
    extra_body: dict[str, Any] = Field(default={}, description="added to each request, as it is")

    @field_validator("extra_body")
    @classmethod
    def _adds_and_replaces_nothing(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_OURS & extra.keys()):
            raise ValueError(f"extra_body may not have {', '.join(taken)}: Glovebox sets them")
        return extra


def _with_name(entry: object) -> object:
    """Let a plain name stand for an entry that says nothing else."""
    return {"name": entry} if isinstance(entry, str) else entry


class Provider(Part):
    """A server that speaks OpenAI's Chat Completions: OpenAI itself, Azure OpenAI, or any that is like them."""

    name: str = Field(pattern=_NAME)
    kind: Literal["openai", "azure"] = Field(default="openai", description="how requests are addressed")
    base_url: str | None = Field(default=None, pattern=_HTTP, description="for openai; null: the SDK's own default")
    endpoint: str | None = Field(default=None, pattern=_HTTP, description="for azure: https://NAME.openai.azure.com")
    api_version: str | None = Field(default=None, min_length=1, description="for azure: 2024-10-21, …")
    deployments: dict[str, ModelName] = Field(default={}, description="for azure: a model's deployment, by its name")
    api_key_env: str | None = Field(default=None, min_length=1, description="environment variable with the key")
    api_key_file: str | None = Field(default=None, min_length=1, description="file with the key")
    key_header: HeaderName | None = Field(
        default=None, description="header that carries the key; null: Authorization, with azure api-key"
    )
    own_keys: bool = Field(default=False, description="whether people may bring keys of their own")
    headers: dict[HeaderName, Annotated[str, Field(pattern=_HEADER_VALUE)]] = Field(
        default={}, description="sent with each request, besides the key"
    )
    proxy: str | None = Field(default=None, pattern=_HTTP, description="null: as the environment says it")
    ca_bundle: str | None = Field(default=None, min_length=1, description="file of CAs, trusted besides the system's")
    models: tuple[Annotated[ModelEntry, BeforeValidator(_with_name)], ...] = Field(
        min_length=1, description="models offered to users: names, or objects with a name and what is special"
    )
    timeout_s: float = Field(default=120, gt=0, le=3600, description="longest silence of the server")
    retries: int = Field(default=2, ge=0, le=10, description="how often what failed is asked again")
    prices: dict[str, Price] = Field(default={}, description="by model; `price` of a model's entry counts first")

    @property
    def needs_key(self) -> bool:
        """Whether it is asked with a key at all."""
        return self.own_keys or self.api_key_env is not None or self.api_key_file is not None

    @property
    def is_openais(self) -> bool:
        """Whether these are OpenAI's models, by OpenAI or by Azure."""
        return self.kind == "azure" or self.base_url is None or "//api.openai.com" in self.base_url

    @field_validator("headers")
    @classmethod
    def _headers_are_its_own(cls, headers: dict[str, str]) -> dict[str, str]:
        if taken := sorted(_TAKEN & {name.lower() for name in headers}):
            raise ValueError(f"headers may not have {', '.join(taken)}; a key goes into api_key_env and key_header")
        return headers

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        azure = {"endpoint": self.endpoint, "api_version": self.api_version}
        if self.kind == "azure":
            missing = [name for name, value in azure.items() if value is None]
            if missing or self.base_url is not None:
                raise ValueError("a provider of the kind 'azure' needs endpoint and api_version, and no base_url")
            if not self.needs_key:
                raise ValueError("a provider of the kind 'azure' needs api_key_env, api_key_file or own_keys")
        elif any(azure.values()) or self.deployments:
            raise ValueError("endpoint, api_version and deployments are for the kind 'azure'; others have a base_url")
        if self.api_key_env is not None and self.api_key_file is not None:
            raise ValueError("give the key by api_key_env or by api_key_file, not by both")
        if self.key_header is not None and not self.needs_key:
            raise ValueError("key_header names a header for a key, and there is none")
        return self

    @model_validator(mode="after")
    def _names_are_models(self) -> Self:
        names = {entry.name for entry in self.models}
        for key, told in (("prices", self.prices), ("deployments", self.deployments)):
            if strange := sorted(told.keys() - names):
                raise ValueError(f"{key} names {strange[0]!r}, which is none of models: {', '.join(sorted(names))}")
        return self

    def price_of(self, entry: ModelEntry) -> Price | None:
        """Return what a model costs, where the config says it."""
        return entry.price or self.prices.get(entry.name)

    def called(self, entry: ModelEntry) -> str:
        """Return what a model is called in a request to this provider; with azure, its deployment."""
        return self.deployments.get(entry.name) or entry.called or entry.name


def check_providers(providers: tuple[Provider, ...]) -> None:
    """Raise ValueError where a provider or a model has not a name of its own."""
    names = [provider.name for provider in providers]
    if len(set(names)) != len(names) or DEMO_PROVIDER in names:
        raise ValueError("each provider needs a name of its own, and 'demo' is taken")
    found: dict[str, str] = {DEMO_MODEL: DEMO_PROVIDER}
    for provider in providers:
        for entry in provider.models:
            if entry.name in found:
                raise ValueError(
                    f"the model {entry.name!r} is at {found[entry.name]!r} and at {provider.name!r}; give one of them "
                    "another name, and say in its 'called' what its provider calls it"
                )
            found[entry.name] = provider.name
