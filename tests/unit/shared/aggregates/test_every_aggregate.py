"""Every aggregate: what must hold whatever the facts are."""

from __future__ import annotations

import pytest
from hypothesis import given

from shared.aggregates import AGGREGATES, partials_counting
from shared.aggregates.base import Aggregate
from shared.facts import Fact
from tests.unit.shared.aggregates.fact_strategies import contributions, facts, facts_in_two_orders

every_aggregate = pytest.mark.parametrize("aggregate", AGGREGATES.values(), ids=AGGREGATES)


@every_aggregate
@given(orders=facts_in_two_orders)
def test_facts_that_are_retracted_in_any_order_leave_nothing(
    aggregate: Aggregate, orders: tuple[list[Fact], list[Fact]]
) -> None:
    added, retracted = orders
    into = contributions(aggregate, added)
    for fact in retracted:
        into.merge(contributions(aggregate, [fact]), -1)
    assert [target for target, delta in into.deltas.items() if delta.encode()] == []


@every_aggregate
@given(fact=facts)
def test_the_partials_that_count_a_fact_are_those_it_adds_to(aggregate: Aggregate, fact: Fact) -> None:
    added = contributions(aggregate, [fact]).deltas.keys()
    assert {target for target in partials_counting(fact) if target.aggregate == aggregate.name} == added
