"""The config: one JSON file, checked whole at start, and a few environment variables for what differs by host.

An unknown key or a wrong value is refused with the key, the value and what is allowed. What is not set takes a safe
default; nothing that is empty or missing ever means "open".
"""

import json
import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from orchestrator.config_database import database_url
from orchestrator.config_part import Part
from orchestrator.config_people import LOOPBACK, ROLES, OpenIdConnect, People, ProxyHeader, Role
from orchestrator.config_quotas import CPU_PROMISES, HOSTS_OWN_MB, Capacity, Quota, Quotas
from orchestrator.egress.policy import AllowedHost, EgressPolicy
from orchestrator.errors import ConfigError
from orchestrator.limits import PASSWORD_LONGEST, PASSWORD_SHORTEST

_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
Name = Annotated[str, Field(pattern=_NAME)]


class EgressHost(Part):
    """One host that a sandbox may reach. `methods` hold for plain http: inside of TLS nobody can see them."""

    name: str = Field(description="a host's name, an IP address, or *.example.org for all names beneath")
    ports: tuple[int, ...] = (443,)
    methods: tuple[str, ...] = ("GET", "HEAD")
    allow_private: bool = Field(default=False, description="whether the name may lead into a private network")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.allowed()
        return self

    def allowed(self) -> AllowedHost:
        """Return the entry of the allow-list. Raises ValueError for a name, port or method that makes no sense."""
        return AllowedHost(self.name, self.ports, self.methods, self.allow_private)


class PackageIndex(Part):
    """Where `%pip install` finds packages, in profiles whose network is `packages`."""

    url: str = Field(default="https://pypi.org/simple", pattern=r"^https?://[^\s]+$", description="the index")
    hosts: tuple[EgressHost, ...] = Field(
        default=(EgressHost(name="pypi.org"), EgressHost(name="files.pythonhosted.org")),
        description="every host that the index and its files are on",
    )


class Profile(Part):
    """What a sandbox may use. The one place where privilege is stated."""

    roles: tuple[Role, ...] = Field(default=ROLES, min_length=1, description="who may use this profile")
    image: str = Field(default="glovebox-sandbox:latest", min_length=1, description="image of the sandbox")
    runtime: str = Field(default="runc", min_length=1, description="OCI runtime that the engine knows: runc, runsc, …")
    cpus: float = Field(default=2.0, gt=0, le=256, description="CPUs")
    memory_mb: int = Field(default=2048, ge=256, description="memory in MiB; there is no swap")
    pids: int = Field(default=256, ge=64, le=32768, description="processes and threads")
    disk_mb: int = Field(default=8192, ge=16, description="workspace in MiB")
    disk: Literal["watched", "hard"] = Field(
        default="watched", description="a plain folder that is watched, or a file system of its own that ends there"
    )
    tmp_mb: int = Field(default=256, ge=16, description="/tmp in MiB; counts as memory")
    cell_timeout_s: float = Field(default=300, gt=0, le=86_400, description="longest time of one cell in seconds")
    idle_s: float = Field(default=1800, gt=0, description="idle seconds after which a session falls asleep")
    keep_variables_mb: int = Field(
        default=1024, ge=0, description="MiB of variables that are kept in the workspace of a session that sleeps"
    )
    keep_variables_s: float = Field(default=20, gt=0, le=300, description="seconds that saving them may take")
    warm: int | None = Field(
        default=None, ge=0, le=100, description="sandboxes that wait for sessions; null: 1 in the default profile"
    )
    warm_most: int = Field(default=4, ge=0, le=100, description="how many may wait while many are asked for")
    preload: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")], ...] = Field(
        default=("numpy", "pandas", "matplotlib.pyplot"), description="modules that a waiting sandbox has imported"
    )
    network: Literal["none", "packages", "allowlist"] = Field(
        default="none", description="nothing, the package index, or the hosts of `egress`"
    )
    egress: tuple[EgressHost, ...] = Field(default=(), description="what `allowlist` allows; empty: nothing")
    egress_up_mb: int = Field(default=64, ge=0, description="MiB that a session may send out in its whole life")
    egress_down_mb: int = Field(default=4096, ge=0, description="MiB that a session may fetch in its whole life")

    @model_validator(mode="after")
    def _hosts_are_for_an_allow_list(self) -> Self:
        if self.egress and self.network != "allowlist":
            raise ValueError(f"egress lists hosts, but network is {self.network!r}; set it to 'allowlist'")
        return self

    def peer_uid(self, uid: int) -> int:
        """Return as whom a sandbox with this uid answers at its socket: with gVisor that is gVisor's own process."""
        return 0 if self.runtime.startswith("runsc") else uid

    def limits(self) -> dict[str, object]:
        """Return what the API shows of this profile."""
        return self.model_dump(exclude={"roles", "image", "warm", "warm_most", "preload"})


class Price(Part):
    """What a model costs for a million tokens; the currency is the operator's."""

    input: float = Field(ge=0, description="a million tokens told to the model")
    output: float = Field(ge=0, description="a million tokens that it says")


