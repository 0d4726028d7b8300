"""`python -m orchestrator`: serve the API. `python -m orchestrator check-config`: check the config and exit."""

import os
import sys
from pathlib import Path

import uvicorn

from orchestrator import host
from orchestrator.app import make_app
from orchestrator.config import Settings
from orchestrator.errors import ConfigError
from orchestrator.logs import configure_logs
from orchestrator.tracing import exported_traces

_GRACE_S = 5
_NOT_STARTED = 3  # the status that uvicorn itself ends with


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    try:
        settings = Settings.load()
        settings.config.promisable(host.memory_mb(), host.cpus())
    except ConfigError as error:
        sys.exit(f"glovebox: {error.detail}")
    if arguments == ["check-config"]:
        print("The config is fine.")
        return
    if arguments:
        sys.exit(f"glovebox: unknown arguments {arguments}; known: check-config")
    trust_site_certificates()
    configure_logs()
    with exported_traces():
        app = make_app(settings)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=settings.listen_host,
                port=settings.listen_port,
                loop="uvloop",
                http="httptools",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # whom a proxy speaks for is looked at in api/addresses.py, and whether it may
                log_config=None,  # its lines are ours: see logs
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        # Whoever waits for something to happen must not hold up the end.
        app.state.is_ending = lambda: server.should_exit
        server.run()
    if not server.started:
        sys.exit(_NOT_STARTED)


def trust_site_certificates() -> None:
    """Have HTTPS to providers trust the site's own certificates, where a bundle was handed in.

    Set here, since OpenSSL ignores the variable's usual way in a process with file capabilities.
    """
    bundle = os.environ.get("GLOVEBOX_CA_BUNDLE")
    if bundle and Path(bundle).is_file() and Path(bundle).stat().st_size > 0:
        os.environ["SSL_CERT_FILE"] = bundle


if __name__ == "__main__":
    main(sys.argv[1:])
