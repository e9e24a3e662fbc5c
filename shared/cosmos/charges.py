"""The cost of the calls in a piece of work. All reports and logs use this one record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from shared.clock import SYSTEM_CLOCK


@dataclass(slots=True)
class Cost:
    """The cost of a piece of work."""

    requests: int = 0
    request_units: float = 0.0
    """Sum of the request charges of the service's answers."""
    seconds: float = 0.0
    """Its duration, 0 until it has ended."""
    throttled: int = 0
    """Attempts that the service refused because there was not enough throughput (429)."""
    faults: int = 0
    """Attempts that the service refused for another passing reason, or did not answer."""

    def add(self, other: Cost) -> None:
        """Add the cost of the work that followed."""
        self.requests += other.requests
        self.request_units += other.request_units
        self.seconds += other.seconds
        self.throttled += other.throttled
        self.faults += other.faults

    def log_fields(self) -> dict[str, float]:
        """Return the fields for a log event about the work."""
        return {
            "requests": self.requests,
            "request_units": round(self.request_units, 2),
            "duration_ms": round(self.seconds * 1000),
            "throttled": self.throttled,
            "faults": self.faults,
        }


_measured: ContextVar[tuple[Cost, ...]] = ContextVar("measured", default=())


@contextmanager
def measured_cost() -> Iterator[Cost]:
    """Measure the calls inside the block, including calls of tasks that are started inside it.

    Nested work also counts towards the work around it.
    """
    cost, started = Cost(), SYSTEM_CLOCK.monotonic()
    token = _measured.set((*_measured.get(), cost))
    try:
        yield cost
    finally:
        _measured.reset(token)
        cost.seconds = SYSTEM_CLOCK.monotonic() - started


def record_charge(headers: Mapping[str, Any], _result: object = None) -> None:
    """Add a response's request charge to the work in progress. The ``response_hook`` of every SDK call."""
    for cost in _measured.get():
        cost.requests += 1
        cost.request_units += float(headers.get("x-ms-request-charge", 0))


def record_fault(*, throttled: bool) -> None:
    """Add an attempt that failed to the work in progress, which repeats it or fails."""
    for cost in _measured.get():
        cost.throttled += throttled
        cost.faults += not throttled
