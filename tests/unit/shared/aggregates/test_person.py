"""``person``: the days on which a person was active."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.person import Person, active_days, active_months, interactions_by_day
from shared.facts import Fact, InteractionFact
from tests.unit.shared.aggregates.fact_strategies import contributions, facts, interactions, millis

AGGREGATE = Person()


@given(facts)
def test_an_interaction_counts_on_its_day_and_nothing_else_counts(fact: Fact) -> None:
    counted = {target: delta.encode() for target, delta in contributions(AGGREGATE, [fact]).deltas.items()}
    days = {"parts": {fact.month: {"counts": {"days": {fact.day[8:]: 1}}}}}
    assert counted == ({("person", fact.user_id): days} if isinstance(fact, InteractionFact) else {})


@given(st.lists(interactions.filter(lambda fact: fact.user_id == "ana")))
def test_the_state_gives_the_interactions_of_each_day(some: list[InteractionFact]) -> None:
    state = contributions(AGGREGATE, some).partial("person", "ana")
    days = [fact.day for fact in some]
    assert interactions_by_day(state) == {day: days.count(day) for day in days}
    assert list(interactions_by_day(state)) == sorted(set(days))
    assert active_days(state) == set(days)
    assert active_months(state) == {fact.month for fact in some}


def test_a_day_that_loses_its_last_interaction_is_not_active() -> None:
    fact = InteractionFact(user_id="ana", at=millis("2025-08-05T14:00:00"))
    into = contributions(AGGREGATE, [fact])
    into.merge(contributions(AGGREGATE, [fact]), -1)
    assert active_months(into.partial("person", "ana")) == set()


def test_the_state_lies_in_the_shard_of_its_person_and_has_no_period() -> None:
    assert AGGREGATE.owner_of("ana") == "ana"
    assert AGGREGATE.first_day("ana") is None
