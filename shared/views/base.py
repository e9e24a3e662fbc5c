"""What a view is: which states its documents show, and how they become documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, Protocol

from shared.aggregates.base import PartialKey
from shared.aggregates.tally import Tally
from shared.units import iso

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
    tick: str = ""
    """What the view's :meth:`View.tick` says of the clock, for views that show more than state."""


class States:
    """The merged states that a document shows."""

    def __init__(self, states: Mapping[PartialKey, Tally]) -> None:
        self._states = states

    def of(self, aggregate: str, key: str) -> Tally:
        """Return the state of one key of an aggregate, empty if nothing was counted."""
        found = self._states.get(PartialKey(aggregate, key))
        return Tally() if found is None else found


class Schedule(Enum):
    """When a view is published."""

    LIVE = "live"
    """With every change of what it shows."""
    HOURLY = "hourly"
    """By a timer, whatever changed since the last time."""
    TWICE_A_DAY = "twice a day"
    """The same, less often: for what a day more or less hardly changes."""


class Rendered(NamedTuple):
    """A document to publish."""

    id: str
    partition: str
    body: dict[str, Any] | None
    """None if there must be no such document."""


class DocumentSet(NamedTuple):
    """All documents that a key may ever have had, by their period: where it may lose some, or where a query
    for many keys of one partition costs less than a read of each document."""

    partition: str | None
    """The partition key value that all of them have, None if each has its own."""
    kind: str
    first: str
    last: str
    """Bounds of ``period_start``."""


class KeyPrefix(NamedTuple):
    """States of an aggregate, by how their keys begin."""

    aggregate: str
    prefix: str


class View(Protocol):
    """A kind of document of the specification."""

    name: str
    container: str
    schedule: Schedule
    skip_unchanged: bool
    """Whether a document that says the same of an older state is left as it is: where one change of state
    concerns many documents, most of which it does not change."""

    def keys_affected_by(self, target: PartialKey) -> Iterable[str]:
        """Return the keys that are to be published when a partial changes."""

    def revokes(self, target: PartialKey, state: Tally) -> bool:
        """Say whether a changed state deletes documents: that is published immediately, on any schedule."""

    def inputs(self, key: str) -> Sequence[PartialKey]:
        """Return the states that the documents of a key show."""

    def render(self, key: str, states: States, stamp: Stamp) -> Iterable[Rendered]:
        """Return the documents that the specification describes for these states: of most views, one."""

    def document_set(self, key: str) -> DocumentSet | None:
        """Return what tells all documents of a key, None if each is rendered, and read alone."""

    def tick(self, key: str, now: datetime) -> str:
        """Return the part of the clock that the documents of a key show, ``""`` if none: later is greater."""

    def keys_changed_by_time(self, since: datetime, now: datetime) -> Iterable[KeyPrefix]:
        """Return the states whose documents change with the clock alone, between two times."""


class ViewDefaults:
    """A view whose keys never lose a document."""

    skip_unchanged = False

    def revokes(self, target: PartialKey, state: Tally) -> bool:
        """Return False."""
        return False

    def document_set(self, key: str) -> DocumentSet | None:
        """Return None."""
        return None


class ClocklessView(ViewDefaults):
    """A view that shows its state and nothing of the clock, as it is now."""

    def tick(self, key: str, now: datetime) -> str:
        """Return nothing."""
        return ""

    def keys_changed_by_time(self, since: datetime, now: datetime) -> tuple[KeyPrefix, ...]:
        """Return nothing."""
        return ()


def stamp_fields(stamp: Stamp) -> dict[str, Any]:
    """Return the fields every published document carries about the state it shows."""
    return {
        "calculated_at": iso(stamp.as_of),
        "calculation_version": CALCULATION_VERSION,
        "state": {"generation": stamp.generation, "revision": stamp.revision, "tick": stamp.tick},
    }
