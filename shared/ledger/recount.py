"""Recount a shard from its ledger alone: what every partial must hold. Pure; a rebuild loads and commits.

``person`` partials are taken as they are stored: they outlive the ledger, and everything that is derived from
people follows from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.aggregates import AGGREGATES, partials_counting, person, person_month
from shared.aggregates.base import Changed, PartialKey, PersonChange
from shared.aggregates.tally import Tally
from shared.ledger.fold import Count
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, Write
from shared.units import Day, Month, day_after

RETAINED_DAYS, COUNTED_DAYS = 90, 365
"""State of a period that began more than 90 days ago is left as it is: sessions expire after 90 days, with
their facts. Missing state is counted from the facts there are, if its period began in the last 365 days:
interactions expire after that."""


class Recount:
    """Counts the pages of one shard.

    Parameters
    ----------
    stored
        Every partial of the shard with its etag, people's as new as the others or newer.
    today
        The UTC day.
    """

    def __init__(self, shard: ShardId, stored: Mapping[PartialKey, Loaded], today: Day) -> None:
        self._shard = shard
        self._stored = stored
        self._today = today
        self._count = Count()

    def add(self, page: Page) -> None:
        """Count the entries of a page."""
        for _, _, entry in page:
            self._count.add(entry, partials_counting(entry.fact))

    def derive(self) -> None:
        """Add what follows from people's state, after all pages."""
        self._count.derive(self._people())

    def targets(self) -> set[PartialKey]:
        """Return the partials that are counted or stored."""
        return self._count.contributions.deltas.keys() | self._stored.keys()

    def writes(self, targets: Iterable[PartialKey]) -> list[Write]:
        """Return those partials that differ from what the ledger says, corrected, under their etags."""
        nothing = Loaded(None, None)
        return [
            Write(partial, self._stored.get(target, nothing).etag)
            for target in sorted(targets)
            if (partial := self._corrected(target)) is not None
        ]

    def _corrected(self, target: PartialKey) -> Partial | None:
        """Return what a partial must be, None if it is that, or cannot be known any more."""
        current = self._partial(target)
        if target.aggregate == person.NAME or self._is_past(
            target, COUNTED_DAYS if current is None else RETAINED_DAYS
        ):
            return None
        state = self._count.contributions.deltas.get(target, Tally())
        if current is None:
            partial = Partial(self._shard, target, ttl=AGGREGATES[target.aggregate].ttl) if state else None
        else:
            partial = current.copy() if current.state != state else None
        if partial is not None:
            partial.state = state
            partial.revision += 1
            partial.newest = max(partial.newest, self._count.newest.get(target, 0))
        return partial

    def _is_past(self, target: PartialKey, days: int) -> bool:
        first = AGGREGATES[target.aggregate].first_day(target.key)
        return first is not None and first < day_after(self._today, -days)

    def _people(self) -> Iterable[PersonChange]:
        """Yield every person as if their months were new, and their own state had always been as it is."""
        months: dict[str, dict[Month, Changed]] = {}
        for target, state in self._count.contributions.deltas.items():
            if target.aggregate == person_month.NAME and state:
                month, user_id = person_month.split_key(target.key)
                months.setdefault(user_id, {})[month] = Changed(Tally(), state)
            elif target.aggregate == person.NAME:
                months.setdefault(target.key, {})
        known = {target.key for target in self._stored if target.aggregate == person.NAME}
        for user_id in sorted(known | months.keys()):
            stored = self._partial(PartialKey(person.NAME, user_id))
            state = stored.state if stored is not None else Tally()
            yield PersonChange(user_id, Changed(Tally(), state), months.get(user_id, {}))

    def _partial(self, target: PartialKey) -> Partial | None:
        stored = self._stored.get(target)
        return stored.document if stored is not None and isinstance(stored.document, Partial) else None
