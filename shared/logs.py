"""Structured logs: one JSON object per line with an event name and fields, never a document or its text."""

from __future__ import annotations

import logging

import structlog
from structlog.tracebacks import ExceptionDictTransformer


def configure_logging(level: str) -> None:
    """Log JSON lines at ``level`` and above through the standard library. Azure Functions collects them.

    Raises
    ------
    ValueError
        ``level`` is not the name of a level.
    """
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError(f"FLEET_LOG_LEVEL {level!r} is not a level such as INFO")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Local variables hold documents, keys and requests. None of them may reach a log.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("shared").setLevel(threshold)
    # The SDK logs every request with its headers at INFO.
    logging.getLogger("azure").setLevel(logging.WARNING)
