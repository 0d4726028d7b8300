"""`python -m orchestrator.spawner`: serve the spawner's socket."""

import asyncio
import os
import sys

from orchestrator.config import Settings
from orchestrator.errors import ConfigError
from orchestrator.logs import configure_logs
from orchestrator.spawner.container import Data, DataInFolder, DataOnVolume
from orchestrator.spawner.engine import Engine
from orchestrator.spawner.server import SpawnerServer


def main() -> None:
    """Read the settings and serve until SIGTERM."""
    try:
        settings = Settings.load(dict(os.environ) | {"GLOVEBOX_LISTEN_HOST": "127.0.0.1", "GLOVEBOX_BIND": ""})
    except ConfigError as error:
        sys.exit(f"glovebox spawner: {error.detail}")
    configure_logs()
    volume = os.environ.get("GLOVEBOX_DATA_VOLUME")
    data: Data = DataOnVolume(volume) if volume else DataInFolder(str(settings.data))
    engine = Engine(settings.instance, settings.config.profiles, data, os.environ.get("DOCKER_HOST"))
    asyncio.run(SpawnerServer(engine, settings.spawner_socket).serve_until_told_to_end())


if __name__ == "__main__":
    main()
