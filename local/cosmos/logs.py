"""The server's log: one JSON line for each event, on standard error.

Standard output carries the one line that says that the server serves; whoever reads that may never read on,
and a full pipe would stop the server.
"""

from __future__ import annotations

import sys
from typing import Any

import structlog

log: Any = structlog.wrap_logger(
    structlog.PrintLogger(sys.stderr),
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.BoundLogger,
)
