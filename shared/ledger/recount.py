"""Recount a shard's partials of one month from its ledger alone. Pure: a rebuild loads and commits.

The active days in stored ``person`` partials are trusted, because they outlive the ledger. All state about
people is derived from them. The summary of the month in their records is made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shared.aggregates import AGGREGATES, contributions, incident_month, person, person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.day import NAME as DAY
from shared.aggregates.person_month import summary_of
from shared.aggregates.tally import Tally
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS
from shared.ledger.counted_entries import CountedEntries
from shared.ledger.pages import LEDGER, Page
from shared.ledger.partials import PARTIAL, Partial
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, Write
from shared.units import Day, Millis, Month, day_after, days_of_month, month_after, month_of


class Stretch(NamedTuple):
    """Documents of a shard with ids from one to before another."""

    first: str
    after: str


def pages_of_month(month: Month) -> list[Stretch]:
    """Return the ledger pages that count for a month.

    Of sessions they begin a day earlier: a session that is open at midnight counts on the next day.
    """
    first, following = (days_of_month(each)[0] for each in (month, month_after(month, 1)))
    begins = {USER_INTERACTIONS: first, USER_SESSIONS: day_after(first, -1), ABUSE_INCIDENTS: first}
    return [Stretch(f"{LEDGER}|{name}|{day}", f"{LEDGER}|{name}|{following}") for name, day in begins.items()]


def partials_of_month(month: Month) -> list[Stretch]:
    """Return the partials of a month that are recounted. Those of people have no month."""
    return [
        Stretch(_partials_from(name, month), _partials_from(name, month_after(month, 1)))
        for name, aggregate in AGGREGATES.items()
        if aggregate.recounted
    ]


def _partials_from(aggregate: str, month: Month) -> str:
    """Return the lowest id of an aggregate's partials of a month. Keys of days have hyphens."""
    return f"{PARTIAL}|{aggregate}|{days_of_month(month)[0][:8] if aggregate == DAY else month}"


def beginnings(month: Month) -> list[Stretch]:
    """Return everything with a month, from one month on."""
    pages = [
        Stretch(f"{LEDGER}|{name}|{days_of_month(month)[0]}", f"{LEDGER}|{name}~")
        for name in (USER_INTERACTIONS, USER_SESSIONS, ABUSE_INCIDENTS)
    ]
    partials = [
        Stretch(_partials_from(name, month), f"{PARTIAL}|{name}~")
        for name, aggregate in AGGREGATES.items()
        if aggregate.recounted
    ]
    return pages + partials


def month_in(document_id: str) -> Month:
    """Return the month in the id of a page or partial, other than a person's."""
    return Month(document_id.split("|")[2].replace("-", "")[:6])


class Recount:
    """Counts the pages of one month of a shard.

    Parameters
    ----------
    stored
        The partials of the month and of the people who were active in it, with their etags. ``person``
        partials are at least as new as the others.
    now
        The current time.
    """

    def __init__(
        self,
        shard: ShardId,
        month: Month,
        stored: Mapping[PartialKey, Loaded],
        now: Millis,
        retention: Retention = DEFAULT_RETENTION,
    ) -> None:
        self._retention = retention
        self._shard = shard
        self._month = month
        self._stored = stored
        self._now = now
        self._count = CountedEntries()
        self._pages: dict[PartialKey, dict[str, int]] = {}
        """Revisions of the pages that each day lists, by page."""
        self.reaches_next_month = False
        """Whether a page counts in the next month as well, although that may have none of its own."""

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
        following = days_of_month(month_after(self._month, 1))[0]
        self.reaches_next_month = PartialKey(DAY, following) in deltas
        for target in self.targets():
            if target.aggregate == person.NAME:
                stored = self._partial(target)
                deltas[target] = Tally() if stored is None else stored.state.copy()
        # Nothing is counted before a recount: every person and month changes from an empty state.
        self._count.derive(self._count.people_changed(lambda _: Tally(), self._first_known))

    def _first_known(self, user_id: str) -> Day | None:
        stored = self._partial(PartialKey(person.NAME, user_id))
        return None if stored is None or stored.record is None else stored.record.first_known

    @property
    def is_behind(self) -> bool:
        """Whether a stored day lists a page that was not read, or a later revision of one that was.

        The replica that was read lags, or the page was lost.
        """
        return any(
            revision > self._pages.get(target, {}).get(page, -1)
            for target in self._stored
            if (partial := self._partial(target)) is not None
            for page, revision in partial.pages.items()
        )

    def targets(self) -> set[PartialKey]:
        """Return all partials of the month that are counted, that list pages, or that are stored."""
        found = self._count.contributions.deltas.keys() | self._pages.keys() | self._stored.keys()
        return {target for target in found if self._is_of_month(target)}

    def _is_of_month(self, target: PartialKey) -> bool:
        first = AGGREGATES[target.aggregate].first_day(target.key)
        return first is None or month_of(first) == self._month

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
            return self._with_summary(target, current)
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

    def _with_summary(self, target: PartialKey, current: Partial | None) -> Partial | None:
        """Return a person's partial with another summary of the month, None if it is right."""
        if current is None or current.record is None or self._month not in current.state.parts():
            return None
        key = PartialKey(person_month.NAME, person_month.month_key(self._month, target.key))
        summary = summary_of(self._count.contributions.deltas.get(key, Tally()))
        if summary is None or not self._is_countable(key, self._partial(key)):
            return None
        if summary == current.record.months.get(self._month):
            return None
        record = current.record.copy()
        record.months[self._month] = summary
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
        earliest = day_after(first, -1) if target.aggregate == DAY else first
        return not self._retention.is_closed(USER_SESSIONS, month_of(earliest), self._now)

    def _partial(self, target: PartialKey) -> Partial | None:
        stored = self._stored.get(target)
        return stored.document if stored is not None and isinstance(stored.document, Partial) else None
