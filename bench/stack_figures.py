"""What only the whole stack shows: freshness, memory of a host, and what an idle fleet costs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

HOURS_PER_DAY = 24


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value at a share (0–1) of the sorted values, by nearest rank.

    Raises
    ------
    ValueError
        There are no values.
    """
    if not values:
        raise ValueError("a percentile needs at least one value")
    return sorted(values)[max(1, ceil(share * len(values))) - 1]


@dataclass(frozen=True, slots=True)
class Freshness:
    """From the acknowledgement of a write until the view shows it, in seconds."""

    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, delays: Sequence[float]) -> Freshness:
        """Summarize; ``delays`` must not be empty."""
        return cls(percentile(delays, 0.5), percentile(delays, 0.99), max(delays))

    def as_json(self) -> dict[str, float]:
        """Return it for ``--json``."""
        return {"p50": round(self.p50, 3), "p99": round(self.p99, 3), "longest": round(self.longest, 3)}


@dataclass(frozen=True, slots=True)
class StackFigures:
    """Freshness and memory of a real host."""

    writes: int = 0
    live: Mapping[str, Freshness] = field(default_factory=dict)
    """Measured, of the views that a change feed publishes, by view."""
    scheduled: Mapping[str, float] = field(default_factory=dict)
    """Not measured: the seconds between two runs of the timer that publishes a view, by view. A write that
    just missed a run is shown after as long."""
    poll_delays: float = 0.0
    """Seconds that the triggers between a write and a live view pause together."""
    peak_rss_bytes: int | None = None
    """Of the host's process, which runs nothing but the fleet."""
    changes_processed: int = 0
    """By that process, before its memory was read."""
    unavailable: str | None = None
    """Why there are no figures."""

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "writes": self.writes,
            "freshness_seconds": {view: one.as_json() for view, one in self.live.items()},
            "scheduled_worst_seconds": dict(self.scheduled),
            "poll_delay_seconds": self.poll_delays,
            "peak_rss_bytes": self.peak_rss_bytes,
            "changes_processed": self.changes_processed,
            "unavailable": self.unavailable,
        }


@dataclass(frozen=True, slots=True)
class TimerRun:
    """Request units of one piece of scheduled work, and how often it runs."""

    name: str
    schedule: str
    runs_per_day: float
    after_traffic: float
    """Request units of the first run after traffic, with what it makes the change feeds do."""
    idle: float
    """Request units of a run when nothing changed."""

    @property
    def idle_per_day(self) -> float:
        """Request units of an idle day."""
        return self.idle * self.runs_per_day

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "schedule": self.schedule,
            "runs_per_day": round(self.runs_per_day, 3),
            "request_units_after_traffic": round(self.after_traffic, 1),
            "request_units_idle": round(self.idle, 1),
            "request_units_idle_per_day": round(self.idle_per_day, 1),
        }


@dataclass(frozen=True, slots=True)
class Polling:
    """What one change feed trigger costs while nothing changes."""

    function: str
    ranges: int
    """Feed ranges, each with a lease."""
    polls_per_hour: float
    """By the trigger's own pause, of all ranges."""
    units_per_poll: float
    leases_per_hour: float
    """Request units for renewing its leases and looking for others, one instance."""

    @property
    def units_per_hour(self) -> float:
        """Request units of an hour."""
        return self.polls_per_hour * self.units_per_poll + self.leases_per_hour

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "ranges": self.ranges,
            "polls_per_hour": round(self.polls_per_hour),
            "request_units_per_poll": round(self.units_per_poll, 3),
            "request_units_for_leases": round(self.leases_per_hour, 1),
            "request_units_per_hour": round(self.units_per_hour, 1),
        }


@dataclass(frozen=True, slots=True)
class IdleFigures:
    """Request units of a fleet without traffic."""

    changes: int
    """Size of the history."""
    silence: float = 0.0
    """Seconds between the timers' runs after traffic and those without news."""
    timers: Sequence[TimerRun] = ()
    polling: Sequence[Polling] = ()
    unavailable: str | None = None
    """Why there are no figures."""

    @property
    def units_per_hour(self) -> float:
        """Request units of an idle hour: feeds, leases, and a 24th of a day's timers."""
        feeds = sum(one.units_per_hour for one in self.polling)
        return feeds + sum(one.idle_per_day for one in self.timers) / HOURS_PER_DAY

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "changes": self.changes,
            "silence_seconds": self.silence,
            "timers": {one.name: one.as_json() for one in self.timers},
            "polling": {one.function: one.as_json() for one in self.polling},
            "request_units_per_hour": round(self.units_per_hour, 1),
            "unavailable": self.unavailable,
        }
