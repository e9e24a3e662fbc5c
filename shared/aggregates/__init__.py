"""The aggregates, one module each: pure functions from facts to counts."""

from __future__ import annotations

from collections.abc import Callable

from shared.aggregates import day, inactivity, month, person_month
from shared.aggregates.base import Aggregate, Contributions, PersonChange
from shared.aggregates.day import DayAggregate
from shared.aggregates.inactivity import Inactivity
from shared.aggregates.incident_month import IncidentMonth
from shared.aggregates.month import MonthAggregate
from shared.aggregates.person import Person
from shared.aggregates.person_month import PersonMonth

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

DERIVATIONS: tuple[Callable[[PersonChange, Contributions], None], ...] = (
    day.derive,
    person_month.derive,
    month.derive,
    inactivity.derive,
)
"""What a change of a person's own state means for their months, and fleet-wide. Nothing follows from that."""
