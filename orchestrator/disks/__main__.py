"""`python -m orchestrator.disks`: serve the disks service's socket. Needs root, or CAP_SYS_ADMIN and loop devices."""

import asyncio
import os
import sys

from orchestrator.config import Settings
from orchestrator.disks.requests import REQUEST
from orchestrator.disks.service import Disks
from orchestrator.errors import ConfigError
from orchestrator.lines.server import LineServer
from orchestrator.logs import configure_logs


def main() -> None:
    """Read the settings and serve until SIGTERM."""
    try:
        settings = Settings.load(dict(os.environ) | {"GLOVEBOX_LISTEN_HOST": "127.0.0.1", "GLOVEBOX_BIND": ""})
    except ConfigError as error:
        sys.exit(f"glovebox disks: {error.detail}")
    configure_logs()
    disks = Disks(settings.data, settings.config.profiles)
    server = LineServer("disks service", settings.disks_socket, REQUEST, disks.answer)
    asyncio.run(server.serve_until_told_to_end())


if __name__ == "__main__":
    main()
