"""pip in a sandbox: packages go into the session's own workspace, where they last as long as its files do.

The image's own packages are read-only. So `%pip`, `!pip` and `pip` work on an environment of the session's in its
workspace, made at the first use: a virtual environment that sees the image's packages beneath its own. What is
installed there comes first; what the image has is not fetched again.
"""

import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENVIRONMENT = Path("/mnt/data/.python")
IMAGE_PACKAGES = Path("/opt/python/lib/python3.13/site-packages")
PIP = "/opt/python/bin/pip"
EGRESS = Path("/run/egress")
FETCHING = frozenset({"install", "download", "wheel", "index", "search"})
PACKAGE_FILES = (".whl", ".tar.gz", ".zip")
NO_EGRESS = (
    "Nothing can be fetched: this session's profile allows no network (network: none). Ask for a profile whose network "
    "is 'packages', or upload wheels and install those: %pip install ./name.whl"
)


def is_offered(egress: Path = EGRESS) -> bool:
    """Tell whether the session's profile gives it a way out; the orchestrator leaves pip's settings there."""
    return (egress / "pip.conf").exists()


def site_packages(environment: Path = ENVIRONMENT) -> Path:
    """Return where the session's own packages are."""
    return environment / "lib/python3.13/site-packages"


def make_environment(environment: Path = ENVIRONMENT) -> None:
    """Make the session's environment; what is there already stays."""
    packages = site_packages(environment)
    (environment / "bin").mkdir(parents=True, exist_ok=True)
    (environment / "tmp").mkdir(exist_ok=True)
    packages.mkdir(parents=True, exist_ok=True)
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (packages / "image.pth").write_text(f"{IMAGE_PACKAGES}\n")
    for name in ("python", "python3", "python3.13"):
        with contextlib.suppress(FileExistsError):
            (environment / "bin" / name).symlink_to("/usr/bin/python3.13")


def use_environment(environment: Path = ENVIRONMENT) -> None:
    """Have this process import the session's own packages before the image's."""
    packages = str(site_packages(environment))
    if not Path(packages).is_dir():
        return
    if packages not in sys.path:
        sys.path.insert(sys.path.index(str(IMAGE_PACKAGES)) if str(IMAGE_PACKAGES) in sys.path else 0, packages)
    importlib.invalidate_caches()


def environ_of_programs(home: Path, egress: Path = EGRESS) -> dict[str, str]:
    """Return the environment variables by which programs find the session's packages, and its proxy if it has one."""
    found = {
        "PATH": f"{ENVIRONMENT}/bin:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COLOR": "1",
        "PIP_PROGRESS_BAR": "off",
        "PIP_RETRIES": "1",
    }
    if not is_offered(egress):
        return found
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        found[name] = "http://127.0.0.1:3128"
    found["no_proxy"] = found["NO_PROXY"] = "localhost,127.0.0.1,::1"
    found["PIP_CONFIG_FILE"] = str(egress / "pip.conf")
    own = (egress / "site-ca.pem").read_bytes()
    if own:
        import certifi

        bundle = home / "certificates.pem"
        bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + own)
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"):
            found[name] = str(bundle)
    return found


def refusal(arguments: Sequence[str], egress: Path = EGRESS) -> str | None:
    """Return why pip cannot do this here, or None. Files of the workspace are installed without a network, too."""
    if is_offered(egress) or not FETCHING.intersection(arguments[:1]):
        return None
    local = any(one == "--no-index" or one.endswith(PACKAGE_FILES) for one in arguments[1:])
    return None if local else NO_EGRESS


def command(arguments: Sequence[str], egress: Path = EGRESS) -> list[str]:
    """Return the call of pip for these arguments."""
    offline = ["--no-index"] if arguments[:1] == ["install"] and not is_offered(egress) else []
    return [str(ENVIRONMENT / "bin/python"), "-m", "pip", *arguments[:1], *offline, *arguments[1:]]


def environ_of_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's environment variables: big wheels are unpacked on the workspace's disk and not in memory."""
    return {**environ, "TMPDIR": str(ENVIRONMENT / "tmp")}


def magic(line: str) -> None:
    """Run `%pip`: as `pip` in a shell, then see to it that what was installed can be imported."""
    from IPython import get_ipython

    shell: Any = get_ipython()
    shell.system(f"{PIP} {line}")
    use_environment()


def main(arguments: Sequence[str]) -> int:
    """Run pip with these arguments and return its exit code."""
    if told := refusal(arguments):
        sys.stderr.write(told + "\n")
        return 1
    make_environment()
    return subprocess.call(command(arguments), env=environ_of_pip(os.environ))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
