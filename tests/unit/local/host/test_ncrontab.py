"""Timer schedules give the occurrences that the platform's NCRONTAB gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.ncrontab import IntervalSchedule, parse_schedule, parse_time_zone

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
        "0 0 0 * Maybe *",
        "0 0 0 * * Montag",
        "0 0 0 * * January",
    ],
)
def test_what_ncrontab_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_schedule(text)


@pytest.mark.parametrize(
    "text",
    ["0 0 22-6 * * *", "0 0 0 * * Fri-Mon", "0 0 0 * * 1,5-2", "0 59-10/7 * * * *", "0 0 0 1 Dec-Feb *"],
)
def test_a_range_that_runs_backwards_is_refused_for_the_platform_swaps_its_ends(text: str) -> None:
    with pytest.raises(ValueError, match="runs backwards"):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [("*/30 * * * * *", True), ("0 * * * * *", False), ("00:00:59", True), ("00:01:00", False)],
)
def test_short_schedules_are_recognised(text: str, short: bool) -> None:
    assert parse_schedule(text).shorter_than_a_minute is short


@pytest.mark.parametrize(
    ("zone", "schedule", "moments"),
    [
        # In Berlin the clock goes from 02:00 to 03:00 on 2026-03-29 and from 03:00 to 02:00 on 2026-10-25.
        (
            "Europe/Berlin",
            "0 30 9 * * *",
            ["2026-03-27T09:30:00+01:00", "2026-03-28T09:30:00+01:00", "2026-03-29T09:30:00+02:00"],
        ),
        (  # 02:30 does not exist on the 29th: the run is an hour later by the clock, not lost
            "Europe/Berlin",
            "0 30 2 * * *",
            [
                "2026-03-28T02:30:00+01:00",
                "2026-03-29T03:30:00+02:00",
                "2026-03-30T02:30:00+02:00",
            ],
        ),
        (  # half-hourly goes on every half hour over the gap
            "Europe/Berlin",
            "0 */30 * * * *",
            [
                "2026-03-29T01:30:00+01:00",
                "2026-03-29T03:00:00+02:00",
                "2026-03-29T03:30:00+02:00",
            ],
        ),
        (  # 02:30 exists twice on the 25th: once is enough, the first time
            "Europe/Berlin",
            "0 30 2 * * *",
            [
                "2026-10-24T02:30:00+02:00",
                "2026-10-25T02:30:00+02:00",
                "2026-10-26T02:30:00+01:00",
            ],
        ),
        (  # half-hourly runs in both hours
            "Europe/Berlin",
            "0 */30 * * * *",
            [
                "2026-10-25T01:30:00+02:00",
                "2026-10-25T02:00:00+02:00",
                "2026-10-25T02:30:00+02:00",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T02:30:00+01:00",
                "2026-10-25T03:00:00+01:00",
            ],
        ),
        (
            "America/Los_Angeles",
            "0 0 */1 * * *",
            [
                "2026-11-01T00:00:00-07:00",
                "2026-11-01T01:00:00-07:00",
                "2026-11-01T01:00:00-08:00",
                "2026-11-01T02:00:00-08:00",
            ],
        ),
        (  # no daylight saving, an offset of half hours
            "Asia/Kolkata",
            "0 0 6 * * *",
            ["2026-10-24T06:00:00+05:30", "2026-10-25T06:00:00+05:30"],
        ),
    ],
)
def test_daylight_saving_is_honoured_as_by_the_platform(zone: str, schedule: str, moments: list[str]) -> None:
    parsed = parse_schedule(schedule, parse_time_zone(zone))
    found = [datetime.fromisoformat(moments[0])]
    while len(found) < len(moments):
        found.append(parsed.next_after(found[-1]))
    assert [moment.astimezone(ZoneInfo(zone)).isoformat() for moment in found] == moments


def test_a_timer_that_starts_in_the_second_of_two_hours_has_run_in_the_first() -> None:
    parsed = parse_schedule("0 30 2 * * *", ZoneInfo("Europe/Berlin"))
    started = datetime.fromisoformat("2026-10-25T02:10:00+01:00")
    assert parsed.next_after(started) == datetime.fromisoformat("2026-10-26T02:30:00+01:00")


@given(
    schedule=st.sampled_from(
        ["0 30 2 * * *", "0 */7 * * * *", "15 0 1-4 * * *", "0 0 2 29 3 *", "0 45 1 * * 0"]
    ),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_occurrence_is_always_later(schedule: str, zone: str, moment: datetime) -> None:
    parsed = parse_schedule(schedule, ZoneInfo(zone))
    following = parsed.next_after(moment)
    assert following > moment
    assert parsed.next_after(following) > following


@pytest.mark.parametrize("name", ["India Standard Time", "Europe/Nowhere", "../etc/passwd", "/etc/passwd"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        parse_time_zone(name)
    assert parse_time_zone("") is UTC
