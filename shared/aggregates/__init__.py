"""The aggregates, one module each. They are pure functions from facts to counts."""

from __future__ import annotations

from shared.aggregates.base import Aggregate, Contributions, PersonChange
from shared.aggregates.churn import Churn
from shared.aggregates.day import DayAggregate
from shared.aggregates.incident_month import IncidentMonth
from shared.aggregates.person import Person
from shared.aggregates.person_month import PersonMonth
from shared.facts import Fact, Uncounted

AGGREGATES: dict[str, Aggregate] = {
    aggregate.name: aggregate
    for aggregate in (DayAggregate(), Person(), PersonMonth(), IncidentMonth(), Churn())
}
"""Every aggregate, by name."""


def contribute(fact: Fact | Uncounted, into: Contributions) -> None:
    """Add what one fact contributes to all aggregates."""
    if isinstance(fact, Fact):
        for aggregate in AGGREGATES.values():
            aggregate.contribute(fact, into)


def contributions(fact: Fact | Uncounted) -> Contributions:
    """Return what one fact contributes to all aggregates. Its keys are the partials that count the fact."""
    into = Contributions()
    contribute(fact, into)
    return into


def derive(change: PersonChange, into: Contributions) -> None:
    """Add what the change of one person's own state adds to fleet-wide aggregates."""
    for aggregate in AGGREGATES.values():
        aggregate.derive(change, into)
