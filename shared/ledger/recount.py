"""Recount the partials of a shard from its ledger alone. Pure: a rebuild loads and commits.

The active days in stored ``person`` partials are trusted, because they outlive the ledger. All state about
people is derived from them. The summaries of people's months in their records are made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.aggregates import AGGREGATES, contributions, incident_month, person, person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.day import NAME as DAY
from shared.aggregates.person_month import summary_of
from shared.aggregates.tally import Tally
from shared.facts import USER_SESSIONS
from shared.ledger.counted_entries import CountedEntries
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, Write
from shared.units import Day, Millis, month_of


class Recount:
    """Counts the pages of one shard.

    Parameters
    ----------
    stored
        Every partial of the shard with its etag. ``person`` partials are at least as new as the others.
    now
        The current time.
    """

    def __init__(
        self,
        shard: ShardId,
        stored: Mapping[PartialKey, Loaded],
        now: Millis,
        retention: Retention = DEFAULT_RETENTION,
    ) -> None:
        self._retention = retention
        self._shard = shard
        self._stored = stored
        self._now = now
        self._count = CountedEntries()
        self._pages: dict[PartialKey, dict[str, int]] = {}
        """Revisions of the pages that each day lists, by page."""

    def add(self, page: Page) -> None:
        """Count the entries of a page."""
        for _, _, entry in page:
            self._count.add(contributions(entry.fact))
        self._pages.setdefault(PartialKey(DAY, page.hour[:10]), {})[page.name] = page.revision

    def derive(self) -> None:
        """Add the counts derived from people. Call it after all pages are added.

        The people are those of the stored ``person`` partials, not those that the pages count.
        """
        deltas = self._count.contributions.deltas
        for target in self.targets():
            if target.aggregate == person.NAME:
                stored = self._partial(target)
                deltas[target] = Tally() if stored is None else stored.state.copy()
        # Nothing is counted before a recount: every person and month changes from an empty state.
        self._count.derive(self._count.people_changed(lambda _: Tally(), self._first_known))

    def _first_known(self, user_id: str) -> Day | None:
        stored = self._partial(PartialKey(person.NAME, user_id))
        return None if stored is None or stored.record is None else stored.record.first_known

    def targets(self) -> set[PartialKey]:
        """Return all partials that are counted, that list pages, or that are stored."""
        return self._count.contributions.deltas.keys() | self._pages.keys() | self._stored.keys()

    def writes(self, targets: Iterable[PartialKey]) -> list[Write]:
        """Return corrected versions of the partials that differ from the ledger, guarded by their etags."""
        nothing = Loaded(None, None)
        return [
            Write(partial, self._stored.get(target, nothing).etag)
            for target in sorted(targets)
            if (partial := self._corrected(target)) is not None
        ]

    def _corrected(self, target: PartialKey) -> Partial | None:
        """Return a corrected partial, None if it is correct or the facts behind it have expired."""
        current = self._partial(target)
        if target.aggregate == person.NAME:
            return self._with_summaries(target, current)
        if not self._is_countable(target, current):
            return None
        state, pages = self._count.contributions.deltas.get(target, Tally()), self._pages.get(target, {})
        if current is None:
            if not state and not pages:
                return None
            partial = Partial(self._shard, target, revision=self._now)
        elif (current.state, current.pages) == (state, pages):
            return None
        else:
            partial = current.copy()
        partial.state, partial.pages = state, pages
        partial.revision += 1
        self._retention.set_ttl(partial, self._now)
        return partial

    def _with_summaries(self, target: PartialKey, current: Partial | None) -> Partial | None:
        """Return a person's partial with other summaries of months, None if they are right."""
        if current is None or current.record is None:
            return None
        record = current.record.copy()
        for month in person.active_months(current.state):
            key = PartialKey(person_month.NAME, person_month.month_key(month, target.key))
            summary = summary_of(self._count.contributions.deltas.get(key, Tally()))
            if summary is not None and self._is_countable(key, self._partial(key)):
                record.months[month] = summary
        if record == current.record:
            return None
        partial = current.copy()
        partial.record = record
        partial.revision += 1
        self._retention.set_ttl(partial, self._now)
        return partial

    def _is_countable(self, target: PartialKey, current: Partial | None) -> bool:
        """Return whether the ledger still has every fact that a partial counts.

        Sessions end first. A partial that exists counts sessions whose facts have ended; one that is missing
        is counted from what there is.
        """
        if self._retention.is_partial_closed(target, self._now):
            return False
        first = AGGREGATES[target.aggregate].first_day(target.key)
        if current is None or target.aggregate == incident_month.NAME or first is None:
            return True
        return not self._retention.is_closed(USER_SESSIONS, month_of(first), self._now)

    def _partial(self, target: PartialKey) -> Partial | None:
        stored = self._stored.get(target)
        return stored.document if stored is not None and isinstance(stored.document, Partial) else None
