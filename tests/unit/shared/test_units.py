"""Fixed-point numbers, and days, months and hours of UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.units import (
    Day,
    Millis,
    Month,
    day_after,
    days_between,
    days_of_month,
    event_hour,
    iso,
    minute_of_day,
    month_after,
    month_bounds,
    month_of,
    to_micro,
    usd,
)

dates = st.dates(date(1990, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (0.0, 0),
        (1.0, 1_000_000),
        (0.87, 870_000),
        (4, 4_000_000),
        (-0.25, -250_000),
        (0.000_000_4, 0),
        (0.000_000_6, 1),
        # Exactly between two millionths, in binary too: the even one.
        (2**-7, 7_812),
        (3 * 2**-7, 23_438),
    ],
)
def test_a_real_number_becomes_the_nearest_millionth(value: float, micros: int) -> None:
    assert to_micro(value) == micros


@given(st.floats(-1000, 1000))
def test_fixed_point_is_within_half_a_millionth(value: float) -> None:
    # The product itself is a float, so that the last bit may round the other way.
    assert abs(Fraction(value) * 1_000_000 - to_micro(value)) <= Fraction(1, 2) + Fraction(1, 10**6)


def test_an_amount_in_dollars_is_exact_to_the_nano_dollar_when_printed() -> None:
    assert str(usd(1_234_567_891)) == "1.234567891"
    assert f"{usd(1):.9f}" == "0.000000001"
    assert usd(0) == 0
    assert usd(-2_500_000_000) == -2.5


@pytest.mark.parametrize(
    ("moment", "hour", "minute"),
    [
        (0, "1970-01-01T00", 0),
        (1_754_404_755_127, "2025-08-05T14", 14 * 60 + 39),
        (1_754_405_999_999, "2025-08-05T14", 14 * 60 + 59),
        (1_754_406_000_000, "2025-08-05T15", 15 * 60),
        (1_735_689_599_999, "2024-12-31T23", 1439),
        (1_735_689_600_000, "2025-01-01T00", 0),
        (-1, "1969-12-31T23", 1439),
    ],
)
def test_a_moment_lies_in_an_hour_and_a_minute_of_utc(moment: int, hour: str, minute: int) -> None:
    assert event_hour(Millis(moment)) == hour
    assert minute_of_day(Millis(moment)) == minute


@given(st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31)))
def test_hour_and_minute_agree_with_the_calendar(moment: datetime) -> None:
    millis = Millis((moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1))
    assert event_hour(millis) == moment.isoformat()[:13]
    assert minute_of_day(millis) == moment.hour * 60 + moment.minute


def test_a_time_is_written_in_utc_with_milliseconds_only_if_it_has_a_fraction() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    assert iso(datetime(2025, 8, 5, 14, 45, tzinfo=UTC)) == "2025-08-05T14:45:00Z"
    assert iso(datetime(2025, 8, 5, 14, 45, 9, 127_999, tzinfo=UTC)) == "2025-08-05T14:45:09.127Z"
    assert iso(datetime(2025, 8, 5, 2, 15, tzinfo=india)) == "2025-08-04T20:45:00Z"


@pytest.mark.parametrize(
    ("month", "first", "last"),
    [
        ("202502", "2025-02-01T00:00:00+00:00", "2025-02-28T23:59:59+00:00"),
        ("202402", "2024-02-01T00:00:00+00:00", "2024-02-29T23:59:59+00:00"),
        ("202512", "2025-12-01T00:00:00+00:00", "2025-12-31T23:59:59+00:00"),
        ("202504", "2025-04-01T00:00:00+00:00", "2025-04-30T23:59:59+00:00"),
    ],
)
def test_a_month_lasts_from_its_first_second_to_its_last(month: str, first: str, last: str) -> None:
    assert [bound.isoformat() for bound in month_bounds(Month(month))] == [first, last]


@given(dates)
def test_the_days_of_a_month_are_those_that_lie_in_it(day: date) -> None:
    month = f"{day:%Y%m}"
    assert month_of(Day(f"{day}")) == month
    around = (day + timedelta(n) for n in range(-31, 32))
    expected = tuple(f"{other}" for other in around if (other.year, other.month) == (day.year, day.month))
    assert days_of_month(Month(month)) == expected


@given(dates, st.integers(-800, 800))
def test_adding_days_moves_along_the_calendar(day: date, days: int) -> None:
    later = f"{day + timedelta(days)}"
    assert day_after(Day(f"{day}"), days) == later
    assert days_between(Day(f"{day}"), Day(later)) == days


@pytest.mark.parametrize(
    ("month", "months", "later"),
    [
        ("202508", 0, "202508"),
        ("202508", 1, "202509"),
        ("202512", 1, "202601"),
        ("202501", -1, "202412"),
        ("202508", -8, "202412"),
        ("202508", 24, "202708"),
        ("202511", 13, "202612"),
    ],
)
def test_adding_months_crosses_the_end_of_a_year(month: str, months: int, later: str) -> None:
    assert month_after(Month(month), months) == later
    assert month_after(Month(later), -months) == month
