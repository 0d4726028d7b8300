"""The way to a provider: certificates of one's own, a proxy, and no other server than the config's."""

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.provider import FakeProvider, running_provider, says, status
from tests.unit.provider_world import KEY, made_world


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that only itself vouches for, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    made += ["-keyout", str(file), "-out", str(file.with_suffix(".crt")), "-subj", "/CN=fake"]
    subprocess.run([*made, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


@pytest.mark.parametrize("kind", ["openai", "azure"])
async def test_a_certificate_of_ones_own_is_trusted_where_the_config_names_it(
    kind: str, certificate: Path, tmp_path: Path
) -> None:
    with running_provider(certificate) as provider:
        assert provider.url.startswith("https://")
        async for world in made_world(kind, provider, tmp_path, ca_bundle=str(certificate.with_suffix(".crt"))):
            assert (await world.ask(says("Yes."))).reply.text == "Yes."
        async for world in made_world(kind, provider, tmp_path, retries=0):
            answer = await world.ask(says("Yes."))
            assert (answer.code, provider.requests) == ("model_unreachable", [])
            assert "certificate" in str(answer.problem).lower()


@pytest.fixture
def proxy() -> Iterator[ThreadingHTTPServer]:
    """A proxy that answers for every server, and keeps which it was asked for, and with which credentials."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.server.asked.append((self.path, self.headers["Proxy-Authorization"]))  # type: ignore[attr-defined]
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            for piece in says("By the proxy.").pieces:
                assert isinstance(piece, bytes)
                self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


async def test_a_proxy_is_asked_where_the_config_names_it(proxy: ThreadingHTTPServer, tmp_path: Path) -> None:
    url = f"http://me:secret@127.0.0.1:{proxy.server_address[1]}"
    async for world in made_world("openai", FakeProvider("http://provider.invalid"), tmp_path, proxy=url):
        assert (await world.ask(says(""))).reply.text == "By the proxy."
    ((asked, credentials),) = proxy.asked  # type: ignore[attr-defined]
    assert (asked, credentials) == ("http://provider.invalid/v1/chat/completions", "Basic bWU6c2VjcmV0")


async def test_no_key_goes_to_where_a_provider_points(provider: FakeProvider, tmp_path: Path) -> None:
    with running_provider() as other:
        other.will(says("Give me your key."))
        async for world in made_world("openai", provider, tmp_path):
            for code in (301, 302, 307, 308):
                answer = await world.ask(status(code, location=f"{other.url}/v1/chat/completions"))
                assert answer.code == "model_refused"
        assert other.requests == []


async def test_many_who_ask_at_once_have_one_pool_and_their_own_keys(provider: FakeProvider, tmp_path: Path) -> None:
    async for world in made_world("openai", provider, tmp_path):
        for number in range(4):
            await world.keys.put(f"p{number}", "fake", f"sk-of-person-number-{number}")
        await asyncio.gather(*(world.ask(says("Yes."), owner=f"p{number % 5}") for number in range(20)))
        sent = {asked.headers["authorization"].removeprefix("Bearer ") for asked in provider.requests}
        assert sent <= {KEY, *(f"sk-of-person-number-{number}" for number in range(4))}
        assert len(world.models._clients._pools) == 1
