"""Notice that the process grows without end, and name the functions that were called meanwhile."""

from __future__ import annotations

import os
import resource
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
DEFAULT_LIMIT = 256 * MIB
"""Bytes of steady growth to report: twice the fleet's own cache, which may fill without being a leak."""
WINDOW = 10
"""Invocations whose lowest memory is one point of the curve: what each of them frees again does not count."""
POINTS = 6
"""So many points above all before are a rise; so many that are not end it. A warm-up rises and stays; a leak
goes on."""


def resident_bytes() -> int:
    """Return the memory of this process: what it has now on Linux, the most it ever had elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Growth:
    """A process that grew without a pause."""

    grown: int
    """Bytes more than at the beginning of the rise."""
    resident: int
    functions: dict[str, int]
    """Bytes that the process grew by while each function ran, the most first. With several at a time it is a
    hint, not a proof."""


class MemoryWatch:
    """Looks at the memory after each invocation."""

    def __init__(self, limit: int = DEFAULT_LIMIT, *, measure: Callable[[], int] = resident_bytes) -> None:
        self._limit = limit
        self._measure = measure
        self._before = measure()
        self._window: list[int] = []
        self._floor = self._top = self._before
        self._rises = self._rests = 0
        self._shares: Counter[str] = Counter()

    def after(self, function: str) -> Growth | None:
        """Note that an invocation has ended; return the growth once it is worth a report."""
        resident = self._measure()
        self._shares[function] += resident - self._before
        self._before = resident
        self._window.append(resident)
        if len(self._window) < WINDOW:
            return None
        point = min(self._window)
        self._window.clear()
        if point > self._top:
            self._top, self._rises, self._rests = point, self._rises + 1, 0
        else:
            self._rests += 1
        if self._rests >= POINTS:
            self._begin(point)
        if self._rises < POINTS or self._top - self._floor < self._limit:
            return None
        shares = {name: size for name, size in self._shares.most_common(5) if size > 0}
        growth = Growth(self._top - self._floor, resident, shares)
        self._begin(point)
        return growth

    def _begin(self, point: int) -> None:
        """Begin to look for growth from here on."""
        self._floor = self._top = point
        self._rises = self._rests = 0
        self._shares.clear()
