"""A package index of our own: a container on the engine's bridge serves wheels that are made here, by plain http."""

import contextlib
import hashlib
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2

from tests.engine import docker
from tests.stack import wait_for

PORT = 8080


def make_wheel(folder: Path, name: str, version: str, source: str, requires: str = "") -> Path:
    """Write a pure wheel with one module of this source."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel


def write_index(folder: Path, wheels: list[Path]) -> None:
    """Lay out the pages of the simple repository interface (PEP 503)."""
    for wheel in wheels:
        page = folder / "simple" / wheel.name.split("-")[0].replace("_", "-")
        page.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with (page / "index.html").open("a") as index:
            index.write(f'<a href="/{wheel.name}#sha256={digest}">{wheel.name}</a>\n')


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder from a container and yield its address on the engine's bridge."""
    name = f"gbtest-index-{uuid.uuid4().hex[:12]}"
    python = ["--entrypoint", "/opt/python/bin/python", "glovebox-sandbox", "-m", "http.server", str(PORT)]
    docker("run", "-d", "--name", name, "--memory", "256m", "-v", f"{folder}:/srv:ro", "-w", "/srv", *python)
    try:
        address = docker("inspect", name, "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}")

        def answers() -> bool:
            with contextlib.suppress(httpx2.HTTPError):
                return httpx2.get(f"http://{address}:{PORT}/", trust_env=False).status_code == 200
            return False

        wait_for(answers, "the package index")
        yield address
    finally:
        docker("rm", "-f", name)
