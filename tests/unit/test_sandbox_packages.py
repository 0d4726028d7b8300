"""pip in a sandbox: what is refused, where packages go, and what programs are told of the proxy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.sessions.network import pip_settings
from sandbox_image import glovebox_packages as packages


@pytest.fixture
def offered(tmp_path: Path) -> Path:
    folder = tmp_path / "egress"
    folder.mkdir()
    (folder / "pip.conf").write_text(pip_settings("https://pypi.org/simple"))
    (folder / "site-ca.pem").write_text("")
    return folder


@pytest.mark.parametrize("arguments", [["install", "requests"], ["install", "-r", "wanted.txt"], ["download", "x"]])
def test_fetching_is_refused_where_the_profile_allows_no_network(
    arguments: list[str], tmp_path: Path, offered: Path
) -> None:
    told = packages.refusal(arguments, tmp_path / "nothing")
    assert told is not None
    assert "network: none" in told
    assert packages.refusal(arguments, offered) is None


@pytest.mark.parametrize(
    "arguments", [["install", "./x-1-py3-none-any.whl"], ["install", "--no-index", "x"], ["list"], ["--version"], []]
)
def test_what_needs_no_network_is_never_refused(arguments: list[str], tmp_path: Path) -> None:
    assert packages.refusal(arguments, tmp_path / "nothing") is None


def test_a_wheel_is_installed_without_looking_for_an_index(tmp_path: Path, offered: Path) -> None:
    assert packages.command(["install", "./x.whl"], tmp_path / "nothing")[3:] == ["install", "--no-index", "./x.whl"]
    assert packages.command(["install", "x"], offered)[3:] == ["install", "x"]
    assert packages.command(["list"], tmp_path / "nothing")[3:] == ["list"]


def test_programs_are_told_of_the_proxy_only_where_there_is_one(tmp_path: Path, offered: Path) -> None:
    assert not any("proxy" in name.lower() for name in packages.environ_of_programs(tmp_path, tmp_path / "nothing"))
    told = packages.environ_of_programs(tmp_path, offered)
    assert told["https_proxy"] == told["HTTP_PROXY"] == "http://127.0.0.1:3128"
    assert told["PIP_CONFIG_FILE"] == str(offered / "pip.conf")
    assert "SSL_CERT_FILE" not in told


def test_the_sites_certificates_are_trusted_beside_the_public_ones(tmp_path: Path, offered: Path) -> None:
    (offered / "site-ca.pem").write_text("the site's own")
    bundle = Path(packages.environ_of_programs(tmp_path, offered)["SSL_CERT_FILE"]).read_text()
    assert bundle.endswith("the site's own")
    assert "BEGIN CERTIFICATE" in bundle


def test_the_environment_is_made_once_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    environment = tmp_path / ".python"
    packages.make_environment(environment)
    (packages.site_packages(environment) / "mine.py").write_text("")
    packages.make_environment(environment)
    assert (packages.site_packages(environment) / "mine.py").exists()
    assert os.readlink(environment / "bin" / "python") == "/usr/bin/python3.13"


def test_the_sessions_own_packages_come_first(tmp_path: Path) -> None:
    environment = tmp_path / ".python"
    packages.make_environment(environment)
    (packages.site_packages(environment) / "colorsys.py").write_text("whose = 'mine'\n")
    code = (
        "import sys; from pathlib import Path; from sandbox_image import glovebox_packages as p; "
        f"p.use_environment(Path({str(environment)!r})); import colorsys; print(colorsys.whose)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "mine\n", done.stderr


@pytest.mark.parametrize(
    ("index", "settings"),
    [
        ("https://pypi.org/simple", "[global]\nindex-url = https://pypi.org/simple\n"),
        ("http://10.0.0.7:8080/simple", "[global]\nindex-url = http://10.0.0.7:8080/simple\ntrusted-host = 10.0.0.7\n"),
    ],
)
def test_an_index_by_plain_http_is_trusted_since_it_was_configured(index: str, settings: str) -> None:
    assert pip_settings(index) == settings
