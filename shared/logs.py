"""Structured logs: one JSON object per line with an event name and fields, never a document or its text.

Every line passes two steps. An error is logged as the code that it came through, because its message and its
local variables may hold documents. A text is logged only in a field that may hold words
(:data:`~shared.log_events.LOG_WORDS`).
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.log_events import LOG_WORDS
from shared.privacy.errors import trace_of
from shared.privacy.forms import describe

_JSON_LINES = structlog.processors.JSONRenderer()


def configure_logging(level: str, render: Processor = _JSON_LINES) -> None:
    """Log lines at ``level`` and above through the standard library. Azure Functions collects them as JSON.

    Parameters
    ----------
    render
        Makes a line of an event.

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
            _errors_without_messages,
            _words_in_their_fields,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("shared").setLevel(threshold)
    # The SDK logs every request with its headers at INFO.
    logging.getLogger("azure").setLevel(logging.WARNING)


def _errors_without_messages(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = trace_of(error)
    return event


def _words_in_their_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {
        name: value
        if name in LOG_WORDS or value is None or isinstance(value, bool | int | float)
        else describe(value)
        for name, value in event.items()
    }
