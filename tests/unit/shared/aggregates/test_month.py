"""``month``: people by tier, and readers of each text, all of it derived from people's own months."""

from __future__ import annotations

import pytest
from hypothesis import given

from shared.aggregates.base import FOREVER, Changed, Contributions, PersonChange
from shared.aggregates.month import MonthAggregate, daytime
from shared.aggregates.tally import Tally
from shared.facts import Fact
from shared.units import Month
from tests.unit.shared.aggregates.fact_strategies import contributions, facts

AGGREGATE = MonthAggregate()
NOTHING = Tally()
AUGUST = Month("202508")


@given(facts)
def test_facts_contribute_nothing_themselves(fact: Fact) -> None:
    assert contributions(AGGREGATE, [fact]).deltas == {}


def derived(person: Changed, month: Changed) -> dict[str, dict[str, int]]:
    """Return what the change of a person and their August counts in August."""
    into = Contributions()
    AGGREGATE.derive(PersonChange("ana", person, {AUGUST: month}), into)
    assert list(into.deltas) == [("month", "202508")]
    return into.partial("month", "202508").encode()


def unchanged(state: Tally) -> Changed:
    return Changed(state, state)


def active_on(*days: str, refused: int = 0) -> Tally:
    person = Tally({"days": dict.fromkeys(days, 1)})
    person.add("refused", refused)
    return person


ONE_VISIT = Tally(
    {
        "31:sums": {"interactions": 1, "rating": 4, "rating#": 1},
        "31:sessions": {"s": 1},
        "31:personas": {"krishna": 1},
        "31:categories": {"duty": 1},
        "31:hours": {"14": 1},
    }
)

ONE_VISIT_COUNTED = {
    # One interaction on the last of 31 days. Engagement: 0.3 + 0.4 / (1 + 3.8) + 0.3 / (1 + 15.2).
    # Risk: that of the day of a visit. Depth: nothing is cited.
    "sums": {
        "users": 1,
        "interactions": 1,
        "sessions": 1,
        "engagement": 401_900,
        "engagement#": 1,
        "depth#": 1,
        "rating": 4,
        "rating#": 1,
        "churn_risk": 100_000,
        "churn_risk#": 1,
    },
    "personas": {"krishna": 1},
    "categories": {"duty": 1},
    "daytimes": {"afternoon": 1},
}


def of_tier(tier: str, counted: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {f"{tier}:{name}": counts for name, counts in counted.items()}


def negative(counted: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {name: {key: -n for key, n in counts.items()} for name, counts in counted.items()}


def test_a_person_counts_as_new_in_their_first_month() -> None:
    person = Changed(NOTHING, active_on("2025-08-31"))
    assert derived(person, Changed(NOTHING, ONE_VISIT)) == of_tier("new", ONE_VISIT_COUNTED)


def test_a_person_who_came_the_month_before_has_returned() -> None:
    person = unchanged(active_on("2025-07-01", "2025-08-31"))
    counted = ONE_VISIT_COUNTED | {"sums": ONE_VISIT_COUNTED["sums"] | {"returned": 1}}
    assert derived(person, Changed(NOTHING, ONE_VISIT)) == of_tier("casual", counted)


def test_a_person_who_came_two_months_before_has_not_returned() -> None:
    person = unchanged(active_on("2025-06-30", "2025-08-31"))
    assert derived(person, Changed(NOTHING, ONE_VISIT)) == of_tier("casual", ONE_VISIT_COUNTED)


def test_the_churn_risk_of_a_month_is_that_at_its_end() -> None:
    person = unchanged(active_on("2025-07-01", "2025-08-10", "2025-08-20"))
    month = Tally(
        {
            "10:sums": {"interactions": 1},
            "20:sums": {"interactions": 1},
            "25:sessions": {"s": 1},  # no interaction: not an active day
        }
    )
    counted = derived(person, Changed(NOTHING, month))
    # 2 active days over 10 days, then 11 days of silence: s = (38 / 49) ** 5, 0.1 / (0.1 + 0.9 s)
    assert counted["casual:sums"]["churn_risk"] == 283_700


def test_a_month_that_loses_its_last_interaction_loses_the_person() -> None:
    person = Changed(active_on("2025-08-31"), NOTHING)
    assert derived(person, Changed(ONE_VISIT, NOTHING)) == of_tier("new", negative(ONE_VISIT_COUNTED))


def test_an_earlier_month_that_arrives_late_moves_the_person_to_another_tier() -> None:
    person = Changed(active_on("2025-08-31"), active_on("2025-05-01", "2025-08-31"))
    assert derived(person, unchanged(ONE_VISIT)) == of_tier("new", negative(ONE_VISIT_COUNTED)) | of_tier(
        "casual", ONE_VISIT_COUNTED
    )


def test_a_person_who_refuses_leaves_every_tier_and_stays_a_reader() -> None:
    agrees, refuses = active_on("2025-08-31"), active_on("2025-08-31", refused=1)
    assert derived(Changed(agrees, refuses), unchanged(ONE_VISIT)) == of_tier(
        "new", negative(ONE_VISIT_COUNTED)
    )
    reader = Tally({"31:texts": {"gita": 1}, **ONE_VISIT.encode()})
    assert derived(unchanged(refuses), Changed(NOTHING, reader)) == {"text_users": {"gita": 1}}


def test_a_reader_of_a_text_counts_once_and_as_one_who_read_again_from_the_second_day_on() -> None:
    before = Tally({"04:texts": {"gita": 2, "sutra": 1}})
    after = Tally({"04:texts": {"gita": 1}, "05:texts": {"gita": 1, "psalms": 3}})
    assert derived(unchanged(NOTHING), Changed(NOTHING, before)) == {"text_users": {"gita": 1, "sutra": 1}}
    assert derived(unchanged(NOTHING), Changed(before, after)) == {
        "text_users": {"sutra": -1, "psalms": 1},
        "text_users_again": {"gita": 1},
    }


def test_an_unchanged_month_counts_nothing() -> None:
    assert derived(unchanged(active_on("2025-08-31")), unchanged(ONE_VISIT)) == {}


@pytest.mark.parametrize(
    ("hours", "name"),
    [
        (("22", "23", "00", "04"), "night"),
        (("05", "11"), "morning"),
        (("12", "16"), "afternoon"),
        (("17", "21"), "evening"),
    ],
)
def test_every_hour_lies_in_one_part_of_the_day(hours: tuple[str, ...], name: str) -> None:
    assert {daytime(hour) for hour in hours} == {name}


def test_a_month_has_a_share_in_every_shard_and_never_expires() -> None:
    assert AGGREGATE.owner_of("202508") is None
    assert AGGREGATE.first_day("202508") == "2025-08-01"
    assert AGGREGATE.ttl == FOREVER
