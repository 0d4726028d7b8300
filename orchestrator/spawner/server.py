"""The spawner's unix socket."""

import threading
from pathlib import Path

from orchestrator.lines.server import LineServer
from orchestrator.spawner.engine import Engine
from orchestrator.spawner.requests import REQUEST, AnyRequest


class SpawnerServer(LineServer[AnyRequest]):
    """Serves one engine on one socket."""

    def __init__(self, engine: Engine, socket_path: Path) -> None:
        super().__init__("spawner", socket_path, REQUEST, engine.answer)
        self._engine = engine

    async def serve(self) -> None:
        """Listen and answer until cancelled."""
        threading.Thread(target=self._engine.watch_out_of_memory, name="engine events", daemon=True).start()
        await super().serve()
