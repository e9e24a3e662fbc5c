"""The server's log: one JSON line for each event, on standard error.

Standard output carries the one line that says that the server serves; whoever reads that may never read on,
and a full pipe would stop the server.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

log: Any = structlog.wrap_logger(
    structlog.PrintLogger(sys.stderr),
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.set_exc_info,  # log.exception() takes the traceback by itself
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.BoundLogger,
)


class Forwarder(logging.Handler):
    """Turns what libraries log (an invalid HTTP request, a callback that failed) into lines of this log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        level = logging.getLevelName(record.levelno).lower()
        write = getattr(log, level, log.error)
        write("library_message", logger=record.name, message=record.getMessage(), exc_info=record.exc_info)


def take_over_libraries() -> None:
    """Send the warnings and errors of the HTTP server and the event loop to this log, and nowhere else."""
    for name in ("uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [Forwarder(logging.WARNING)]
        logger.propagate = False
