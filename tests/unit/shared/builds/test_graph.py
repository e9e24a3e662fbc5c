"""Which contents are due, and which shards each is built from."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.builds.graph import Pace, due_days, is_day, pace_of, slices_of
from shared.units import Day

NOW = datetime(2025, 9, 15, 14, 2, tzinfo=UTC)
DAYS = [Day(day) for day in ("2025-09-01", "2025-09-14", "2025-09-15", "2025-09-16")]


@pytest.mark.parametrize(
    ("day", "pace"),
    [("2025-09-13", Pace.DAILY), ("2025-09-14", Pace.SIX_HOURLY), ("2025-09-15", Pace.HOURLY),
     ("2025-09-16", Pace.HOURLY)],
)  # fmt: skip
def test_the_older_a_day_the_rarer_it_is_built(day: Day, pace: Pace) -> None:
    assert pace_of(day, Day("2025-09-15")) is pace


@pytest.mark.parametrize(
    ("six_hours", "day", "due"),
    [
        ("2025-09-15T12", "2025-09-15", ["2025-09-16", "2025-09-15"]),
        ("2025-09-15T06", "2025-09-15", ["2025-09-16", "2025-09-15", "2025-09-14"]),
        ("2025-09-15T06", "2025-09-14", ["2025-09-16", "2025-09-15", "2025-09-14", "2025-09-01"]),
    ],
)
def test_a_day_is_due_once_in_each_slot_of_its_pace(six_hours: str, day: str, due: list[str]) -> None:
    slots = {Pace.SIX_HOURLY.name: six_hours, Pace.DAILY.name: day}
    assert due_days(DAYS, slots, NOW) == due
    assert due_days(DAYS, {}, NOW) == sorted(DAYS, reverse=True)


@pytest.mark.parametrize(("shards", "slices"), [(1, 1), (64, 1), (65, 2), (1024, 16)])
def test_slices_hold_every_shard_once(shards: int, slices: int) -> None:
    found = slices_of(Day("2025-09-01"), shards=shards, generation=1)
    assert len(found) == slices
    assert (list(found) == ["2025-09-01"]) == (slices == 1)
    assert len({shard for group in found.values() for shard in group}) == shards
    assert all(map(is_day, found))
    assert not is_day("202509")
