"""The aggregates, one module each: pure functions from facts to counts."""

from __future__ import annotations

from collections.abc import Callable

from shared.aggregates import day
from shared.aggregates.base import Aggregate, Contributions, PersonChange
from shared.aggregates.day import DayAggregate
from shared.aggregates.person import Person
from shared.aggregates.person_month import PersonMonth

AGGREGATES: dict[str, Aggregate] = {
    aggregate.name: aggregate for aggregate in (DayAggregate(), Person(), PersonMonth())
}
"""Every aggregate, by name."""

DERIVATIONS: tuple[Callable[[PersonChange, Contributions], None], ...] = (day.derive,)
"""What a change of a person's own state means for fleet-wide aggregates. Nothing is derived from those."""
