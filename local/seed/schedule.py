"""Writes that become due at moments that are known before, made only when they are. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush

from local.seed.traffic import Write


class Schedule:
    """Holds what is to be written later; at the same moment, what was added first comes first."""

    def __init__(self) -> None:
        self._later: list[tuple[int, int, Callable[[], Write]]] = []
        self._added = 0

    def add(self, moment: int, make: Callable[[], Write]) -> None:
        """Have ``make`` called once ``moment`` (milliseconds since the epoch) has come; it may add more."""
        self._added += 1
        heappush(self._later, (moment, self._added, make))

    def due(self, moment: int | None) -> Iterator[Write]:
        """Yield what is due at ``moment``; everything that is left if that is None."""
        while self._later and (moment is None or self._later[0][0] <= moment):
            yield heappop(self._later)[2]()
