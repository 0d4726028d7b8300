"""`docker run … python -c`: a container for each cell."""

import subprocess

from bench.peers.shape import Settings


class DockerRun:
    """Nothing is kept between cells."""

    def __init__(self, settings: Settings) -> None:
        self._command = ["docker", "run", "--rm", "--network=none", *settings.for_the_command_line(), settings.image]

    def start(self, code: str) -> str:
        return self.run(code)

    def run(self, code: str) -> str:
        return subprocess.run([*self._command, "python", "-c", code], check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        """Do nothing: the container ended with its cell."""

    def end(self) -> None:
        """Do nothing."""
