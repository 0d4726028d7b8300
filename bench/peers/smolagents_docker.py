"""smolagents' DockerExecutor."""

from typing import Any

from smolagents.monitoring import AgentLogger, LogLevel
from smolagents.remote_executors import DockerExecutor

from bench.peers.ports import free_port
from bench.peers.shape import Settings


class Executor:
    """A kernel gateway that the executor starts; it would build its own image, but takes one that is there."""

    def __init__(self, settings: Settings) -> None:
        self._image = settings.gateway_image
        self._options = settings.for_the_engine()
        self._executor: Any = None

    def start(self, code: str) -> str:
        self._executor = DockerExecutor(
            additional_imports=[],
            logger=AgentLogger(level=LogLevel.OFF),
            port=free_port(),
            image_name=self._image,
            build_new_image=False,
            container_run_kwargs=dict(self._options),
        )
        return self.run(code)

    def run(self, code: str) -> str:
        return str(self._executor.run_code_raise_errors(code).logs)

    def close(self) -> None:
        if self._executor is not None:
            executor, self._executor = self._executor, None
            executor.cleanup()

    def end(self) -> None:
        self.close()
