"""What the calls made by a piece of work cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Charge:
    """What a piece of work has cost so far."""

    requests: int = 0
    request_units: float = 0.0
    within: Charge | None = None
    """The work that this is a part of."""

    def add(self, request_units: float) -> None:
        """Count one request."""
        self.requests += 1
        self.request_units += request_units
        if self.within is not None:
            self.within.add(request_units)


_charge: ContextVar[Charge | None] = ContextVar("charge", default=None)


@contextmanager
def charging() -> Iterator[Charge]:
    """Collect what the calls made inside, also in tasks started inside, are charged.

    Work within work: what is collected inside another ``charging`` is part of that one too.
    """
    charge = Charge(within=_charge.get())
    token = _charge.set(charge)
    try:
        yield charge
    finally:
        _charge.reset(token)


def record_charge(headers: Mapping[str, Any], _result: object = None) -> None:
    """Add a response's charge to the work in progress: pass it as ``response_hook`` of an SDK call."""
    charge = _charge.get()
    if charge is not None:
        charge.add(float(headers.get("x-ms-request-charge", 0)))