class Provider(Part):
    """A model provider that speaks OpenAI's Chat Completions."""

    name: Name
    base_url: str | None = Field(default=None, pattern=r"^https?://", description="null: the SDK's own default")
    api_key_env: str | None = Field(default=None, description="environment variable with the key; null: none needed")
    models: tuple[str, ...] = Field(min_length=1, description="model names offered to users")
    timeout_s: float = Field(default=120, gt=0)
    prices: dict[str, Price] = Field(default={}, description="by model: for the metric of what was spent")


class Chat(Part):
    """How the chat loop behaves."""

    default_model: str | None = Field(default=None, description="null: the first model that can be used")
    max_rounds: int = Field(default=16, ge=1, le=200, description="model replies in one turn")
    max_repairs: int = Field(default=4, ge=0, le=50, description="failed cells in a row before a turn gives up")
    tool_result_tokens: int = Field(default=4000, ge=200, description="longest cell result told to the model")
    extra_instructions: str = Field(default="", description="added to the system prompt")


class Server(Part):
    """Where the API listens, and under which host names it may be addressed."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=1, le=65535)
    allowed_hosts: tuple[str, ...] = Field(default=(), description="host names beside localhost and 127.0.0.1")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="addresses or networks whose X-Forwarded-For is believed"
    )


class Config(Part):
    """The whole config."""

    server: Server = Server()
    profiles: dict[Name, Profile] = Field(default={"standard": Profile()}, min_length=1)
    default_profile: Name = "standard"
    package_index: PackageIndex = PackageIndex()
    capacity: Capacity = Capacity()
    quotas: Quotas = Quotas()
    providers: tuple[Provider, ...] = ()
    chat: Chat = Chat()
    people: People = People()

    def waiting(self, profile_name: str) -> tuple[int, int]:
        """Return how many warm sandboxes of a profile are to wait: as a rule, and at most."""
        profile = self.profiles[profile_name]
        least = int(profile_name == self.default_profile) if profile.warm is None else profile.warm
        return least, max(least, profile.warm_most) if least else 0

    def promisable(self, host_memory_mb: int, host_cpus: int) -> tuple[float, float]:
        """Return how much memory (MiB) and CPU may be promised to all sandboxes together on this host.

        Raises:
            ConfigError: a profile promises more than the host has, or than all sandboxes together may have.

        """
        memory_mb = self.capacity.memory_mb or max(256, host_memory_mb - HOSTS_OWN_MB)
        cpus = self.capacity.cpus or host_cpus * CPU_PROMISES
        for name, profile in self.profiles.items():
            if profile.memory_mb > min(memory_mb, host_memory_mb):
                raise ConfigError(
                    f"profiles.{name}.memory_mb is {profile.memory_mb}, but the host has {host_memory_mb} MiB, and "
                    f"sandboxes may have {memory_mb} together (capacity.memory_mb). Lower the one or raise the other."
                )
            if profile.cpus > min(cpus, host_cpus):
                raise ConfigError(
                    f"profiles.{name}.cpus is {profile.cpus:g}, but the host has {host_cpus}, and sandboxes may have "
                    f"{cpus:g} together (capacity.cpus). Lower the one or raise the other."
                )
        return memory_mb, cpus

    def egress_policy(self, profile: Profile) -> EgressPolicy | None:
        """Return what sandboxes of a profile may reach; None: they get no way out at all."""
        match profile.network:
            case "packages":
                return EgressPolicy(tuple(host.allowed() for host in self.package_index.hosts))
            case "allowlist":
                return EgressPolicy(tuple(host.allowed() for host in profile.egress))
            case _:
                return None

    @field_validator("providers")
    @classmethod
    def _providers_have_names_of_their_own(cls, providers: tuple[Provider, ...]) -> tuple[Provider, ...]:
        names = [provider.name for provider in providers]
        if len(set(names)) != len(names) or "demo" in names:
            raise ValueError("each provider needs a name of its own, and 'demo' is taken")
        return providers

    @model_validator(mode="after")
    def _default_profile_exists(self) -> Self:
        if self.default_profile not in self.profiles:
            raise ValueError(f"default_profile is {self.default_profile!r}; allowed: {', '.join(self.profiles)}")
        if set(self.profiles[self.default_profile].roles) != set(ROLES):
            raise ValueError(f"default_profile is {self.default_profile!r}, which is not for everybody")
        return self


class Settings(Part):
    """The config and what the host's environment adds to it."""

    config: Config
    data: Path
    database_url: str = Field(repr=False)
    spawner_socket: Path
    disks_socket: Path
    instance: Name
    listen_host: str
    listen_port: int
    token: str | None
    ca_bundle: Path | None
    admin_password: str | None
    proxy_secret: str | None
    oidc_secret: str | None

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read config file and environment.

        Raises:
            ConfigError: the file is missing, no JSON, has unknown or wrong keys, or would open the API to others
                without a token.

        """
        named = environ.get("GLOVEBOX_CONFIG")
        config = read_config(Path(named)) if named else Config()
        listen_host = environ.get("GLOVEBOX_LISTEN_HOST") or config.server.host
        data = Path(environ.get("GLOVEBOX_DATA") or "data").absolute()
        settings = cls(
            config=config,
            data=data,
            database_url=database_url(environ.get("GLOVEBOX_DATABASE_URL"), data),
            spawner_socket=Path(environ.get("GLOVEBOX_SPAWNER_SOCKET") or "/run/spawner/spawner.sock"),
            disks_socket=Path(environ.get("GLOVEBOX_DISKS_SOCKET") or "/run/disks/disks.sock"),
            instance=_instance(environ.get("GLOVEBOX_INSTANCE") or "glovebox"),
            listen_host=listen_host,
            listen_port=_port(environ.get("GLOVEBOX_LISTEN_PORT")) or config.server.port,
            token=environ.get("GLOVEBOX_TOKEN") or None,
            ca_bundle=Path(environ["GLOVEBOX_CA_BUNDLE"]) if environ.get("GLOVEBOX_CA_BUNDLE") else None,
            admin_password=environ.get("GLOVEBOX_ADMIN_PASSWORD") or None,
            proxy_secret=_secret(environ, config.people.proxy.secret_env if config.people.proxy else None),
            oidc_secret=_secret(environ, config.people.oidc.client_secret_env if config.people.oidc else None),
        )
        # In a container the process listens on all of *its* addresses; what counts is where the port is published.
        reachable_at = environ.get("GLOVEBOX_BIND") or listen_host
        team = config.people.mode == "team"
        if team and settings.token is not None:
            raise ConfigError(
                "GLOVEBOX_TOKEN is one token for everybody, and people.mode is 'team', where each has their own. "
                "Remove it from the environment and .env; './glovebox user token NAME' makes one for a person."
            )
        if reachable_at not in LOOPBACK and settings.token is None and not team:
            raise ConfigError(
                f"The API would be reachable at {reachable_at!r} without a token. Set GLOVEBOX_TOKEN to a long random "
                "string, or people.mode to 'team', or bind to 127.0.0.1."
            )
        if settings.token is not None and len(settings.token) < 16:
            raise ConfigError("GLOVEBOX_TOKEN has fewer than 16 characters; use a long random string.")
        if not PASSWORD_SHORTEST <= len(settings.admin_password or "x" * PASSWORD_SHORTEST) <= PASSWORD_LONGEST:
            raise ConfigError(
                f"GLOVEBOX_ADMIN_PASSWORD must have {PASSWORD_SHORTEST} to {PASSWORD_LONGEST} characters."
            )
        return settings


def _instance(text: str) -> str:
    """Return the instance's name from the environment; containers and folders are named after it."""
    if not re.fullmatch(_NAME, text):
        raise ConfigError(f"GLOVEBOX_INSTANCE is {text!r}; allowed: {_NAME}.")
    return text


