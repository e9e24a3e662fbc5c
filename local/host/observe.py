"""What is watched around each invocation: that it is in flight, what it leaves behind, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from local.host.inflight import InFlight
from local.host.leftovers import Leftovers
from local.host.logs import function_log
from local.host.memory import MIB, MemoryWatch


class Observer:
    """Stands around invocations; everything it sees is logged with the function's name."""

    def __init__(self, in_flight: InFlight, memory: MemoryWatch, leftovers: Leftovers) -> None:
        self._in_flight = in_flight
        self._memory = memory
        self._leftovers = leftovers

    @contextmanager
    def invocation(self, function: str, invocation_id: str) -> Iterator[None]:
        """Watch one invocation, from its beginning to its end."""
        self._in_flight.begin(function, invocation_id)
        try:
            with self._leftovers.watched(function):
                yield
        finally:
            self._in_flight.end(invocation_id)
            growth = self._memory.after(function)
            if growth is not None:
                function_log.warning(
                    "memory_growing",
                    grown_mb=_megabytes(growth.grown),
                    resident_mb=_megabytes(growth.resident),
                    functions={name: _megabytes(size) for name, size in growth.functions.items()},
                )


def _megabytes(size: int) -> float:
    return round(size / MIB, 1)
