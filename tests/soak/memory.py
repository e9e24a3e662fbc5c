"""The memory of processes: samples over time, and whether a process grows although its work is the same.

A process that serves more and more data grows, because its caches fill. A process with a leak grows too. Over
time they look alike. The soak tells them apart by laps: in each lap the same documents are written, to the
same states. After the first laps every cache holds what it will hold; what grows on is kept without end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

LAPS = 8

WARM_UP_LAPS = 2
"""Laps that are not judged: one writes either version of the documents for the first time."""

BOUND_PER_WRITE = 4_000
"""Bytes per write that memory may grow from lap to lap. An allocator that returns pages late stays below: at
most 1,800 were measured, of a host that had just started."""

SHOWN_EVERY = 10
"""The report has one of this number of samples."""

MEGABYTE = 1_000_000


@dataclass(slots=True)
class Series:
    """Resident memory of one process."""

    name: str
    pid: int
    samples: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the process served, and bytes."""
    laps: list[int] = field(default_factory=list)
    """Bytes at the end of each lap."""

    def growth(self, writes: int) -> float | None:
        """Return the growth in bytes per write, with ``writes`` in a lap; None for less than all laps.

        A leak grows in most laps and in the end. One jump does only the latter, memory that is freed now and
        then only the former: the growth is the lesser of the median of all laps and their mean.
        """
        if len(self.laps) < LAPS or not writes:
            return None
        grown = [after - before for before, after in pairwise(self.laps[WARM_UP_LAPS - 1 :])]
        return min(median(grown), mean(grown)) / writes

    def as_json(self, writes: int) -> dict[str, Any]:
        """Return it for ``--json``."""
        sizes = [size for _, size in self.samples]
        growth = self.growth(writes)
        return {
            "process": self.name,
            "pid": self.pid,
            "seconds": round(self.samples[-1][0], 1) if self.samples else 0.0,
            "samples": len(self.samples),
            "mb": [_megabytes(size) for size in sizes[::SHOWN_EVERY]],
            "first_mb": _megabytes(sizes[0]) if sizes else None,
            "last_mb": _megabytes(sizes[-1]) if sizes else None,
            "peak_mb": _megabytes(max(sizes)) if sizes else None,
            "laps_mb": [_megabytes(size) for size in self.laps],
            "bytes_per_write": None if growth is None else round(growth),
        }


def _megabytes(size: int) -> float:
    return round(size / MEGABYTE, 1)


def resident(pid: int) -> int | None:
    """Return the resident memory of a process in bytes; None if it is gone or the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") or None
