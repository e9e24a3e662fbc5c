"""The arithmetic of the report, by hand."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from bench.figures import (
    Cell,
    Comparison,
    Figures,
    FoldFigures,
    HalfDay,
    HistoryLevel,
    Sample,
    Spread,
    StackFigures,
    growth,
    percentile,
)
from bench.report import print_report, verdicts
from shared.cosmos.charges import Cost

HALF_DAY = HalfDay(4_000, Cost(400, 500))


def sample(changes: int, seconds: float, requests: int, units: float, booked: float | None = None) -> Sample:
    return Sample(changes, seconds, Cost(requests, units), Cost(requests, booked or units))


def comparison(batch: int = 1000, *, fleet_units: float = 3_000, seconds: float = 1.0) -> Comparison:
    return Comparison(
        batch,
        190.0,
        fleet=Cell((sample(1_000, seconds, 300, fleet_units),)),
        baseline=Cell((sample(100, 5.0, 1_000, 3_200),)),
    )


def figures(*levels: HistoryLevel, stack: StackFigures | None = None) -> Figures:
    return Figures(
        levels=levels,
        fold=FoldFigures(1_000, Spread(5_000, 4_000, 6_000), Spread(10_000, 9_000, 11_000)),
        stack=stack or StackFigures(200, 1.25, 3.5, 100 * 1024 * 1024, 5_200),
        machine="2 cores",
        at="2026-01-01T00:00:00+00:00",
        seconds=100.0,
        quick=False,
    )


def test_a_sample_is_per_change_and_per_second() -> None:
    one = sample(200, 4.0, 100, 800.0)
    assert (one.changes_per_second, one.requests_per_change, one.units_per_change) == (50.0, 0.5, 4.0)


def test_a_cell_reports_the_median_and_the_spread() -> None:
    cell = Cell((sample(10, 1.0, 10, 10), sample(10, 10.0, 20, 30), sample(10, 2.0, 60, 20)))
    assert cell.throughput == Spread(5.0, 1.0, 10.0)
    assert cell.requests == Spread(2.0, 1.0, 6.0)
    assert cell.units == Spread(2.0, 1.0, 3.0)


def test_the_cross_check_sums_over_repetitions() -> None:
    cell = Cell((sample(10, 1, 10, 100, booked=90), sample(10, 1, 10, 100, booked=130)))
    assert cell.booked_units_share == pytest.approx(1.1)
    assert cell.booked_requests_share == 1.0


def test_ratios_are_fleet_over_baseline() -> None:
    one = comparison()
    assert one.throughput_ratio == pytest.approx(50.0)  # 1,000 against 20 per second
    assert one.requests_ratio == pytest.approx(0.03)  # 0.3 against 10
    assert one.units_ratio == pytest.approx(3 / 32)


def test_growth_compares_the_same_batch_size() -> None:
    short = HistoryLevel(
        1, 900, (comparison(1, fleet_units=40_000), comparison(1000, fleet_units=4_000)), HALF_DAY
    )
    long = HistoryLevel(
        10, 9_000, (comparison(1, fleet_units=44_000), comparison(1000, fleet_units=3_800)), HALF_DAY
    )
    assert growth(short, long) == {1: pytest.approx(1.1), 1000: pytest.approx(0.95)}


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 5), (0.99, 10), (0.9, 9), (0.91, 10), (0.0, 1), (1.0, 10)]
)
def test_percentiles_are_measured_values(share: float, expected: int) -> None:
    assert percentile([3, 1, 2, 5, 4, 7, 6, 9, 10, 8], share) == expected


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 0.5)


def test_the_fold_is_a_ratio_to_parsing() -> None:
    assert figures().fold.ratio == 2.0


def test_aims_are_judged_at_the_largest_batch_and_the_shortest_history() -> None:
    short = HistoryLevel(1, 900, (comparison(1, fleet_units=40_000), comparison(1000)), HALF_DAY)
    long = HistoryLevel(
        10, 9_000, (comparison(1, fleet_units=45_000), comparison(1000, fleet_units=3_200)), HALF_DAY
    )
    lines = verdicts(figures(short, long))
    assert [("not met" in line) for line in lines[:4]] == [False, False, True, False]
    assert "50.0 × the baseline's" in lines[0]
    assert "1/10.7 of the baseline's, 1/10.2 with the half day's" in lines[1]
    assert "batches of 1: +12.5%" in lines[2]
    assert "batches of 1,000: +6.7%" in lines[3]


def test_aims_that_are_missed_are_said_to_be() -> None:
    slow = HistoryLevel(1, 900, (comparison(1000, fleet_units=4_000, seconds=10.0),), HALF_DAY)
    lines = verdicts(figures(slow, slow))
    assert "not met" in lines[0]
    assert "5.0 ×" in lines[0]
    assert "not met" in lines[1]
    assert "1/8.0" in lines[1]


def test_what_is_refreshed_twice_a_day_counts_towards_the_aim() -> None:
    level = HistoryLevel(1, 900, (comparison(1000),), HalfDay(4_000, Cost(400, 2_000)))
    line = verdicts(figures(level, level))[1]
    assert "not met" in line
    assert "1/10.7 of the baseline's, 1/9.1 with" in line


def test_what_is_not_measured_is_null_and_a_dash() -> None:
    level = HistoryLevel(1, 900, (comparison(),), HALF_DAY)
    missing = figures(level, level, stack=StackFigures(unavailable="no host here"))
    report = json.loads(json.dumps(missing.as_json()))
    assert report["archive_documents_per_second"] is None
    assert report["stack"]["freshness_p50_seconds"] is None
    assert report["stack"]["peak_rss_bytes"] is None
    assert report["stack"]["unavailable"] == "no host here"
    console = Console(record=True, width=130, file=StringIO())
    print_report(missing, console)
    row = next(line for line in console.export_text().splitlines() if "p50" in line)
    assert "–" in row
    assert "no host here" in row


def test_the_report_carries_every_ratio() -> None:
    level = HistoryLevel(1, 900, (comparison(),), HALF_DAY)
    report = figures(level, level).as_json()
    assert report["history"][0]["batches"][0]["ratio"] == {
        "changes_per_second": 50.0,
        "requests_per_change": 0.03,
        "request_units_per_change": 0.09375,
    }
    assert report["history"][0]["half_day"] == {
        "changes": 4_000,
        "requests": 400,
        "request_units": 500,
        "request_units_per_change": 0.125,
    }
    assert report["units_growth_with_history"] == {"1000": 1.0}
    assert report["fold"]["ratio"] == 2.0
