"""The arithmetic of the report, by hand."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from bench.aims import BATCHES, verdicts
from bench.figures import (
    Cell,
    Comparison,
    Figures,
    FoldFigures,
    HistoryLevel,
    PeopleLevel,
    Sample,
    Scheduled,
    ScheduledWork,
    Spread,
    growth,
)
from bench.report import print_report
from bench.stack_figures import Freshness, IdleFigures, Polling, StackFigures, TimerRun, percentile
from shared.cosmos.charges import Cost

SCHEDULED = ScheduledWork(Scheduled(1_000, Cost(40, 50, 0.5)), Scheduled(4_000, Cost(400, 200, 2.0)))
"""0.05 and 0.05 request units per change, and half a millisecond each."""

NOTHING = ScheduledWork(Scheduled(1_000, Cost()), Scheduled(4_000, Cost()))

STACK = StackFigures(
    writes=200,
    live={"user_analytics": Freshness(1.25, 3.5, 4.0), "daily_metrics": Freshness(1.5, 6.5, 7.0)},
    scheduled={"content_analytics": 3_600.0},
    poll_delays=3.0,
    peak_rss_bytes=100 * 1024 * 1024,
    changes_processed=5_200,
)

IDLE = IdleFigures(
    changes=5_200,
    silence=660.0,
    timers=[
        TimerRun("hourly", "0 2 * * * *", 24.0, after_traffic=500.0, idle=10.0),
        TimerRun("often", "0 */5 * * * *", 288.0, after_traffic=5.0, idle=1.0),
    ],
    polling=[Polling("fold", 2, polls_per_hour=7_200, units_per_poll=1.0, leases_per_hour=800.0)],
)


def sample(changes: int, seconds: float, requests: int, units: float, booked: float | None = None) -> Sample:
    return Sample(changes, seconds, Cost(requests, units), Cost(requests, booked or units))


def comparison(batch: int = 1000, *, fleet_units: float = 3_000, seconds: float = 1.0) -> Comparison:
    return Comparison(
        batch,
        190.0,
        fleet=Cell((sample(1_000, seconds, 300, fleet_units),)),
        baseline=Cell((sample(100, 5.0, 1_000, 3_200),)),
    )


def figures(*levels: HistoryLevel, people: PeopleLevel | None = None, stack: StackFigures = STACK) -> Figures:
    return Figures(
        levels=levels,
        people=people,
        fold=FoldFigures(1_000, Spread(5_000, 4_000, 6_000), Spread(10_000, 9_000, 11_000)),
        stack=stack,
        idle=IDLE,
        machine="2 cores",
        at="2026-01-01T00:00:00+00:00",
        seconds=100.0,
        quick=False,
    )


def level(*comparisons: Comparison, scheduled: ScheduledWork = NOTHING) -> HistoryLevel:
    return HistoryLevel(1, 900, comparisons, scheduled)


def said(found: Figures, *words: str) -> list[bool]:
    """Return whether the aims are met whose text has all of some words."""
    return [verdict.met for verdict in verdicts(found) if all(word in verdict.text for word in words)]


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
    assert growth({1: 40.0, 1000: 4.0}, {1: 44.0, 1000: 3.8}) == {
        1: pytest.approx(1.1),
        1000: pytest.approx(0.95),
    }


def test_scheduled_work_counts_for_every_batch_size() -> None:
    one = level(comparison(1, fleet_units=40_000), comparison(1000), scheduled=SCHEDULED)
    assert one.units_with_all() == {1: pytest.approx(40.1), 1000: pytest.approx(3.1)}
    assert one.units_ratio_with_all(one.comparisons[1]) == pytest.approx(3.1 / 32)
    # A millisecond for a change, and another for what the timers do for it, against 20 changes per second.
    assert one.throughput_ratio_with_all(one.comparisons[1]) == pytest.approx(25.0)


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


def test_each_batch_size_has_its_own_aims() -> None:
    assert sorted(BATCHES) == [1, 100, 1000]
    found = figures(level(*(comparison(batch, fleet_units=2_500) for batch in BATCHES)))
    # 50 times as fast and 1/12.8 of the request units, whatever the batch.
    assert said(found, "changes per second at batches of") == [True, True, True]
    assert said(found, "request units per change at batches of", "baseline's") == [True, True, False]
    slow = figures(level(*(comparison(batch, seconds=10.0) for batch in BATCHES)))
    assert said(slow, "changes per second at batches of") == [True, False, False]


def test_scheduled_work_can_make_the_difference() -> None:
    fits = comparison(1000, fleet_units=2_100)
    assert said(figures(level(fits)), "request units", "baseline's") == [True]
    found = figures(level(fits, scheduled=SCHEDULED))
    assert said(found, "request units", "baseline's") == [False]
    text = next(verdict.text for verdict in verdicts(found) if "baseline's" in verdict.text)
    assert "50.0 ×" in text
    assert "25.0 ×" in text


def test_growth_may_go_ten_per_cent_either_way() -> None:
    short = level(comparison(1, fleet_units=40_000), comparison(100), comparison(1000))
    long = level(
        comparison(1, fleet_units=45_000),
        comparison(100, fleet_units=3_200),
        comparison(1000, fleet_units=2_600),
    )
    many = PeopleLevel(3_000, 9_000, {1: Cell((sample(1_000, 1, 300, 41_000),))}, NOTHING)
    found = figures(short, long, people=many)
    assert said(found, "10 × the history") == [False, True, False]
    assert said(found, "10 × the people") == [True]
    costly = PeopleLevel(3_000, 9_000, many.cells, ScheduledWork(Scheduled(1, Cost(1, 5)), NOTHING.half_day))
    assert said(figures(short, long, people=costly), "10 × the people") == [False]


def test_the_fold_and_freshness_have_aims() -> None:
    found = figures()
    assert said(found, "fold without I/O") == [True]
    assert said(found, "freshness of user_analytics") == [True]
    assert said(found, "freshness of daily_metrics") == [False]
    assert len(verdicts(found)) == 3


def test_an_idle_hour_is_feeds_leases_and_a_part_of_the_timers() -> None:
    # 7,200 polls and 800 for leases; 24 runs of 10 and 288 of 1 on a day.
    assert IDLE.units_per_hour == pytest.approx(8_000 + (240 + 288) / 24)
    report = json.loads(json.dumps(IDLE.as_json()))
    assert report["timers"]["often"]["request_units_idle_per_day"] == 288.0
    assert report["polling"]["fold"]["request_units_per_hour"] == 8_000.0


def printed(found: Figures) -> list[str]:
    console = Console(record=True, width=150, file=StringIO())
    print_report(found, console)
    return console.export_text().splitlines()


def test_what_is_not_measured_is_null_and_said() -> None:
    missing = figures(level(comparison()), stack=StackFigures(unavailable="no host here"))
    report = json.loads(json.dumps(missing.as_json()))
    assert report["archive"] is None
    assert report["stack"]["freshness_seconds"] == {}
    assert report["stack"]["peak_rss_bytes"] is None
    assert report["stack"]["unavailable"] == "no host here"
    row = next(line for line in printed(missing) if "Peak memory" in line)
    assert "–" in row
    assert "no host here" in row


def test_a_run_of_one_section_reports_that_section() -> None:
    alone = Figures("2 cores", "2026-01-01T00:00:00+00:00", 10.0, False, idle=IDLE)
    text = "\n".join(printed(alone))
    assert "Request units of an idle hour: 8,022" in text
    assert "batch" not in text
    assert alone.as_json()["history"] == []
    assert verdicts(alone) == []


def test_a_view_of_a_timer_has_its_pause_and_a_live_one_what_was_measured() -> None:
    lines = printed(figures())
    assert "3,600 │ by its timer" in next(line for line in lines if "content_analytics" in line)
    assert "6.50" in next(line for line in lines if line.startswith("│ daily_metrics"))


def test_the_report_carries_every_ratio() -> None:
    one = level(comparison(), scheduled=SCHEDULED)
    report = figures(one, one).as_json()
    batch = report["history"][0]["batches"][0]
    assert batch["ratio"] == {
        "changes_per_second": 50.0,
        "requests_per_change": 0.03,
        "request_units_per_change": 0.09375,
    }
    assert batch["ratio_with_scheduled_work"] == {
        "changes_per_second": 25.0,
        "request_units_per_change": 0.09688,
    }
    assert report["history"][0]["half_day"] == {
        "changes": 4_000,
        "requests": 400,
        "request_units": 200,
        "seconds": 2.0,
        "request_units_per_change": 0.05,
    }
    assert report["units_growth_with_history"] == {"1000": 1.0}
    assert report["units_growth_with_people"] == {}
    assert report["fold"]["ratio"] == 2.0
