"""The peers' images: our sandbox's with another command, so that all have the same Python and libraries."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.docker_cli import containers_with, docker, remove_containers
from bench.errors import CannotMeasure
from bench.peer_environment import download_gateway
from bench.peers.shape import Settings
from bench.progress import say
from bench.stack import Stack

LABEL = "glovebox.bench-peers"

# llm-sandbox wants to run as root in /sandbox with a virtual environment there; there is no package index within reach.
# Killed at once when it is to stop: how long a peer's container takes to go is not measured.
_WAITING = """
FROM {base}
USER root
WORKDIR /sandbox
ENV PIP_NO_INDEX=1
RUN /usr/bin/python3 -m venv /sandbox/.sandbox-venv \
 && ls -d /opt/python/lib/python3*/site-packages > "$(echo /sandbox/.sandbox-venv/lib/python3*/site-packages)/image.pth"
STOPSIGNAL SIGKILL
ENTRYPOINT []
CMD ["sleep", "infinity"]
"""
# The same command as in the Dockerfile that smolagents would build, with the packages that it would install.
_GATEWAY = """
FROM {base}
COPY gateway /sandbox/gateway
RUN echo /sandbox/gateway > "$(echo /sandbox/.sandbox-venv/lib/python3*/site-packages)/gateway.pth" \\
 && /sandbox/.sandbox-venv/bin/python -m compileall -q /sandbox/gateway
EXPOSE 8888
CMD ["/sandbox/.sandbox-venv/bin/python", "-m", "kernel_gateway", \\
     "--KernelGatewayApp.ip=0.0.0.0", "--KernelGatewayApp.port=8888"]
"""


@contextmanager
def peers_settings(stack: Stack) -> Iterator[Settings]:
    """Build both images, and remove them and all containers of the peers afterwards.

    Raises:
        CannotMeasure: they cannot be built.

    """
    waiting, gateway = f"{stack.instance}:waiting", f"{stack.instance}:gateway"
    try:
        docker("build", "-q", "-t", waiting, "-", stdin=_WAITING.format(base=stack.profile.image))
        with TemporaryDirectory() as context:
            download_gateway(Path(context) / "gateway")
            docker("build", "-q", "-t", gateway, "-f", "-", context, stdin=_GATEWAY.format(base=waiting))
        yield Settings(waiting, gateway, LABEL, stack.instance, stack.profile.cpus, stack.profile.memory_mb)
    finally:
        try:
            remove_containers(containers_with(LABEL, stack.instance))
        except CannotMeasure:
            say(f"containers may be left: docker ps -a --filter label={LABEL}={stack.instance}")
        for image in (gateway, waiting):
            with suppress(CannotMeasure):
                docker("image", "rm", "--force", image)
