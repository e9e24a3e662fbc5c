"""What the fleet's figures are to reach, and whether they do. Pure.

All aims include scheduled work: what the hourly timer and the work of each half day add to a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.figures import Figures
from bench.load_figures import OPERATIONS, LoadFigures


@dataclass(frozen=True, slots=True)
class BatchAim:
    """Fleet over baseline at one batch size."""

    changes_per_second: float
    """At least."""
    request_units: float
    """Per change, at most."""


BATCHES: Mapping[int, BatchAim] = {
    1: BatchAim(4.0, 1 / 3.5),
    100: BatchAim(20.0, 1 / 8),
    1_000: BatchAim(25.0, 1 / 15),
}
"""By batch size, after the shortest history."""

GROWTH = 0.10
"""Share by which ten times the history, or ten times the people, may change the request units per change."""

FOLD = 0.5
"""Fold without I/O over parsing and validating alone, at least."""

POLL_DELAYS = 2.0
"""p99 of freshness over the pauses of the triggers between write and view, at most."""

ARCHIVE = 10.0
"""Archived documents per second over those of one after the other, at least."""

SERVER_PER_SECOND = 1_500
"""Reads, and upserts, of the local database server, at least."""

SERVER_GROWTH = 0.1
"""Share by which its memory may grow under load and still be called flat."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an aim is met."""

    met: bool
    text: str
    """What was reached, and the aim."""


def verdicts(figures: Figures) -> list[Verdict]:
    """Return one verdict for each aim that the run measured."""
    return [
        *_against_the_baseline(figures),
        *_growth(figures.growth_with_history(), "10 × the history"),
        *_growth(figures.growth_with_people(), "10 × the people"),
        *_fold(figures),
        *_freshness(figures),
        *_archive(figures),
        *(_load(figures.load) if figures.load else ()),
    ]


def _against_the_baseline(figures: Figures) -> Iterator[Verdict]:
    for comparison in figures.levels[0].comparisons if figures.levels else ():
        aim, level = BATCHES.get(comparison.batch), figures.levels[0]
        if aim is None:
            continue
        speed, units = level.throughput_ratio_with_all(comparison), level.units_ratio_with_all(comparison)
        yield Verdict(
            speed >= aim.changes_per_second,
            f"changes per second at batches of {comparison.batch:,}: {speed:.1f} × the baseline's,"
            f" without scheduled work {comparison.throughput_ratio:.1f} ×"
            f" (aim: at least {aim.changes_per_second:g} ×)",
        )
        yield Verdict(
            units <= aim.request_units,
            f"request units per change at batches of {comparison.batch:,}: 1/{1 / units:.1f} of the"
            f" baseline's, without scheduled work 1/{1 / comparison.units_ratio:.1f}"
            f" (aim: at most 1/{1 / aim.request_units:g})",
        )


def _growth(grown: Mapping[int, float], at: str) -> Iterator[Verdict]:
    for batch, value in grown.items():
        yield Verdict(
            abs(value - 1) <= GROWTH,
            f"request units per change at {at}, batches of {batch:,}: {value - 1:+.1%}"
            f" (aim: within {GROWTH:.0%})",
        )


def _fold(figures: Figures) -> Iterator[Verdict]:
    if figures.fold is not None:
        ratio = figures.fold.ratio
        text = f"fold without I/O: {ratio:.2f} × parsing alone (aim: at least {FOLD:g} ×)"
        yield Verdict(ratio >= FOLD, text)


def _freshness(figures: Figures) -> Iterator[Verdict]:
    stack = figures.stack
    for view, one in stack.live.items() if stack else ():
        most = POLL_DELAYS * stack.poll_delays if stack else 0.0
        yield Verdict(one.p99 <= most, f"freshness of {view}, p99: {one.p99:.2f} s (aim: at most {most:g} s)")


def _archive(figures: Figures) -> Iterator[Verdict]:
    if figures.archive is not None:
        ratio = figures.archive.ratio
        text = f"archive: {ratio:.1f} × one document after the other (aim: at least {ARCHIVE:g} ×)"
        yield Verdict(ratio >= ARCHIVE, text)


def _load(figures: LoadFigures) -> Iterator[Verdict]:
    for operation in OPERATIONS:
        rate = figures.ours.rates.get(operation)
        reached = rate.per_second if rate else 0.0
        text = f"{operation}s per second of the local server: {reached:,.0f} (aim: {SERVER_PER_SECOND:,})"
        yield Verdict(reached >= SERVER_PER_SECOND, text)
    growth = figures.ours.growth
    if growth is not None:
        text = f"memory of the local server under load: {growth:+.1%} (aim: at most {SERVER_GROWTH:+.0%})"
        yield Verdict(growth <= SERVER_GROWTH, text)
