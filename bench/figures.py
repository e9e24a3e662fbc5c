"""The arithmetic of the report: samples, their medians and spreads, and ratios. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

from bench.archive_figures import ArchiveFigures
from bench.load_figures import LoadFigures
from bench.stack_figures import IdleFigures, StackFigures
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
class Scheduled:
    """What the fleet publishes by a timer, after some changes.

    In operation more changes share one run: what changed twice is published once.
    """

    changes: int
    charge: Cost

    @property
    def units_per_change(self) -> float:
        """Request units."""
        return self.charge.request_units / self.changes

    @property
    def seconds_per_change(self) -> float:
        """Duration."""
        return self.charge.seconds / self.changes

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "changes": self.changes,
            "requests": self.charge.requests,
            "request_units": _rounded(self.charge.request_units),
            "seconds": _rounded(self.charge.seconds),
            "request_units_per_change": _rounded(self.units_per_change),
        }


@dataclass(frozen=True, slots=True)
class ScheduledWork:
    """All that the fleet does by timers for the live changes of a level."""

    hourly: Scheduled
    """After the segments that stand for an hour, together."""
    half_day: Scheduled
    """Once after all live changes: twelve hours have more of them."""

    @property
    def units_per_change(self) -> float:
        """Request units of both."""
        return self.hourly.units_per_change + self.half_day.units_per_change

    @property
    def seconds_per_change(self) -> float:
        """Duration of both."""
        return self.hourly.seconds_per_change + self.half_day.seconds_per_change

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {"hourly": self.hourly.as_json(), "half_day": self.half_day.as_json()}


@dataclass(frozen=True, slots=True)
class HistoryLevel:
    """All comparisons after one length of history."""

    factor: int
    interactions: int
    comparisons: tuple[Comparison, ...]
    scheduled: ScheduledWork

    def units_with_all(self) -> dict[int, float]:
        """Return the fleet's request units per change by batch size, scheduled work included."""
        return units_with_all({c.batch: c.fleet for c in self.comparisons}, self.scheduled)

    def units_ratio_with_all(self, comparison: Comparison) -> float:
        """Return request units per change, fleet over baseline, scheduled work included."""
        return self.units_with_all()[comparison.batch] / comparison.baseline.units.median

    def throughput_ratio_with_all(self, comparison: Comparison) -> float:
        """Return changes per second, fleet over baseline, the time of scheduled work included."""
        seconds = 1 / comparison.fleet.throughput.median + self.scheduled.seconds_per_change
        return 1 / seconds / comparison.baseline.throughput.median

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "factor": self.factor,
            "interactions": self.interactions,
            "batches": [
                comparison.as_json()
                | {
                    "ratio_with_scheduled_work": {
                        "changes_per_second": _rounded(self.throughput_ratio_with_all(comparison)),
                        "request_units_per_change": _rounded(self.units_ratio_with_all(comparison)),
                    }
                }
                for comparison in self.comparisons
            ],
            **self.scheduled.as_json(),
        }


@dataclass(frozen=True, slots=True)
class PeopleLevel:
    """The fleet alone, with the same live traffic among more people who are known."""

    people: int
    interactions: int
    cells: Mapping[int, Cell]
    """By batch size."""
    scheduled: ScheduledWork

    def units_with_all(self) -> dict[int, float]:
        """Return request units per change by batch size, scheduled work included."""
        return units_with_all(self.cells, self.scheduled)

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "people": self.people,
            "interactions": self.interactions,
            "batches": {str(batch): cell.as_json() for batch, cell in self.cells.items()},
            **self.scheduled.as_json(),
        }


def units_with_all(cells: Mapping[int, Cell], scheduled: ScheduledWork) -> dict[int, float]:
    """Return request units per change by batch size, scheduled work included."""
    return {batch: cell.units.median + scheduled.units_per_change for batch, cell in cells.items()}


def growth(before: Mapping[int, float], after: Mapping[int, float]) -> dict[int, float]:
    """Return figures by batch size, after over before."""
    return {batch: value / before[batch] for batch, value in after.items()}


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
class Figures:
    """What one run measured. What it did not measure is empty or None."""

    machine: str
    at: str
    seconds: float
    quick: bool
    levels: tuple[HistoryLevel, ...] = ()
    people: PeopleLevel | None = None
    fold: FoldFigures | None = None
    stack: StackFigures | None = None
    idle: IdleFigures | None = None
    load: LoadFigures | None = None
    """The local database server under load."""
    archive: ArchiveFigures | None = None

    def growth_with_history(self) -> dict[int, float]:
        """Return the fleet's request units per change by batch size, longest over shortest history."""
        if not self.levels:
            return {}
        return growth(self.levels[0].units_with_all(), self.levels[-1].units_with_all())

    def growth_with_people(self) -> dict[int, float]:
        """Return the same, many people over few."""
        if not self.levels or self.people is None:
            return {}
        return growth(self.levels[0].units_with_all(), self.people.units_with_all())

    def as_json(self) -> dict[str, Any]:
        """Return the whole report for ``--json``, without the aims."""
        return {
            "at": self.at,
            "machine": self.machine,
            "quick": self.quick,
            "seconds": round(self.seconds, 1),
            "history": [level.as_json() for level in self.levels],
            "people": self.people.as_json() if self.people else None,
            "units_growth_with_history": _by_batch(self.growth_with_history()),
            "units_growth_with_people": _by_batch(self.growth_with_people()),
            "fold": self.fold.as_json() if self.fold else None,
            "stack": self.stack.as_json() if self.stack else None,
            "idle": self.idle.as_json() if self.idle else None,
            "local_server": self.load.as_json() if self.load else None,
            "archive": self.archive.as_json() if self.archive else None,
        }


def _by_batch(values: Mapping[int, float]) -> dict[str, float]:
    return {str(batch): _rounded(value) for batch, value in values.items()}


def _rounded(value: float) -> float:
    """Four significant digits or three decimals, whichever is finer: figures here span 0.01 to 100,000."""
    return round(value, 3 if abs(value) >= 1 else 5)
