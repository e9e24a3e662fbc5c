"""People by tier: each person is in at most one tier of a month, with the figures of the right month."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.engagement_tiers import TIERS
from shared.aggregates.person_record import MonthSummary, PersonRecord
from shared.aggregates.tally import Mean, Tally
from shared.aggregates.tier_counts import TierCounts, TierKey, months_to_publish
from shared.units import Day, Micro, Month, day_after, days_between, month_of

MONTHS = [Month("202507"), Month("202508"), Month("202509")]
TODAY = Day("2025-09-10")

Person = tuple[Tally, PersonRecord]


def person(*days: str, first_known: str | None = None, **summary: object) -> Person:
    """Return a person with one interaction for each mention of a day, and one summary for all months."""
    state, record = Tally(), PersonRecord(None if first_known is None else Day(first_known))
    for day in days:
        month = month_of(Day(day))
        state.part(month).count("days", day[8:])
        record.months[month] = MonthSummary(**summary)  # type: ignore[arg-type]
    return state, record


def counts(*people: Person, today: Day = TODAY, since: Month | None = None) -> TierCounts:
    found = TierCounts(today, since)
    for state, record in people:
        found.add(state, record)
    return found


def tiers(found: TierCounts, month: str) -> dict[str, int]:
    return {tier: part.total("users") for tier, part in found.of(Month(month)).parts().items()}


def test_months_before_the_first_one_to_count_are_not_counted() -> None:
    found = counts(person("2025-07-05", "2025-08-05"), since=Month("202508"))
    assert [tiers(found, month) for month in MONTHS] == [{}, {"casual": 1}, {"churned": 1}]
    assert found.months == {"202507", "202508"}


def test_a_person_without_activity_is_in_no_month() -> None:
    assert counts((Tally(), PersonRecord())).months == set()


@pytest.mark.parametrize(
    ("month", "today", "as_of"),
    [("202508", "2025-09-10", "2025-08-31"), ("202509", "2025-09-10", "2025-09-10")],
)
def test_a_month_is_counted_as_of_today_or_its_end(month: str, today: str, as_of: str) -> None:
    assert TierKey.at(Month(month), Day(today)) == TierKey(Month(month), Day(as_of))


def test_a_person_is_new_then_casual_then_gone_and_churned_after_thirty_days() -> None:
    found = counts(person("2025-07-05", "2025-08-05"))
    assert [tiers(found, month) for month in MONTHS] == [{"new": 1}, {"casual": 1}, {"churned": 1}]


@pytest.mark.parametrize(("last", "tier"), [("2025-08-11", "churned"), ("2025-08-12", None)])
def test_a_person_who_is_away_for_less_than_thirty_days_is_in_no_tier(last: str, tier: str | None) -> None:
    assert tiers(counts(person(last)), "202509") == ({} if tier is None else {tier: 1})


def test_a_person_who_comes_back_in_the_month_has_the_tier_of_the_month() -> None:
    assert tiers(counts(person("2025-07-01", "2025-09-09")), "202509") == {"casual": 1}


def test_a_person_who_was_here_in_an_earlier_generation_is_not_new() -> None:
    assert tiers(counts(person("2025-08-05", first_known="2024-01-01")), "202508") == {"casual": 1}


def test_a_day_after_today_has_begun() -> None:
    found = counts(person("2025-08-05", "2025-09-11"))
    assert tiers(found, "202509") == {"casual": 1}
    assert found.of(Month("202509")).part("casual").mean_of("churn_risk").samples == 1


def test_returned_are_those_who_were_active_in_the_month_before() -> None:
    found = counts(person("2025-07-05", "2025-08-05"), person("2025-06-05", "2025-08-05"))
    casual = found.of(Month("202508")).part("casual")
    assert (casual.total("users"), casual.total("returned")) == (2, 1)


def test_the_figures_are_those_of_the_month_of_the_last_activity() -> None:
    state, record = person("2025-07-05", "2025-08-05", "2025-08-06", "2025-08-06")
    record.months[Month("202508")] = MonthSummary(
        4, Micro(300_000), Mean(90, 2), Mean(9, 2), "krishna", "duty", "night"
    )
    churned = counts((state, record)).of(Month("202509")).part("churned")
    assert churned.total("sessions") == 4
    assert churned.mean_of("depth") == (300_000, 1)
    assert churned.mean_of("session_seconds") == (90, 2)
    assert churned.mean_of("rating") == (9, 2)
    assert (churned.counts("personas"), churned.counts("categories"), churned.counts("daytimes")) == (
        {"krishna": 1}, {"duty": 1}, {"night": 1}
    )  # fmt: skip
    assert churned.samples("engagement") == churned.samples("churn_risk") == 1


def test_what_a_month_does_not_tell_is_no_sample() -> None:
    casual = counts(person("2025-07-05", "2025-08-05")).of(Month("202508")).part("casual")
    assert (casual.samples("depth"), casual.counts("personas"), casual.samples("rating")) == (0, {}, 0)


days = st.integers(0, 110).map(lambda number: day_after(Day("2025-06-01"), number))


@given(st.lists(st.lists(days, min_size=1, max_size=6), min_size=1, max_size=4), days)
def test_each_person_is_in_at_most_one_tier_and_in_churned_by_their_last_day(
    people: list[list[Day]], today: Day
) -> None:
    # Nobody is active after today, so that time alone decides.
    people = [[day for day in each if day <= today] for each in people]
    known = [each for each in people if each]
    found = counts(*(person(*each) for each in known), today=today)
    assert found.months == {month_of(day) for each in known for day in each}
    for month in (month for month in MONTHS if month <= month_of(today)):
        key = TierKey.at(month, today)
        by_tier = tiers(found, month)
        assert by_tier.keys() <= set(TIERS)
        lasts = [max(before) for each in known if (before := [day for day in each if day <= key.as_of])]
        churned = sum(days_between(last, key.as_of) >= 30 for last in lasts)
        assert by_tier.get("churned", 0) == churned
        active = sum(
            any(month_of(day) == month for day in each)
            and days_between(max(day for day in each if day <= key.as_of), key.as_of) < 30
            for each in known
            if any(day <= key.as_of for day in each)
        )
        assert sum(by_tier.values()) == churned + active


@pytest.mark.parametrize(
    ("active", "changed", "months"),
    [
        ([], [], []),
        (["202509"], [], ["202509"]),
        (["202508"], [], ["202508", "202509"]),
        (["202505", "202507"], [], ["202508"]),
        (["202505", "202507"], ["202505"], ["202505", "202506", "202507", "202508"]),
        ([], ["202507"], ["202507", "202508"]),
        (["202510"], [], ["202510"]),
    ],
)
def test_the_months_to_publish(active: list[str], changed: list[str], months: list[str]) -> None:
    found = months_to_publish(set(map(Month, active)), set(map(Month, changed)), TODAY)
    assert found == months


def test_everything_is_every_month_with_people_and_the_one_after_it() -> None:
    active = {Month("202405"), Month("202507")}
    assert months_to_publish(active, set(), TODAY, everything=True) == [
        "202405", "202406", "202507", "202508"
    ]  # fmt: skip
    assert months_to_publish(set(), set(), TODAY, everything=True) == []
