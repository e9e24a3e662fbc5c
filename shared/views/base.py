"""What a view is: which states its documents show, and how they become documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.aggregates.base import PartialKey
from shared.tally import Tally
from shared.units import Month, iso, month_bounds

CALCULATION_VERSION = "1.0"
"""Changes when a formula changes, so that a reader can tell figures of different making apart."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which state a published document shows."""

    generation: int
    revision: int
    """Sum of the revisions of the merged partials: grows with every write to any of them."""
    as_of: datetime
    """When the latest of them was written. Not the clock: equal states give equal documents."""


class States:
    """The merged states that a document shows."""

    def __init__(self, states: Mapping[PartialKey, Tally]) -> None:
        self._states = states

    def of(self, aggregate: str, key: str) -> Tally:
        """Return the state of one key of an aggregate, empty if nothing was counted."""
        found = self._states.get(PartialKey(aggregate, key))
        return Tally() if found is None else found


class View(Protocol):
    """A kind of document of the specification."""

    name: str
    container: str

    def shows(self, target: PartialKey) -> Iterable[str]:
        """Return the keys of the documents that are to be published when a partial changes."""

    def inputs(self, key: str) -> Sequence[PartialKey]:
        """Return the states that a document shows."""

    def partition(self, key: str) -> str:
        """Return the partition key value of a document."""

    def document_id(self, key: str) -> str:
        """Return the id of a document."""

    def render(self, key: str, states: States, stamp: Stamp) -> dict[str, Any]:
        """Return the document that the specification describes for these states."""


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
