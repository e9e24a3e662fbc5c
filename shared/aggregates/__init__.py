"""The aggregates, one module each: pure functions from facts to counts."""

from __future__ import annotations

from shared.aggregates import person
from shared.aggregates.base import Aggregate, Contributions, PersonChange
from shared.aggregates.day import DayAggregate
from shared.aggregates.inactivity import Silence
from shared.aggregates.incident_month import IncidentMonth
from shared.aggregates.month import MonthAggregate
from shared.aggregates.person import Person
from shared.aggregates.person_month import PersonMonth
from shared.facts import Fact, Uncounted

AGGREGATES: dict[str, Aggregate] = {
    aggregate.name: aggregate
    for aggregate in (
        DayAggregate(),
        Person(),
        PersonMonth(),
        MonthAggregate(),
        Silence(),
        IncidentMonth(),
    )
}
"""Every aggregate, by name."""


def contributions_of(fact: Fact | Uncounted) -> Contributions:
    """Return what one fact adds to all aggregates: its keys are the partials that count the fact."""
    contributions = Contributions()
    if isinstance(fact, Uncounted):
        person.uncount(fact, contributions)
    else:
        for aggregate in AGGREGATES.values():
            aggregate.contribute(fact, contributions)
    return contributions


def derive(change: PersonChange, into: Contributions) -> None:
    """Add what the change of one person's own state means for their months, and for all people's figures."""
    for aggregate in AGGREGATES.values():
        aggregate.derive(change, into)
