"""Whole periods: no document is published of a period of which the sources had lost a part."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.containers import CATALOGUE, container
from shared.ingest.sources import SOURCES
from shared.periods import period_of
from shared.publishing.whole_periods import first_day, publishable
from shared.units import Day, day_after
from shared.views import VIEWS

COUNTED = datetime(2025, 8, 20, 18, tzinfo=UTC)

days = st.dates(date(2021, 1, 1), date(2026, 12, 31)).map(lambda day: Day(day.isoformat()))
moments = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))
some_sources = st.sets(st.sampled_from(sorted(SOURCES)))
expiring_sources = st.sets(st.sampled_from(sorted(SOURCES.keys() - {"users"})), min_size=1)


def held_since(source: str, counted: datetime) -> datetime:
    """Return the earliest time of a document that a source still holds, if it is written at its own time."""
    ttl = container(source).default_ttl
    assert ttl is not None
    return counted - timedelta(seconds=ttl)


def start_of(day: Day) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC)


@given(expiring_sources, days, moments)
def test_of_a_published_period_and_of_the_day_before_it_all_sources_held_everything(
    sources: set[str], first: Day, counted: datetime
) -> None:
    begins = start_of(first)
    whole = all(begins - timedelta(days=1) >= held_since(source, counted) for source in sources)
    assert publishable(sources, first, int(counted.timestamp())) == whole


@given(some_sources, some_sources, days, st.integers(0, 400), moments)
def test_what_is_later_or_drawn_from_less_is_published_as_well(
    sources: set[str], more: set[str], first: Day, later: int, counted: datetime
) -> None:
    seconds = int(counted.timestamp())
    if publishable(sources | more, first, seconds):
        assert publishable(sources, day_after(first, later), seconds)
    assert publishable({"users"}, first, seconds)  # accounts do not expire


@pytest.mark.parametrize(
    ("view", "held", "published"),
    [
        ("daily_metrics", "2025-05-23", "2025-05-24"),
        ("user_analytics", "202505|ann", "202506|ann"),
        ("user_analytics_daily", "202505|ann", "202506|ann"),
        ("user_analytics_weekly", "2025W22|ann", "2025W23|ann"),  # its Monday is in May, the next one in June
        ("user_analytics_quarterly", "2025Q2|ann", "2025Q3|ann"),
        ("content_popularity_daily", "20240822", "20240823"),  # each compares with the period before
        ("content_popularity_weekly", "2024W36", "2024W37"),
        ("content_analytics", "202409", "202410"),
        ("incidents_by_content", "202409|gita", "202410|gita"),
    ],
)
def test_the_source_that_keeps_least_decides(view: str, held: str, published: str) -> None:
    one, counted = VIEWS[view], int(COUNTED.timestamp())
    assert not publishable(one.sources, first_day(held, one.periods), counted)
    assert publishable(one.sources, first_day(published, one.periods), counted)


@given(days, st.sampled_from(["daily", "weekly", "monthly", "quarterly"]), st.text(max_size=8))
def test_a_key_begins_no_later_than_its_period(day: Day, kind: str, rest: str) -> None:
    period = period_of(kind, day)  # type: ignore[arg-type]
    first = first_day(f"{period.label}|{rest}")
    assert first <= period.first <= day
    assert first == (period.first if kind != "weekly" else day_after(period.first, 1 - int(period.first[8:])))
    assert first_day(day) == day
    assert first_day(f"{period.label}|{rest}", 2) == first_day(period.before().label)


def test_every_view_names_the_sources_that_it_draws_on() -> None:
    expiring = {c.name for c in CATALOGUE if c.default_ttl is not None and c.default_ttl > 0}
    for view in VIEWS.values():
        assert view.sources
        assert view.sources <= expiring & SOURCES.keys()
