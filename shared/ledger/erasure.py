"""Erase a person from the state of a shard: folds that only subtract. Pure: ``ShardWriter.run`` drives them.

Steps
-----
1. The person's record is marked as erased. From then on the fold drops every document of the person, and
   nothing is published about them.
2. Entries leave the ledger's pages, some at a time, each in the transaction that subtracts what it counts.
3. The person's months are deleted. What they count of documents whose pages have expired is subtracted from
   what is derived of people. Sums of documents whose pages have expired, which name nobody, keep it.
4. The record stays, empty, until no instance can make it again, and is deleted then.

Steps may be repeated and may run twice at once: each one finds less, and commits under etags. What ends
within two days is not corrected any more.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Sequence
from typing import NamedTuple

from shared.aggregates import contributions, person, person_month
from shared.aggregates.base import Contributions, PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.ledger.fold import ShardFold
from shared.ledger.needs import Answer, DocumentsById, Need
from shared.ledger.open_pages import Located
from shared.ledger.pages import Page, page_id
from shared.ledger.partials import Partial, partial_id
from shared.ledger.retention import Retention
from shared.ledger.shards import ShardId
from shared.ledger.state import Deletion, Write
from shared.units import EventHour, Millis, Month

Hour = tuple[str, EventHour]
"""A source and an hour of its pages."""


class Erased(NamedTuple):
    """The result of a step."""

    writes: Sequence[Write] = ()
    entries: int = 0
    """Entries that leave the ledger."""
    is_unfinished: bool = False
    """Whether the pages have more entries of the person."""


Erasure = Generator[Need, Answer, Erased]


def mark_erased(shard: ShardId, user_id: str, now: Millis, *, retention: Retention) -> Erasure:
    """Mark the record of a person as erased. Make one if there is none, so that nobody else makes it."""
    target = PartialKey(person.NAME, user_id)
    loaded = (yield DocumentsById(frozenset({partial_id(target)}), stored=True))[partial_id(target)]
    stored = loaded.document
    partial = stored.copy() if isinstance(stored, Partial) else Partial(shard, target, revision=now)
    record = partial.record or PersonRecord()
    if stored is not None and record.erased:
        return Erased()
    partial.record, partial.revision = record, partial.revision + 1
    record.erased, record.accounts = True, {}
    record.mark_changed()
    retention.set_ttl(partial, now)
    return Erased([Write(partial, loaded.etag)])


def erase_entries(
    shard: ShardId,
    user_id: str,
    hours: Collection[Hour],
    now: Millis,
    *,
    most: int,
    retention: Retention,
) -> Erasure:
    """Take entries of a person off the pages of some hours, and subtract what they count.

    Parameters
    ----------
    most
        Entries of one transaction.

    Raises
    ------
    DamagedStateError
        Documents of the state are missing, or older than others.
    """
    fold = _ErasureFold(shard, user_id, now, retention)
    yield from fold.need_documents({fold.person_id, *(page_id(*hour) for hour in hours)}, stored=True)
    yield from fold.need_documents(fold.ids_of_parts(hours), stored=True)
    found = fold.entries(hours)
    yield from fold.need_documents(fold.ids_counting(found[:most]))
    fold.take_off(found[:most])
    yield from fold.derive_all()
    return Erased(fold.writes() if found else (), len(found[:most]), len(found) > most)


def erase_months(
    shard: ShardId, user_id: str, months: Collection[Month], now: Millis, *, retention: Retention
) -> Erasure:
    """Delete months of a person, and subtract what is derived of what they still count."""
    fold = _ErasureFold(shard, user_id, now, retention)
    targets = [PartialKey(person_month.NAME, person_month.month_key(month, user_id)) for month in months]
    yield from fold.need_documents({fold.person_id, *map(partial_id, targets)}, stored=True)
    fold.empty(months)
    yield from fold.derive_all()
    kept = [write for write in fold.writes() if write.document.id not in set(map(partial_id, targets))]
    return Erased([*kept, *fold.deletions(targets)])


def empty_record(shard: ShardId, user_id: str, now: Millis, *, retention: Retention) -> Erasure:
    """Leave of a record only that the person is erased."""
    fold = _ErasureFold(shard, user_id, now, retention)
    yield from fold.need_documents({fold.person_id}, stored=True)
    partial = fold.person
    if partial is None or (partial.record == PersonRecord(erased=True) and not partial.state):
        return Erased()
    partial = partial.copy().next(Tally())
    partial.record = PersonRecord(erased=True)
    retention.set_ttl(partial, now)
    return Erased([Write(partial, fold.etag_of(partial))])


def delete_record(shard: ShardId, user_id: str, now: Millis, *, retention: Retention) -> Erasure:
    """Delete the record of a person who is erased."""
    fold = _ErasureFold(shard, user_id, now, retention)
    yield from fold.need_documents({fold.person_id}, stored=True)
    return Erased(fold.deletions([fold.target]))


class _ErasureFold(ShardFold):
    """The state of one shard during a step about one person."""

    def __init__(self, shard: ShardId, user_id: str, now: Millis, retention: Retention) -> None:
        self._user_id = user_id
        self.target = PartialKey(person.NAME, user_id)
        self.person_id = partial_id(self.target)
        super().__init__(shard, "", [], now, retention)

    def _users(self) -> set[str]:
        return {self._user_id}

    @property
    def person(self) -> Partial | None:
        """The person's partial, None if it does not exist."""
        return self._partial(self.target)

    def etag_of(self, partial: Partial) -> str | None:
        """Return the etag of a loaded partial."""
        return self._etag(partial)

    def ids_of_parts(self, hours: Iterable[Hour]) -> set[str]:
        """Return the ids of all parts of hours."""
        return {name for hour in hours for name in self._pages.parts(*hour)}

    def entries(self, hours: Iterable[Hour]) -> list[tuple[Page, str, Located]]:
        """Return the person's entries on the loaded pages, with page and document id."""
        found: list[tuple[Page, str, Located]] = []
        for name in sorted(self.ids_of_parts(hours)):
            page = self._loaded[name].document
            if isinstance(page, Page):
                for document_id in sorted(page.entries.get(self._user_id, ())):
                    entry = page.get(self._user_id, document_id)
                    if entry is not None:
                        found.append((page, document_id, Located(name, page.hour, entry)))
        return found

    def ids_counting(self, found: Iterable[tuple[Page, str, Located]]) -> set[str]:
        """Return the ids of the partials that count entries, and of the months of their pages."""
        ids: set[str] = set()
        for page, _, located in found:
            month = Month(page.hour[:4] + page.hour[5:7])
            own = PartialKey(person_month.NAME, person_month.month_key(month, self._user_id))
            ids.add(partial_id(own))
            ids.update(map(partial_id, contributions(located.entry.fact).deltas))
        return ids

    def take_off(self, found: Iterable[tuple[Page, str, Located]]) -> None:
        """Take entries off their pages, and subtract what they count from what still exists."""
        for _, document_id, located in found:
            self._people.add(self._user_id)
            self._pages.remove(located, self._user_id, document_id)
            counted = contributions(located.entry.fact).without(self._is_gone)
            self._count.replace(counted, Contributions())

    def empty(self, months: Iterable[Month]) -> None:
        """Subtract what the person's own state still counts of some months."""
        counted = Contributions()
        for month in months:
            own = PartialKey(person_month.NAME, person_month.month_key(month, self._user_id))
            counted.partial(*own).merge(self._state(own))
            part = self._state(self.target).parts().get(month)
            if part is not None:
                counted.partial(*self.target).part(month).merge(part)
        self._people.add(self._user_id)
        self._count.replace(counted.without(self._is_gone), Contributions())

    def derive_all(self) -> Generator[Need, Answer, None]:
        """Load what changes, add the counts derived from the person's change, and leave out what is gone."""
        yield from self.need_documents(self.ids_of_changed_partials())
        self.derive()
        yield from self.need_documents(self.ids_of_changed_partials())
        deltas = self._count.contributions.deltas
        for target in [target for target in deltas if self._is_gone(target)]:
            del deltas[target]

    def deletions(self, targets: Iterable[PartialKey]) -> list[Write]:
        """Return the deletions of those partials that exist."""
        found = [partial for target in targets if (partial := self._partial(target)) is not None]
        return [Deletion(partial, self._etag(partial)) for partial in found]

    def _is_gone(self, target: PartialKey) -> bool:
        return self._partial(target) is None or self._is_partial_closed(target)
