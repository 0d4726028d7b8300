"""llm-sandbox: a session of its own, its interactive session, and its pool."""

from typing import Any

from llm_sandbox import InteractiveSandboxSession, SandboxSession
from llm_sandbox.pool import PoolConfig, create_pool_manager

from bench.peers.shape import Settings

_POOLED = 2


class _InSession:
    """A session that `_open` makes."""

    def __init__(self, settings: Settings) -> None:
        # The environment that its set-up makes in each container is in the image already: that is quicker.
        self._common: dict[str, Any] = {
            "lang": "python",
            "image": settings.image,
            "runtime_configs": settings.for_the_engine(),
            "skip_environment_setup": True,
        }
        self._session: Any = None

    def _make(self) -> Any:
        raise NotImplementedError

    def start(self, code: str) -> str:
        self._session = self._make()
        self._session.open()
        return self.run(code)

    def run(self, code: str) -> str:
        done = self._session.run(code)
        if done.exit_code != 0:
            raise RuntimeError(done.stderr or done.stdout)
        return str(done.stdout)

    def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            session.close()

    def end(self) -> None:
        self.close()


class Session(_InSession):
    """`SandboxSession`: a container a session."""

    def _make(self) -> Any:
        return SandboxSession(**self._common)


class Interactive(_InSession):
    """`InteractiveSandboxSession`: one IPython a session."""

    def _make(self) -> Any:
        return InteractiveSandboxSession(**self._common)


class Pooled(_InSession):
    """`SandboxSession` with a pool, whose containers are used once, so that each session's is fresh."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        config = PoolConfig(min_pool_size=_POOLED, max_pool_size=_POOLED, max_container_uses=1)
        self._pool = create_pool_manager(config=config, **self._common)

    def _make(self) -> Any:
        return SandboxSession(pool=self._pool, lang="python")

    def end(self) -> None:
        super().end()
        self._pool.close()
