"""What the calls made by a piece of work cost: one record for all reports and logs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Cost:
    """What a piece of work cost."""

    requests: int = 0
    request_units: float = 0.0
    """Sum of the request charges of the service's answers."""
    seconds: float = 0.0
    """How long it took; 0 until it has ended."""

    def log_fields(self) -> dict[str, float]:
        """Return the fields that a log event about the work carries."""
        return {
            "requests": self.requests,
            "request_units": round(self.request_units, 2),
            "duration_ms": round(self.seconds * 1000),
        }


_measured: ContextVar[tuple[Cost, ...]] = ContextVar("measured", default=())


@contextmanager
def measured_cost() -> Iterator[Cost]:
    """Measure the calls made inside, also in tasks started inside.

    Nested work counts towards the work around it as well.
    """
    cost, started = Cost(), time.monotonic()
    token = _measured.set((*_measured.get(), cost))
    try:
        yield cost
    finally:
        _measured.reset(token)
        cost.seconds = time.monotonic() - started


def record_charge(headers: Mapping[str, Any], _result: object = None) -> None:
    """Add a response's request charge to the work in progress: the ``response_hook`` of every SDK call."""
    for cost in _measured.get():
        cost.requests += 1
        cost.request_units += float(headers.get("x-ms-request-charge", 0))
