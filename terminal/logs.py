"""What is logged while a command runs, as lines for a person at a terminal."""

from __future__ import annotations

from structlog.typing import EventDict, WrappedLogger

from terminal.text import printable


def as_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render a log event as one line that is safe to print: ``warning: database_faults, throttled 3``."""
    fields = [
        f"{name} {value}" for name, value in event.items() if name not in ("event", "level", "timestamp")
    ]
    return printable(", ".join([f"{event['level']}: {event['event']}", *fields]))
