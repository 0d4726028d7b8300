"""The peers by name, and what they promise. Importable without any of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class About:
    """What a peer promises.

    `fresh`: no code of an earlier session ran in a session's container. `stateful`: a variable of one cell is there in
    the next. `module` and `maker` say where it is implemented.
    """

    name: str
    fresh: bool
    stateful: bool
    module: str
    maker: str
    note: str


CATALOGUE = (
    About(
        "llm-sandbox session",
        fresh=True,
        stateful=False,
        module="bench.peers.llm_sandbox",
        maker="Session",
        note="a container a session, a new Python each cell; its set-up of a virtual environment is skipped",
    ),
    About(
        "llm-sandbox interactive",
        fresh=True,
        stateful=True,
        module="bench.peers.llm_sandbox",
        maker="Interactive",
        note="an IPython that looks for the next cell in files, every 100 ms",
    ),
    About(
        "llm-sandbox pool",
        fresh=True,
        stateful=False,
        module="bench.peers.llm_sandbox",
        maker="Pooled",
        note="started beforehand and used once (its default is to use them again), a new Python each cell",
    ),
    About(
        "smolagents docker",
        fresh=True,
        stateful=True,
        module="bench.peers.smolagents_docker",
        maker="Executor",
        note="a kernel gateway on TCP, a new connection each cell",
    ),
    About(
        "kernel gateway",
        fresh=True,
        stateful=True,
        module="bench.peers.kernel_gateway",
        maker="Gateway",
        note="Jupyter's own gateway in a container, one connection on TCP that stays open",
    ),
    About(
        "docker run",
        fresh=True,
        stateful=False,
        module="bench.peers.docker_run",
        maker="DockerRun",
        note="'docker run … python -c', for each cell anew",
    ),
)


def about(name: str) -> About:
    """Return what the peer with this name promises. Raises KeyError."""
    return {one.name: one for one in CATALOGUE}[name]
