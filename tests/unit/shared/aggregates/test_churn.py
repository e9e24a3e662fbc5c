"""Who churns on a day follows from the days on which people were active, day by day."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.churn import LEFT, PRESENT, ChurnCounts
from shared.units import Day

FIRST = date(2025, 7, 1)
TODAY = Day("2025-10-08")

people = st.lists(st.lists(st.integers(0, 110), max_size=6, unique=True).map(sorted), max_size=5)
some_days = st.none() | st.integers(0, 120)


def day(number: int) -> Day:
    return Day(f"{FIRST + timedelta(days=number)}")


def counted(active: Sequence[Sequence[int]], since: int | None = None) -> ChurnCounts:
    counts = ChurnCounts(TODAY, None if since is None else day(since))
    for days in active:
        counts.add(map(day, days))
    return counts


def naive(active: Sequence[Sequence[int]], on: int) -> tuple[int, int]:
    """Return those who were here in the thirty days before a day, and those of them who now are away."""
    last_before = [max((d for d in days if d < on), default=-99) for days in active]
    present = [number for number, last in enumerate(last_before) if on - last <= 30]
    left = [number for number in present if on - last_before[number] == 30 and on not in active[number]]
    return len(present), len(left)


@given(people, some_days)
def test_every_day_has_those_who_were_present_and_those_who_churn(
    active: list[list[int]], since: int | None
) -> None:
    found = counted(active, since).by_day()
    for number in range(100):
        if day(number) in found:
            tally = found[day(number)]
            assert (tally.total(PRESENT), tally.total(LEFT)) == naive(active, number)
        else:
            assert naive(active, number) == (0, 0) or (since is not None and number < since)
    assert all(known <= TODAY for known in found)


@given(people, people, some_days)
def test_counts_of_other_people_add_up(
    some: list[list[int]], others: list[list[int]], since: int | None
) -> None:
    total = counted(some, since)
    total.add_stored(json.loads(json.dumps(counted(others, since).encode())))
    assert total.by_day() == counted([*some, *others], since).by_day()


def test_a_person_churns_thirty_days_after_their_last_day_unless_they_come_on_it() -> None:
    assert counted([[0]]).by_day()[day(30)].total(LEFT) == 1
    assert counted([[0, 30]]).by_day()[day(30)].total(LEFT) == 0
    assert counted([[0, 31]]).by_day()[day(30)].total(LEFT) == 1
