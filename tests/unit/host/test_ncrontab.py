"""Timer schedules give the occurrences that the platform's NCRONTAB gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local.host.ncrontab import IntervalSchedule, parse_schedule

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)  # a Thursday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("*/10 * * * * *", "2026-01-01T12:00:40"),
        ("0 */5 * * * *", "2026-01-01T12:05:00"),
        ("0 0 * * * *", "2026-01-01T13:00:00"),
        ("15 30 3 * * *", "2026-01-02T03:30:15"),
        ("0 30 9 * Jan Mon", "2026-01-05T09:30:00"),
        ("0 30 9 * January Monday-Friday", "2026-01-02T09:30:00"),
        ("0 0 0 1 1 *", "2027-01-01T00:00:00"),
        ("5/20 * * * * *", "2026-01-01T12:00:45"),
        ("*/5 * * * *", "2026-01-01T12:05:00"),  # five fields: seconds are 0
        ("0 0 0 13 * 5", "2026-02-13T00:00:00"),  # day of month and day of week must both match
    ],
)
def test_next_occurrence(text: str, following: str) -> None:
    assert parse_schedule(text).next_after(START) == datetime.fromisoformat(following).replace(tzinfo=UTC)


def test_an_occurrence_is_later_than_the_moment_asked_for() -> None:
    on_time = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert parse_schedule("0 0 12 * * *").next_after(on_time) == on_time + timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:05", 5), ("01:30:00", 5_400), ("1.00:00:00", 86_400), ("24:00:00", 24 * 86_400)],
)
def test_time_span_is_an_interval(text: str, seconds: float) -> None:
    assert parse_schedule(text) == IntervalSchedule(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "61 * * * * *",
        "0 0 0 L * *",
        "0 0 0 * * 7",
        "0 0 0 * * 1#2",
        "@hourly",
        "H * * * * *",
        "Mon * * * * *",
        "00:00:00",
        "0 0 0 32 * *",
        "0 0 0 * Foo *",
    ],
)
def test_what_ncrontab_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [("*/30 * * * * *", True), ("0 * * * * *", False), ("00:00:59", True), ("00:01:00", False)],
)
def test_short_schedules_are_recognised(text: str, short: bool) -> None:
    assert parse_schedule(text).shorter_than_a_minute is short
