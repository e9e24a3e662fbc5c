"""When people become inactive and return, counted by year and added up to a day."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.base import FOREVER, Changed, Contributions, PersonChange
from shared.aggregates.inactivity import Inactivity, inactive_on, years
from shared.aggregates.tally import Tally
from shared.facts import Fact
from shared.units import Day
from tests.unit.shared.aggregates.fact_strategies import contributions, facts

AGGREGATE = Inactivity()


def active_on(*days: str, refused: bool = False) -> Tally:
    """Return the state of a person who was active on some days."""
    person = Tally({"days": dict.fromkeys(days, 1)} if days else {})
    person.add("refused", int(refused))
    return person


def change(before: Tally, after: Tally, into: Contributions | None = None) -> dict[str, dict[str, int]]:
    """Return by year how many people become inactive on each day, less those who return."""
    into = into or Contributions()
    AGGREGATE.derive(PersonChange("ana", Changed(before, after), {}), into)
    assert {target.aggregate for target in into.deltas} <= {"silence"}
    return {target.key: dict(delta.counts("silent")) for target, delta in into.deltas.items() if delta}


NEVER = active_on()


def test_a_person_is_inactive_from_the_thirtieth_day_after_the_last_active_day() -> None:
    assert change(NEVER, active_on("2025-03-01")) == {"2025": {"2025-03-31": 1}}


def test_a_person_without_active_days_is_not_inactive() -> None:
    assert change(NEVER, NEVER) == {}


def test_a_return_within_thirty_days_is_no_inactivity() -> None:
    assert change(NEVER, active_on("2025-03-01", "2025-03-31")) == {"2025": {"2025-04-30": 1}}


def test_a_person_who_returns_after_thirty_one_days_was_inactive_for_one_day() -> None:
    assert change(NEVER, active_on("2025-03-01", "2025-04-01")) == {
        "2025": {"2025-03-31": 1, "2025-04-01": -1, "2025-05-01": 1}
    }


def test_each_day_is_counted_in_its_own_year() -> None:
    assert change(NEVER, active_on("2025-12-15", "2026-02-20")) == {
        "2026": {"2026-01-14": 1, "2026-02-20": -1, "2026-03-22": 1}
    }
    assert change(NEVER, active_on("2024-11-01", "2025-01-05")) == {
        "2024": {"2024-12-01": 1},
        "2025": {"2025-01-05": -1, "2025-02-04": 1},
    }


def test_days_before_the_first_year_count_on_its_first_day() -> None:
    assert change(NEVER, active_on("2018-05-01")) == {"2020": {"2020-01-01": 1}}
    assert change(NEVER, active_on("2018-05-01", "2020-07-01")) == {
        "2020": {"2020-01-01": 1, "2020-07-01": -1, "2020-07-31": 1}
    }


def test_a_change_contributes_only_the_difference() -> None:
    before, after = active_on("2025-03-01"), active_on("2025-03-01", "2025-03-20")
    assert change(before, after) == {"2025": {"2025-03-31": -1, "2025-04-19": 1}}


def test_an_unchanged_person_contributes_nothing() -> None:
    person = active_on("2018-01-01", "2025-03-01", "2025-06-01")
    assert change(person, person) == {}


def test_a_person_who_refuses_is_not_counted() -> None:
    assert change(NEVER, active_on("2025-03-01", refused=True)) == {}


def test_refusing_later_retracts_the_person_and_agreeing_counts_them_again() -> None:
    agrees, refuses = active_on("2025-03-01"), active_on("2025-03-01", refused=True)
    assert change(agrees, refuses) == {"2025": {"2025-03-31": -1}}
    assert change(refuses, agrees) == {"2025": {"2025-03-31": 1}}


def test_the_years_to_add_up_run_from_2020_to_the_year_of_the_day() -> None:
    assert years(Day("2022-01-01")) == ["2020", "2021", "2022"]
    assert years(Day("2020-12-31")) == ["2020"]
    assert years(Day("2019-12-31")) == []


def test_the_turns_of_a_day_count_on_that_day_and_later_turns_do_not() -> None:
    states = [
        Tally({"silent": {"2024-11-01": 2}}),
        Tally({"silent": {"2025-03-01": -1, "2025-03-02": 4, "2025-03-03": 8}}),
    ]
    assert inactive_on(Day("2025-03-02"), states) == 5
    assert inactive_on(Day("2024-10-31"), states) == 0
    assert inactive_on(Day("2025-03-02"), []) == 0


dates = st.dates(date(2019, 6, 1), date(2022, 6, 30))
gaps = st.sampled_from([1, 29, 30, 31, 32]) | st.integers(1, 200)


@st.composite
def active_days(draw: st.DrawFn) -> list[date]:
    """Draw the active days of a person: gaps of about thirty days are frequent."""
    days = [draw(dates)]
    for gap in draw(st.lists(gaps, max_size=4)):
        days.append(days[-1] + timedelta(days=gap))
    return draw(st.permutations(days))


persons = st.tuples(st.just([]) | active_days(), st.booleans())


@given(st.lists(st.tuples(persons, persons), max_size=4), st.dates(date(2020, 1, 1), date(2023, 12, 31)))
def test_the_sum_up_to_a_day_is_the_number_of_people_inactive_on_it(
    people: list[tuple[tuple[list[date], bool], tuple[list[date], bool]]], day: date
) -> None:
    into = Contributions()
    inactive = 0
    for versions in people:
        before, after = (active_on(*map(str, days), refused=refused) for days, refused in versions)
        change(NEVER, before, into)
        change(before, after, into)
        days, refused = versions[1]
        last = max((active for active in days if active <= day), default=None)
        inactive += not refused and last is not None and (day - last).days >= 30
    states = [delta for target, delta in into.deltas.items() if int(target.key) <= day.year]
    assert inactive_on(Day(f"{day}"), states) == inactive


@given(facts)
def test_facts_contribute_nothing_themselves(fact: Fact) -> None:
    assert contributions(AGGREGATE, [fact]).deltas == {}


def test_the_years_have_a_share_in_every_shard_and_never_expire() -> None:
    assert AGGREGATE.owner_of("2025") is None
    assert AGGREGATE.first_day("2025") is None
    assert AGGREGATE.ttl == FOREVER
