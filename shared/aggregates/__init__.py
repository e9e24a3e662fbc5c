"""The aggregates, one module each. They are pure functions from facts to counts."""

from __future__ import annotations

from shared.aggregates import person
from shared.aggregates.base import Aggregate, Contributions, KeyRecorder, PartialKey, PersonChange
from shared.aggregates.day import DayAggregate
from shared.aggregates.inactivity import Inactivity
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
        Inactivity(),
        IncidentMonth(),
    )
}
"""Every aggregate, by name."""


def contribute(fact: Fact | Uncounted, into: Contributions) -> None:
    """Add what one fact contributes to all aggregates."""
    if isinstance(fact, Uncounted):
        person.uncount(fact, into)
        return
    for aggregate in AGGREGATES.values():
        aggregate.contribute(fact, into)


def partials_counting(fact: Fact | Uncounted) -> list[PartialKey]:
    """Return the partials that a fact contributes to."""
    recorder = KeyRecorder()
    contribute(fact, recorder)
    return list(recorder.keys)


def derive(change: PersonChange, into: Contributions) -> None:
    """Add what the change of one person's own state adds to their months and to fleet-wide aggregates."""
    for aggregate in AGGREGATES.values():
        aggregate.derive(change, into)
