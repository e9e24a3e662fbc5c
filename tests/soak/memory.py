"""The memory of processes over time: samples, and whether they grow without end."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from typing import Any

WARM_UP_SECONDS = 60.0
"""Seconds of a process's life that are left out: modules are loaded, caches filled, pools opened."""

SHORTEST_SERIES = 180.0
"""Seconds after warm-up that a series must cover to be judged."""

FEWEST_SAMPLES = 10

SHOWN_EVERY = 10
"""Of so many samples the account has one."""

MEGABYTE = 1_000_000


@dataclass(slots=True)
class Series:
    """Resident memory of one process."""

    name: str
    pid: int
    bound: float
    """Megabytes per minute that the trend may show."""
    samples: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the process served, and bytes."""

    def judged(self) -> list[tuple[float, int]]:
        """Return the samples after warm-up, none if they are too few or cover too little."""
        late = [sample for sample in self.samples if sample[0] >= WARM_UP_SECONDS]
        if len(late) < FEWEST_SAMPLES or late[-1][0] - late[0][0] < SHORTEST_SERIES:
            return []
        return late

    def trend(self) -> float | None:
        """Return the linear trend after warm-up in megabytes per minute; None if the series is too short."""
        late = self.judged()
        if not late:
            return None
        times, sizes = zip(*late, strict=True)
        return float(linear_regression(times, sizes).slope) * 60 / MEGABYTE

    def flat(self) -> bool | None:
        """Say whether the trend stays below its bound; None if the series is too short."""
        trend = self.trend()
        return None if trend is None else trend <= self.bound

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        sizes = [size for _, size in self.samples]
        trend = self.trend()
        return {
            "process": self.name,
            "pid": self.pid,
            "seconds": round(self.samples[-1][0], 1) if self.samples else 0.0,
            "samples": len(self.samples),
            "mb": [round(size / MEGABYTE, 1) for _, size in self.samples[::SHOWN_EVERY]],
            "first_mb": round(sizes[0] / MEGABYTE, 1) if sizes else None,
            "last_mb": round(sizes[-1] / MEGABYTE, 1) if sizes else None,
            "peak_mb": round(max(sizes) / MEGABYTE, 1) if sizes else None,
            "mb_per_minute": None if trend is None else round(trend, 2),
            "bound_mb_per_minute": self.bound,
            "flat": self.flat(),
        }


def resident(pid: int) -> int | None:
    """Return the resident memory of a process in bytes; None if it is gone or the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") or None