def _secret(environ: Mapping[str, str], name: str | None) -> str | None:
    """Return a secret that the config names; None where it names none."""
    if name is None:
        return None
    found = environ.get(name, "")
    if len(found) < 16:
        raise ConfigError(f"{name} has fewer than 16 characters, or is not set; the config names it for a secret.")
    return found


def _port(text: str | None) -> int | None:
    """Return a port number from the environment, None where there is none."""
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise ConfigError(f"GLOVEBOX_LISTEN_PORT is {text!r}; allowed: 1 to 65535.")
    return int(text)


def read_config(path: Path) -> Config:
    """Read and check a config file.

    Raises:
        ConfigError: its detail has one line for each wrong key, with the value and what is allowed.

    """
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        lines = [f"{path}:"] + [f"  {_explain(problem, raw)}" for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from error


def _explain(problem: Any, raw: Any) -> str:
    """Return one line for one validation error: key, value, what is allowed."""
    key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
    if problem["type"] == "extra_forbidden":
        siblings = _keys_beside(problem["loc"])
        return f"{key}: unknown key (value {_short(problem['input'])}); allowed: {', '.join(siblings)}"
    value = "" if problem["input"] is raw else f" (value {_short(problem['input'])})"
    return f"{key}: {problem['msg']}{value}"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are allowed where an unknown one stood."""
    parts: dict[str, type[Part]] = {
        "server": Server,
        "profiles": Profile,
        "providers": Provider,
        "prices": Price,
        "chat": Chat,
        "people": People,
        "capacity": Capacity,
        "quotas": Quotas,
        "admin": Quota,
        "member": Quota,
        "proxy": ProxyHeader,
        "oidc": OpenIdConnect,
        "package_index": PackageIndex,
        "egress": EgressHost,
        "hosts": EgressHost,
    }
    innermost = next((str(part) for part in reversed(location[:-1]) if part in parts), "")
    model: type[Part] = parts.get(innermost, Config)
    return sorted(model.model_fields)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"
