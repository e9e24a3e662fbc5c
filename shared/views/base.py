"""The interface of a view: the states that its documents are computed from, and how it renders them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, Protocol

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.builds.content import Content, Figures
from shared.units import iso
from shared.views.reference import NOTHING_KNOWN, Reference

CALCULATION_VERSION = "1.0"
"""Changes when a formula changes, so that readers can distinguish figures of different formulas."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The state that a published document was computed from."""

    generation: int
    revision: int
    """Sum of the revisions of the merged partials and built contents. Every write to any increases it."""
    as_of: datetime
    """When the newest of them was written. It is not the clock, because equal states give equal documents."""
    tick: str = ""
    """The part of the clock that the document depends on: see :meth:`View.tick`."""


class Collector(Protocol):
    """Collects what a document shows of built contents, which are read part by part."""

    passes: int
    """How often all parts are read."""

    def add(self, number: int, parts: Sequence[Content]) -> None:
        """Add one part of each group of contents, in pass ``number``. May change the parts."""


class States:
    """The merged states that a document is computed from.

    Attributes
    ----------
    collected
        The collector of the view after all parts of its contents; None if the view has no collector.
    figures
        The figures of the first group of contents, None if none of them was built.
    reference
        What is known of texts, passages and personas, for a view that :attr:`~View.uses_reference`.
    """

    def __init__(
        self,
        states: Mapping[PartialKey, Tally],
        records: Mapping[str, PersonRecord] | None = None,
        *,
        collected: Collector | None = None,
        figures: Figures | None = None,
        reference: Reference = NOTHING_KNOWN,
    ) -> None:
        self._states = states
        self._records = records or {}
        self.collected = collected
        self.figures = figures
        self.reference = reference

    def of(self, aggregate: str, key: str) -> Tally:
        """Return the state of one key of an aggregate. It is empty if nothing was counted for the key."""
        found = self._states.get(PartialKey(aggregate, key))
        return Tally() if found is None else found

    def record_of(self, user_id: str) -> PersonRecord:
        """Return the record of a person. It is empty if the person has no state."""
        return self._records.get(user_id) or PersonRecord()


class Schedule(Enum):
    """When the documents of a view are published."""

    LIVE = "live"
    """With every change of their states."""
    HOURLY = "hourly"
    """By a timer, if their states changed since its last run."""
    DAILY = "daily"
    """By the same timer, at its first run of a UTC day. For what is built from many days."""
    TWICE_A_DAY = "twice a day"
    """By the same timer, once in each half of a UTC day. For periods that change little within one day."""


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
    """The partition key value of all documents, None if each has its own."""
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
    example: str
    """A key that a document can have."""
    container: str
    schedule: Schedule
    skip_unchanged: bool
    """Whether a document is not rewritten if a newer state gives the same content. For views in which one
    change of state affects many documents and changes the content of few."""
    sources: frozenset[str]
    """Containers of the source documents that it is computed from. The one that keeps its documents for the
    shortest time decides which periods a generation may publish."""
    facts: Mapping[str, int]
    """The lowest :data:`~shared.facts.FACT_SCHEMA` whose facts have all that its figures need, by source. The
    first one for sources that are left out."""
    uses_reference: bool
    """Whether it shows what is known of texts, passages or personas."""
    periods: int
    """Number of consecutive periods that it is computed from: 2 if it compares with the period before."""

    def keys_affected_by(self, target: PartialKey) -> Iterable[str]:
        """Return the keys whose documents the publisher publishes when a partial of ``target`` changes."""

    def inputs(self, key: str) -> Sequence[PartialKey]:
        """Return the states that the documents of a key are computed from.

        Raises
        ------
        ValueError
            The key is malformed. :meth:`document_set` and :meth:`render` raise it too.
        """

    def contents(self, key: str) -> Sequence[Sequence[str]]:
        """Return the labels of the built contents that the documents of a key show, in groups."""

    def collector(self, key: str, tick: str, reference: Reference) -> Collector | None:
        """Return what collects the rows of the contents; None if the view shows only their figures."""

    def render(self, key: str, states: States, stamp: Stamp) -> Iterable[Rendered]:
        """Return the documents that the specification describes for these states. Most views return one."""

    def document_set(self, key: str) -> DocumentSet | None:
        """Return the set of all documents of a key; None if :meth:`render` returns all of them each time."""

    def tick(self, key: str, now: datetime) -> str:
        """Return the part of the clock that the documents of a key depend on; ``""`` if they depend on none.

        A later tick compares greater.
        """

    def keys_changed_by_time(self, since: datetime, now: datetime) -> Iterable[KeyPrefix]:
        """Return the states whose documents change between two times, although the states do not change."""


class ViewDefaults:
    """Defaults of a view of which all documents of a key are rendered each time."""

    sources: frozenset[str]
    facts: Mapping[str, int] = {}
    periods = 1
    uses_reference = False
    skip_unchanged = False

    def contents(self, key: str) -> Sequence[Sequence[str]]:
        return ()

    def collector(self, key: str, tick: str, reference: Reference) -> Collector | None:
        return None

    def document_set(self, key: str) -> DocumentSet | None:
        return None


class ClocklessView(ViewDefaults):
    """Defaults of a view whose documents depend only on states, and not on the clock."""

    def tick(self, key: str, now: datetime) -> str:
        return ""

    def keys_changed_by_time(self, since: datetime, now: datetime) -> tuple[KeyPrefix, ...]:
        return ()


class BuiltView(ViewDefaults):
    """Defaults of a view that is computed from built contents alone."""

    def inputs(self, key: str) -> Sequence[PartialKey]:
        self.contents(key)
        return ()

    def keys_changed_by_time(self, since: datetime, now: datetime) -> tuple[KeyPrefix, ...]:
        return ()


def stamp_fields(stamp: Stamp) -> dict[str, Any]:
    """Return the fields of a published document that identify the state it was computed from."""
    return {
        "calculated_at": iso(stamp.as_of),
        "calculation_version": CALCULATION_VERSION,
        "state": {"generation": stamp.generation, "revision": stamp.revision, "tick": stamp.tick},
    }
