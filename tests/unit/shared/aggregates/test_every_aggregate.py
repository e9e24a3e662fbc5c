"""Every aggregate: what must hold whatever the facts are."""

from __future__ import annotations

import pytest
from hypothesis import given

from shared.aggregates import AGGREGATES
from shared.aggregates import contributions as all_contributions
from shared.aggregates.base import Aggregate
from shared.facts import Fact, Uncounted
from shared.units import Millis
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


@given(fact=facts)
def test_a_fact_contributes_to_all_aggregates_at_once(fact: Fact) -> None:
    expected = {
        target: delta
        for aggregate in AGGREGATES.values()
        for target, delta in contributions(aggregate, [fact]).deltas.items()
    }
    assert all_contributions(fact).deltas == expected


def test_a_document_that_cannot_be_read_contributes_nothing() -> None:
    assert all_contributions(Uncounted("ana", Millis(0))).deltas == {}
