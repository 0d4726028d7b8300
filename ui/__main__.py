"""`python -m ui`: serve the page."""

from __future__ import annotations

import os
import sys

import uvicorn

from ui.settings import Settings


def main() -> None:
    """Serve until told to stop."""
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    from ui.app import build

    uvicorn.run(
        build(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        # A page's event stream stays open as long as the page: at a stop nobody waits for it.
        timeout_graceful_shutdown=3,
        server_header=False,
    )


if __name__ == "__main__":
    main()
