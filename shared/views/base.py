"""What a view is: which facts concern it, what each adds, and how a state becomes a document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, Protocol

from shared.facts import InteractionFact
from shared.tally import Tally
from shared.units import Month, iso, month_bounds

Fact = InteractionFact

CALCULATION_VERSION = "1.0"
"""Changes when a formula changes, so that a reader can tell figures of different making apart."""


class Scope(Enum):
    """Where the state of one key of a view lives."""

    SHARD = "shard"
    """All of it in one shard: views about one person."""
    FLEET = "fleet"
    """A share of it in every shard: merged when it is published."""


class PartialKey(NamedTuple):
    """A view and one of its keys."""

    view: str
    key: str


class Contributions:
    """What a change adds to partials, gathered by partial."""

    __slots__ = ("deltas",)

    def __init__(self) -> None:
        self.deltas: dict[PartialKey, Tally] = {}

    def to(self, view: str, key: str) -> Tally:
        """Return the tally of what is added to one partial."""
        return self.deltas.setdefault(PartialKey(view, key), Tally())

    def merge(self, other: Contributions, sign: int = 1) -> None:
        """Add another set of contributions, or take it back with ``sign=-1``."""
        for target, delta in other.deltas.items():
            self.to(*target).merge(delta, sign)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which state a published document shows."""

    generation: int
    revision: int
    """Sum of the revisions of the merged partials: grows with every write to any of them."""
    as_of: datetime
    """When the latest of them was written. Not the clock: equal states give equal documents."""


class View(Protocol):
    """One aggregate of the specification."""

    name: str
    scope: Scope
    container: str | None
    """Where it is published; None for state that only feeds other views."""

    def keys(self, fact: Fact) -> tuple[str, ...]:
        """Return the keys that one fact concerns."""

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Add what one fact means for this view."""

    def derive(self, key: str, before: Tally, delta: Tally, into: Contributions) -> None:
        """Add what a change of this view's partial from ``before`` by ``delta`` means for other views.

        Only for views of :attr:`Scope.SHARD`; partials that are derived into must not derive further.
        """

    def partition(self, key: str) -> str:
        """Return the partition key value of the published document."""

    def document_id(self, key: str) -> str:
        """Return the id of the published document."""

    def render(self, key: str, state: Tally, stamp: Stamp) -> dict[str, Any]:
        """Return the document that the specification describes for this state."""


def period_fields(month: Month) -> dict[str, str]:
    """Return the period of a monthly document."""
    start, end = month_bounds(month)
    return {"analysis_period": "monthly", "period_start": iso(start), "period_end": iso(end)}


def stamp_fields(stamp: Stamp) -> dict[str, Any]:
    """Return the fields every published document carries about the state it shows."""
    return {
        "calculated_at": iso(stamp.as_of),
        "calculation_version": CALCULATION_VERSION,
        "state": {"generation": stamp.generation, "revision": stamp.revision},
    }
