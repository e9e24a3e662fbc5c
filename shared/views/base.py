"""What a view is: which states its documents are computed from, and how."""

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
"""Changes when a formula changes, so that readers can tell figures of different formulas apart."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which state a published document was computed from."""

    generation: int
    revision: int
    """Sum of the revisions of the merged partials: every write to any of them increases it."""
    as_of: datetime
    """When the latest of them was written. Not the clock: equal states give equal documents."""
    tick: str = ""
    """The part of the clock that the document depends on: see :meth:`View.tick`."""


class States:
    """The merged states that a document is computed from."""

    def __init__(self, states: Mapping[PartialKey, Tally]) -> None:
        self._states = states

    def of(self, aggregate: str, key: str) -> Tally:
        """Return the state of one key of an aggregate, empty if nothing was counted."""
        found = self._states.get(PartialKey(aggregate, key))
        return Tally() if found is None else found


class Schedule(Enum):
    """When the documents of a view are published."""

    LIVE = "live"
    """With every change of their states."""
    HOURLY = "hourly"
    """By a timer, if their states changed since its last run."""
    TWICE_A_DAY = "twice a day"
    """By the same timer, once in each half of a UTC day: for periods that one day changes little."""


class Rendered(NamedTuple):
    """A document to publish."""

    id: str
    partition: str
    """The partition key value."""
    body: dict[str, Any] | None
    """None if the document must not exist."""


class DocumentSet(NamedTuple):
    """Every document that a key can have, selected by period.

    The publisher deletes documents of the set that are no longer rendered. It reads the sets of one partition
    by one query, which costs less than a read of each document.
    """

    partition: str | None
    """The partition key value of all of them, None if each has its own."""
    kind: str
    """Their ``analysis_period``."""
    first: str
    last: str
    """Bounds of ``period_start``."""


class KeyPrefix(NamedTuple):
    """The keys of an aggregate that begin with a prefix."""

    aggregate: str
    prefix: str


class View(Protocol):
    """A kind of document of the specification: pure functions from states to documents."""

    name: str
    container: str
    schedule: Schedule
    skip_unchanged: bool
    """Whether a document stays as it is where a newer state gives the same content: for views of which one
    change of state concerns many documents and changes few of them."""

    def keys_affected_by(self, target: PartialKey) -> Iterable[str]:
        """Return the keys to publish when a partial of ``target`` changes."""

    def revokes(self, target: PartialKey, state: Tally) -> bool:
        """Return whether a changed state deletes documents. The publisher does not wait for a timer then."""

    def inputs(self, key: str) -> Sequence[PartialKey]:
        """Return the states that the documents of a key are computed from.

        Raises
        ------
        ValueError
            The key is malformed. :meth:`document_set` and :meth:`render` raise it too.
        """

    def render(self, key: str, states: States, stamp: Stamp) -> Iterable[Rendered]:
        """Return the documents that the specification describes for these states; for most views, one."""

    def document_set(self, key: str) -> DocumentSet | None:
        """Return what selects every document of a key; None if all are rendered each time."""

    def tick(self, key: str, now: datetime) -> str:
        """Return the part of the clock that the documents of a key depend on, ``""`` if none.

        A later tick compares greater.
        """

    def keys_changed_by_time(self, since: datetime, now: datetime) -> Iterable[KeyPrefix]:
        """Return the states whose documents change between two times although the states do not."""


class ViewDefaults:
    """Defaults of a view whose keys never lose a document."""

    skip_unchanged = False

    def revokes(self, target: PartialKey, state: Tally) -> bool:
        """Return False: no state deletes documents."""
        return False

    def document_set(self, key: str) -> DocumentSet | None:
        """Return None: all documents of a key are rendered each time."""
        return None


class ClocklessView(ViewDefaults):
    """Defaults of a view whose documents depend on states alone, and not on the clock."""

    def tick(self, key: str, now: datetime) -> str:
        """Return ``""``: no part of the clock."""
        return ""

    def keys_changed_by_time(self, since: datetime, now: datetime) -> tuple[KeyPrefix, ...]:
        """Return nothing: time alone changes no document."""
        return ()


def stamp_fields(stamp: Stamp) -> dict[str, Any]:
    """Return the fields in which every published document states what it was computed from."""
    return {
        "calculated_at": iso(stamp.as_of),
        "calculation_version": CALCULATION_VERSION,
        "state": {"generation": stamp.generation, "revision": stamp.revision, "tick": stamp.tick},
    }
