"""The clients that reach providers: addresses, keys, headers, proxies and certificates as the config has them."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import httpx2
from openai import AsyncAzureOpenAI, AsyncOpenAI

from orchestrator.config_models import DEMO_PROVIDER, Provider
from orchestrator.people.keys import is_sendable

DEMO = Provider.model_construct(name=DEMO_PROVIDER, base_url="http://demo-model/v1", retries=0)
_NO_KEY = "none"
_CONNECT_S = 10.0
_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)


class CannotAsk(Exception):
    """A provider cannot be asked as it is set up: no key, or no certificates. The text says what to do."""


def find_key(provider: Provider, environ: Mapping[str, str]) -> str | None:
    """Return the operator's key for a provider; None where it is asked without one. Blocks for a file.

    Raises:
        CannotAsk: there should be one and is not.

    """
    own = ", or bring a key of your own" if provider.own_keys else ""
    if provider.api_key_env is not None:
        where, key = f"set the environment variable {provider.api_key_env}", environ.get(provider.api_key_env, "")
    elif provider.api_key_file is not None:
        where = f"put it into the file {provider.api_key_file}"
        try:
            key = Path(provider.api_key_file).read_text(errors="replace")
        except OSError:
            key = ""
    elif provider.own_keys:
        raise CannotAsk(f"The provider {provider.name!r} is asked with keys of people's own: bring yours.")
    else:
        return None
    key = key.strip()
    if not key:
        raise CannotAsk(f"The provider {provider.name!r} has no key: {where}{own}.")
    if not is_sendable(key):
        raise CannotAsk(f"The key of the provider {provider.name!r} has spaces or signs that no key has: {where} anew.")
    return key


class Clients:
    """One pool of connections for each provider; clients with this key or that share it."""

    def __init__(self, demo_socket: Path) -> None:
        self._demo_socket = demo_socket
        self._pools: dict[str, httpx2.AsyncClient] = {}

    async def client(self, provider: Provider, key: str | None) -> AsyncOpenAI:
        """Return a client that asks a provider with this key.

        Raises:
            CannotAsk: the provider's file of certificates cannot be read.

        """
        if provider.name not in self._pools:
            made = await asyncio.to_thread(self._pool, provider)
            self._pools.setdefault(provider.name, made)
        return _client(provider, key, self._pools[provider.name])

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, provider: Provider) -> httpx2.AsyncClient:
        timeout = httpx2.Timeout(provider.timeout_s, connect=min(_CONNECT_S, provider.timeout_s))
        if provider is DEMO:
            transport = httpx2.AsyncHTTPTransport(uds=str(self._demo_socket))
            return httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout)
        # No redirects: a key and a conversation go where the config says, and nowhere else.
        return httpx2.AsyncClient(
            proxy=provider.proxy,
            verify=_trust(provider),
            timeout=timeout,
            limits=_LIMITS,
            follow_redirects=False,
            event_hooks={"request": [_without_usual_header] if _has_header_of_its_own(provider) else []},
        )


@cache
def _system_trust() -> ssl.SSLContext:
    """Return the system's certificates; reading them takes longer than all else of a client."""
    return httpx2.create_ssl_context()


def _trust(provider: Provider) -> ssl.SSLContext:
    """Return which certificates are trusted: the system's, and those of the provider's bundle."""
    if provider.ca_bundle is None:
        return _system_trust()
    context = httpx2.create_ssl_context()
    try:
        context.load_verify_locations(provider.ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise CannotAsk(f"The CA bundle {provider.ca_bundle} of {provider.name!r} cannot be read: {error}.") from error
    return context


def _has_header_of_its_own(provider: Provider) -> bool:
    return (provider.key_header or "authorization").lower() not in ("authorization", "api-key")


async def _without_usual_header(request: httpx2.Request) -> None:
    for name in ("authorization", "api-key"):
        request.headers.pop(name, None)


def _client(provider: Provider, key: str | None, pool: httpx2.AsyncClient) -> AsyncOpenAI:
    headers = dict(provider.headers)
    bearer = key or _NO_KEY
    if key is not None and provider.key_header is not None and _has_header_of_its_own(provider):
        headers[provider.key_header] = key
        bearer = _NO_KEY  # the SDK wants one, and its header is taken off again
    if provider.kind == "azure":
        by_token = (provider.key_header or "").lower() == "authorization"
        return AsyncAzureOpenAI(
            azure_endpoint=provider.endpoint or "",
            api_version=provider.api_version,
            api_key=None if by_token else bearer,
            azure_ad_token=bearer if by_token else None,
            default_headers=headers,
            http_client=pool,
            timeout=pool.timeout,
            max_retries=0,
        )
    client = AsyncOpenAI(
        api_key=bearer,
        base_url=provider.base_url,
        default_headers=headers,
        http_client=pool,
        timeout=pool.timeout,
        max_retries=0,
    )
    if not provider.is_openais:
        client.organization = client.project = None  # the environment's are OpenAI's business
    return client
