"""Days, ISO weeks, months and quarters: their names, their bounds, and what comes before and after."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.periods import Kind, day_start, day_text, monthly, parse_period, period_of
from shared.units import Day, Month

KINDS: tuple[Kind, ...] = ("daily", "weekly", "monthly", "quarterly")
dates = st.dates(date(2000, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    ("kind", "day", "label", "first", "last"),
    [
        ("daily", "2025-08-05", "20250805", "2025-08-05", "2025-08-05"),
        ("weekly", "2025-08-04", "2025W32", "2025-08-04", "2025-08-10"),
        ("weekly", "2025-08-05", "2025W32", "2025-08-04", "2025-08-10"),
        ("weekly", "2025-08-10", "2025W32", "2025-08-04", "2025-08-10"),
        ("weekly", "2025-03-01", "2025W09", "2025-02-24", "2025-03-02"),
        # The ISO year of a week is that of its Thursday.
        ("weekly", "2024-12-31", "2025W01", "2024-12-30", "2025-01-05"),
        ("weekly", "2021-01-03", "2020W53", "2020-12-28", "2021-01-03"),
        ("monthly", "2025-08-31", "202508", "2025-08-01", "2025-08-31"),
        ("monthly", "2025-12-01", "202512", "2025-12-01", "2025-12-31"),
        ("monthly", "2025-02-10", "202502", "2025-02-01", "2025-02-28"),
        ("monthly", "2024-02-10", "202402", "2024-02-01", "2024-02-29"),
        ("quarterly", "2025-01-01", "2025Q1", "2025-01-01", "2025-03-31"),
        ("quarterly", "2025-03-31", "2025Q1", "2025-01-01", "2025-03-31"),
        ("quarterly", "2025-04-01", "2025Q2", "2025-04-01", "2025-06-30"),
        ("quarterly", "2025-08-05", "2025Q3", "2025-07-01", "2025-09-30"),
        ("quarterly", "2025-12-31", "2025Q4", "2025-10-01", "2025-12-31"),
    ],
)
def test_a_day_lies_in_one_period_of_each_kind(
    kind: Kind, day: str, label: str, first: str, last: str
) -> None:
    for period in (period_of(kind, Day(day)), parse_period(label)):
        assert (period.kind, period.label, period.first, period.last) == (kind, label, first, last)


@given(st.sampled_from(KINDS), dates)
def test_the_days_of_a_period_are_all_from_its_first_to_its_last(kind: Kind, day: date) -> None:
    period = period_of(kind, Day(f"{day}"))
    first, last = date.fromisoformat(period.first), date.fromisoformat(period.last)
    assert list(period.days()) == [f"{first + timedelta(n)}" for n in range((last - first).days + 1)]
    assert f"{day}" in period.days()


@given(st.sampled_from(KINDS), dates)
def test_periods_of_a_kind_follow_each_other_without_gap_or_overlap(kind: Kind, day: date) -> None:
    period = period_of(kind, Day(f"{day}"))
    assert date.fromisoformat(period.after().first) == date.fromisoformat(period.last) + timedelta(1)
    assert date.fromisoformat(period.before().last) == date.fromisoformat(period.first) - timedelta(1)
    assert period.after().before() == period.before().after() == period


@pytest.mark.parametrize(
    ("label", "before", "after"),
    [
        ("20250301", "20250228", "20250302"),
        ("2025W01", "2024W52", "2025W02"),
        ("2020W53", "2020W52", "2021W01"),
        ("202501", "202412", "202502"),
        ("2025Q1", "2024Q4", "2025Q2"),
        ("2025Q4", "2025Q3", "2026Q1"),
    ],
)
def test_before_and_after_cross_the_end_of_a_year(label: str, before: str, after: str) -> None:
    period = parse_period(label)
    assert period.before().label == before
    assert period.after().label == after


@pytest.mark.parametrize(
    ("label", "months"),
    [
        ("20250805", ["202508"]),
        ("2025W32", ["202508"]),
        ("2025W01", ["202412", "202501"]),
        ("2024W09", ["202402", "202403"]),
        ("202508", ["202508"]),
        ("2025Q3", ["202507", "202508", "202509"]),
    ],
)
def test_a_period_names_each_of_its_months_one_time_in_order(label: str, months: list[str]) -> None:
    assert parse_period(label).months() == months


@pytest.mark.parametrize(
    ("label", "today", "passed"),
    [
        ("202508", "2025-07-31", 1),  # not begun: still at least one day to divide by
        ("202508", "2025-08-01", 1),
        ("202508", "2025-08-02", 2),
        ("202508", "2025-08-30", 30),
        ("202508", "2025-08-31", 31),
        ("202508", "2025-09-01", 31),
        ("202508", "2026-08-15", 31),
        ("202508", "2020-01-01", 1),
        ("20250805", "2025-08-05", 1),
        ("20250805", "2025-08-06", 1),
        ("2025W32", "2025-08-06", 3),
        ("2025Q1", "2025-12-31", 90),
        ("2024Q1", "2025-12-31", 91),
    ],
)
def test_the_days_passed_are_at_least_one_and_at_most_all(label: str, today: str, passed: int) -> None:
    assert parse_period(label).days_passed(Day(today)) == passed


def test_a_document_names_its_period_from_the_first_second_to_the_last() -> None:
    assert parse_period("202402").fields() == {
        "analysis_period": "monthly",
        "period_start": "2024-02-01T00:00:00Z",
        "period_end": "2024-02-29T23:59:59Z",
    }
    assert parse_period("2020W53").fields() == {
        "analysis_period": "weekly",
        "period_start": "2020-12-28T00:00:00Z",
        "period_end": "2021-01-03T23:59:59Z",
    }


@given(st.sampled_from(KINDS), dates)
def test_a_label_is_read_as_the_period_it_names(kind: Kind, day: date) -> None:
    period = period_of(kind, Day(f"{day}"))
    assert parse_period(period.label) == period


@given(st.sampled_from(KINDS), dates, dates)
def test_two_days_have_one_label_only_if_they_lie_in_one_period(kind: Kind, one: date, other: date) -> None:
    period = period_of(kind, Day(f"{one}"))
    assert (f"{other}" in period.days()) == (period_of(kind, Day(f"{other}")).label == period.label)


@pytest.mark.parametrize(
    "label",
    [
        *("", "yesterday", "2025", "20258", "2025080", "202508055", "x202508", "2025-08-05"),
        *("2025W3", "2025W321", "2025W32x", "2025Q0", "2025Q5", "2025Q03", "2025q3", "2025Q3\n"),
    ],
)
def test_a_text_of_another_form_is_refused_with_the_forms_that_are_read(label: str) -> None:
    with pytest.raises(ValueError, match=r"is not a period: 20250805, 2025W32, 202508 or 2025Q3"):
        parse_period(label)


def test_an_error_quotes_the_text_that_was_refused() -> None:
    with pytest.raises(ValueError, match=r"^'yesterday' is not a period"):
        parse_period("yesterday")


@pytest.mark.parametrize("label", ["2025W00", "2025W53", "2025W54", "202500", "202513"])
def test_a_week_or_month_that_the_calendar_does_not_have_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match=r"week|month"):
        parse_period(label)


def test_a_month_is_a_period() -> None:
    month = monthly(Month("202402"))
    assert (month.kind, month.label, month.first, month.last) == (
        "monthly",
        "202402",
        "2024-02-01",
        "2024-02-29",
    )


def test_a_day_starts_at_midnight_utc() -> None:
    assert day_start(Day("2025-08-05")) == "2025-08-05T00:00:00Z"


def test_the_day_of_a_moment_is_that_of_utc() -> None:
    india, new_york = timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-5))
    assert day_text(datetime(2025, 8, 5, 23, 59, 59, tzinfo=UTC)) == "2025-08-05"
    assert day_text(datetime(2025, 8, 5, 5, 29, tzinfo=india)) == "2025-08-04"
    assert day_text(datetime(2025, 12, 31, 19, 0, tzinfo=new_york)) == "2026-01-01"
