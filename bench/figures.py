"""The arithmetic of the report: samples, their medians and spreads, and ratios. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import Any

from bench.load_figures import LoadFigures
from shared.cosmos.charges import Cost


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition: a segment of traffic, processed until it showed in the views."""

    changes: int
    seconds: float
    charge: Cost
    """As the responses said."""
    booked: Cost
    """As the server booked it."""

    @property
    def changes_per_second(self) -> float:
        """Throughput."""
        return self.changes / self.seconds

    @property
    def requests_per_change(self) -> float:
        """Requests, reading the feeds included."""
        return self.charge.requests / self.changes

    @property
    def units_per_change(self) -> float:
        """Request units, reading the feeds included."""
        return self.charge.request_units / self.changes


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several measurements, with the smallest and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarize; ``values`` must not be empty."""
        return cls(median(values), min(values), max(values))

    def as_json(self) -> dict[str, float]:
        """Return it for ``--json``."""
        return {"median": _rounded(self.median), "min": _rounded(self.low), "max": _rounded(self.high)}


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
class Cell:
    """The repetitions of one contender at one batch size and one length of history."""

    samples: tuple[Sample, ...]

    def spread(self, figure: Callable[[Sample], float]) -> Spread:
        """Summarize one figure of the samples."""
        return Spread.of([figure(sample) for sample in self.samples])

    @property
    def throughput(self) -> Spread:
        """Changes per second."""
        return self.spread(lambda sample: sample.changes_per_second)

    @property
    def requests(self) -> Spread:
        """Requests per change."""
        return self.spread(lambda sample: sample.requests_per_change)

    @property
    def units(self) -> Spread:
        """Request units per change."""
        return self.spread(lambda sample: sample.units_per_change)

    @property
    def booked_units_share(self) -> float:
        """Request units that the server booked, as a share of what the responses said; 1 if they agree."""
        said = sum(sample.charge.request_units for sample in self.samples)
        return sum(sample.booked.request_units for sample in self.samples) / said

    @property
    def booked_requests_share(self) -> float:
        """Requests that the server booked, as a share of those counted by the client."""
        counted = sum(sample.charge.requests for sample in self.samples)
        return sum(sample.booked.requests for sample in self.samples) / counted

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "repetitions": len(self.samples),
            "changes": sum(sample.changes for sample in self.samples),
            "changes_per_second": self.throughput.as_json(),
            "requests_per_change": self.requests.as_json(),
            "request_units_per_change": self.units.as_json(),
            "booked_request_units_share": _rounded(self.booked_units_share),
            "booked_requests_share": _rounded(self.booked_requests_share),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Fleet and baseline side by side: the same traffic at one batch size after the same history."""

    batch: int
    people: float
    """Distinct people in a batch, on average."""
    fleet: Cell
    baseline: Cell

    @property
    def throughput_ratio(self) -> float:
        """Fleet over baseline; more is better."""
        return self.fleet.throughput.median / self.baseline.throughput.median

    @property
    def requests_ratio(self) -> float:
        """Fleet over baseline; less is better."""
        return self.fleet.requests.median / self.baseline.requests.median

    @property
    def units_ratio(self) -> float:
        """Fleet over baseline; less is better."""
        return self.fleet.units.median / self.baseline.units.median

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "batch": self.batch,
            "people_per_batch": round(self.people, 1),
            "fleet": self.fleet.as_json(),
            "baseline": self.baseline.as_json(),
            "ratio": {
                "changes_per_second": _rounded(self.throughput_ratio),
                "requests_per_change": _rounded(self.requests_ratio),
                "request_units_per_change": _rounded(self.units_ratio),
            },
        }


@dataclass(frozen=True, slots=True)
class HalfDay:
    """What the fleet refreshes twice a day, once after all the live changes of a level.

    Twelve hours have more changes, and cost less each: what changed twice is refreshed once.
    """

    changes: int
    charge: Cost

    @property
    def units_per_change(self) -> float:
        """Request units."""
        return self.charge.request_units / self.changes

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "changes": self.changes,
            "requests": self.charge.requests,
            "request_units": _rounded(self.charge.request_units),
            "request_units_per_change": _rounded(self.units_per_change),
        }


@dataclass(frozen=True, slots=True)
class HistoryLevel:
    """All comparisons after one length of history."""

    factor: int
    interactions: int
    comparisons: tuple[Comparison, ...]
    half_day: HalfDay

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "factor": self.factor,
            "interactions": self.interactions,
            "batches": [comparison.as_json() for comparison in self.comparisons],
            "half_day": self.half_day.as_json(),
        }


def growth(short: HistoryLevel, long: HistoryLevel) -> dict[int, float]:
    """Return, by batch size, the fleet's request units per change: long history over short history."""
    before = {comparison.batch: comparison for comparison in short.comparisons}
    return {
        comparison.batch: comparison.fleet.units.median / before[comparison.batch].fleet.units.median
        for comparison in long.comparisons
    }


@dataclass(frozen=True, slots=True)
class FoldFigures:
    """The fold without I/O."""

    changes: int
    parse: Spread
    """Parsing and validating alone, documents per second."""
    fold: Spread
    """Folding parsed changes, changes per second."""

    @property
    def ratio(self) -> float:
        """Fold over parsing and validating alone; more is better."""
        return self.fold.median / self.parse.median

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "changes": self.changes,
            "parse_per_second": self.parse.as_json(),
            "fold_per_second": self.fold.as_json(),
            "ratio": _rounded(self.ratio),
        }


@dataclass(frozen=True, slots=True)
class StackFigures:
    """What only the whole stack shows: freshness and memory of a real host."""

    writes: int = 0
    p50_seconds: float | None = None
    p99_seconds: float | None = None
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
            "freshness_p50_seconds": _or_none(self.p50_seconds),
            "freshness_p99_seconds": _or_none(self.p99_seconds),
            "peak_rss_bytes": self.peak_rss_bytes,
            "changes_processed": self.changes_processed,
            "unavailable": self.unavailable,
        }


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything one run measured. What nothing measures is None."""

    levels: tuple[HistoryLevel, ...]
    fold: FoldFigures
    stack: StackFigures
    machine: str
    at: str
    seconds: float
    quick: bool
    load: LoadFigures | None = None
    """The local database server under load."""
    archive_per_second: float | None = field(default=None)
    """Nothing archives yet."""

    def as_json(self) -> dict[str, Any]:
        """Return the whole report for ``--json``."""
        return {
            "at": self.at,
            "machine": self.machine,
            "quick": self.quick,
            "seconds": round(self.seconds, 1),
            "history": [level.as_json() for level in self.levels],
            "units_growth_with_history": {
                str(batch): _rounded(value)
                for batch, value in growth(self.levels[0], self.levels[-1]).items()
            },
            "fold": self.fold.as_json(),
            "stack": self.stack.as_json(),
            "local_server": self.load.as_json() if self.load else None,
            "archive_documents_per_second": self.archive_per_second,
        }


def _rounded(value: float) -> float:
    """Four significant digits or three decimals, whichever is finer: figures here span 0.01 to 100,000."""
    return round(value, 3 if abs(value) >= 1 else 5)


def _or_none(value: float | None) -> float | None:
    return None if value is None else _rounded(value)
