"""Structured logs of the host: one JSON object per line on standard error."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict

from local.host.context import current_invocation

MESSAGE_LIMIT = 300
"""Characters of an exception's text that reach the log: enough to act on, too few for a document."""

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_levels: dict[str, int] = {"default": 20}


class _StandardError:
    """Writes to whatever ``sys.stderr`` is at that moment (tests and the stack redirect it)."""

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = msg


def _drop_below_level(_: Any, method: str, event: EventDict) -> EventDict:
    if _LEVELS.get(method, 50) < level_of(event.pop("category", "Host")):
        raise structlog.DropEvent
    return event


def _name_invocation(_: Any, __: str, event: EventDict) -> EventDict:
    """Say which invocation a line of the app comes from, as the platform does."""
    invocation = current_invocation.get()
    if invocation is not None:
        event.setdefault("function", invocation.function)
        event.setdefault("invocation_id", invocation.invocation_id)
    return event


def _unwrap_json(_: Any, __: str, event: EventDict) -> EventDict:
    """Take the fields out of a message that is a JSON object itself: an app that logs such lines."""
    text = event.get("event")
    if isinstance(text, str) and text.startswith("{"):
        try:
            inner = json.loads(text)
        except ValueError:
            return event
        event.update(inner)
    return event


def level_of(category: str) -> int:
    """Return the level of a category: its own, else that of the longest dotted beginning, or the default."""
    while category:
        if category in _levels:
            return _levels[category]
        category = category.rpartition(".")[0]
    return _levels["default"]


# The host keeps its own logger: an app that calls structlog.configure() must not change the host's lines.
_SHARED: list[structlog.typing.Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

log: Any = structlog.wrap_logger(
    _StandardError(),
    processors=[_drop_below_level, *_SHARED, structlog.processors.JSONRenderer(sort_keys=False)],
    wrapper_class=structlog.BoundLogger,
)
"""The host's logger: ``log.info("event_name", field=value)``."""

function_log: Any = log.bind(category="Function")
"""The same for what happens to an invocation; the category is the platform's, set in ``host.json``."""

feed_log: Any = log.bind(category="Host.Triggers.CosmosDB")
"""The same for leases and feeds."""

durable_log: Any = log.bind(category="Host.Triggers.DurableTask")
"""The same for orchestrations."""


def configure_logging(levels: Mapping[str, str]) -> None:
    """Set the levels of ``host.json``, and give standard ``logging`` (app and SDK) the same JSON shape.

    A root logger that already has handlers is the app's own business and stays as it is.
    """
    _levels.clear()
    _levels.update({category: getattr(logging, level) for category, level in levels.items()})
    number = level_of("Function")  # what the app's own code logs
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED],
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    _unwrap_json,
                    _name_invocation,
                    structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer(),
                ],
            )
        )
        root.addHandler(handler)
        root.setLevel(number)
    for noisy in ("azure", "asyncio", "uvicorn"):
        # The SDK logs each request with its headers at INFO: several lines per poll.
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))


def describe(error: BaseException) -> MutableMapping[str, Any]:
    """Return the fields that tell an error: its type, the start of its text and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error_type": type(error).__name__,
        "error": str(error)[:MESSAGE_LIMIT],
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-4:]],
    }
