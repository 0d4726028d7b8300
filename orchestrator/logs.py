"""Logs as one JSON object a line, the same in every process, libraries' own included."""

import logging
import sys

import structlog
from structlog.typing import Processor

from orchestrator.tracing import with_trace_id


def configure_logs() -> None:
    """Set the log's format for this process."""
    told_of_all: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        with_trace_id,
        structlog.processors.format_exc_info,
    ]
    render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*told_of_all, render],
        logger_factory=structlog.WriteLoggerFactory(),  # a line in one write: printed, its end is a second one
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *told_of_all],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
