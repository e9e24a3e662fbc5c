"""The fold: applies changes of documents to the state of their shard. Pure: ``apply`` loads and commits.

Rules
-----
1. A document is counted once, in its newest version. The ledger entry records the counted version.
2. A newer version replaces the entry. The old fact is subtracted and the new fact is added.
3. Counts of people, not of documents, are derived from each person's own state before and after.
4. Every document that a decision depends on is guarded, if another instance can change it unnoticed. The
   fold writes it in the same transaction, even when unchanged, so that a stale copy fails its etag check.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from shared.aggregates import AGGREGATES, partials_counting, person, person_month
from shared.aggregates.base import RENEWAL, PartialKey
from shared.aggregates.day import NAME as DAY
from shared.aggregates.month import NAME as MONTH
from shared.aggregates.tally import Tally
from shared.facts import USERS, Uncounted
from shared.ledger.changes import Change, Verdict
from shared.ledger.counted_entries import CountedEntries
from shared.ledger.document_version import VersionOrder
from shared.ledger.incident_passages import IncidentPassages, cited_passage
from shared.ledger.open_pages import Located, OpenPages
from shared.ledger.pages import Entry, Page, fingerprint, page_id
from shared.ledger.partials import Partial, partial_id
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, StateDocument, Write


class DocumentsById(NamedTuple):
    """The fold needs these documents of the shard. The driver sends missing documents as absent."""

    ids: frozenset[str]


class PagesByFingerprint(NamedTuple):
    """The fold needs the stored version of every ledger page that indexes any of these fingerprints."""

    fingerprints: tuple[str, ...]


Need = DocumentsById | PagesByFingerprint
Documents = Mapping[str, Loaded]
Result = TypeVar("Result")


class Folded(NamedTuple):
    """The result of a fold: the verdict on each change, and the documents to write in one transaction."""

    verdicts: list[tuple[Change, Verdict]]
    writes: list[Write]


def fold_changes(
    shard: ShardId, source: str, changes: Sequence[Change]
) -> Generator[Need, Documents, Folded]:
    """Fold changes of one source into a shard. Yields what it needs, and receives the documents by id.

    The driver sends stored documents, or cached ones with their etags. It then commits all writes in one
    transaction. If the commit fails because an etag differs, the driver starts again with a new generator.
    """
    fold = ShardFold(shard, source, changes)
    yield from fold.need_documents(fold.ids_of_new_facts())
    yield from fold.need_documents(fold.ids_of_last_parts())
    fingerprints = fold.fingerprints_to_find()
    if fingerprints:
        fold.add_loaded((yield PagesByFingerprint(tuple(sorted(fingerprints)))))
    verdicts = fold.decide()
    yield from fold.need_documents(fold.ids_of_changed_partials())
    yield from fold.need_documents(fold.ids_of_affected_months())
    fold.derive()
    yield from fold.need_documents(fold.ids_of_changed_partials())
    return Folded(verdicts, fold.writes())


def drive(fold: Generator[Need, Documents, Result], answer: Callable[[Need], Documents]) -> Result:
    """Run a fold on state that needs no ``await``, such as a dictionary."""
    try:
        need = next(fold)
        while True:
            need = fold.send(answer(need))
    except StopIteration as end:
        result: Result = end.value
        return result


class ShardFold:
    """The state of one shard during a fold. :func:`fold_changes` defines the order of calls."""

    def __init__(self, shard: ShardId, source: str, changes: Sequence[Change]) -> None:
        self._shard = shard
        self._source = source
        self._changes = changes
        self._counters = [partials_counting(change.fact) for change in changes]
        self._loaded: dict[str, Loaded] = {}
        self._pages = OpenPages(shard, {change.user_id for change in changes})
        self._passages = IncidentPassages(self._pages, self._person)
        self._count = CountedEntries()
        self._etag_guards: set[PartialKey] = set()
        """Existing partials that are written even when unchanged."""
        self._people: set[str] = set()
        """People with an entry that was added, was moved to another page, or has a new main passage. Their
        ``person`` is written. Two instances that add one document to two pages therefore conflict on its
        etag."""

    def add_loaded(self, documents: Documents) -> None:
        """Add loaded documents."""
        self._loaded.update(documents)
        self._pages.add(loaded.document for loaded in documents.values() if isinstance(loaded.document, Page))

    def need_documents(self, ids: Iterable[str]) -> Generator[Need, Documents, None]:
        """Request the documents that are not loaded yet, if any."""
        missing = frozenset(ids) - self._loaded.keys()
        if missing:
            self.add_loaded((yield DocumentsById(missing)))

    def ids_of_new_facts(self) -> set[str]:
        """Return the ids of the changes' pages, and of the partials that count the new facts."""
        pages = {page_id(self._source, change.fact.hour) for change in self._changes}
        return pages.union(*(map(partial_id, counters) for counters in self._counters))

    def ids_of_last_parts(self) -> set[str]:
        """Return the ids of the last parts of hours that have more than one part."""
        hours = {change.fact.hour for change in self._changes}
        return {page_id(self._source, hour, self._pages.last_part(self._source, hour)) for hour in hours}

    def fingerprints_to_find(self) -> set[str]:
        """Return the fingerprints of documents whose entry may be on a page that is not loaded.

        A document is normally new, or on the page of its hour. If its time was corrected, or its hour has
        several parts, the index finds its page. A person without state has no entries. The result includes
        incidents and the interactions that they refer to.
        """
        unlocated = {
            fingerprint(self._source, change.user_id, change.document_id)
            for change in self._changes
            if self._find(change) is None and self._person(change.user_id)
        }
        return unlocated | self._passages.fingerprints_needed(self._changes)

    def decide(self) -> list[tuple[Change, Verdict]]:
        """Compare each change with the ledger, update the pages and collect the changes of the partials."""
        decided: list[tuple[Change, Verdict]] = []
        for original, counters in zip(self._changes, self._counters, strict=True):
            change = self._passages.with_passage(original)
            if change is not original:
                counters = partials_counting(change.fact)
            decided.append((change, self._decide(change, counters)))
        for incident in list(self._passages.moved_by(change for change, _ in decided)):
            self._pages.replace(incident.at, incident.user_id, incident.document_id, incident.after)
            counters = partials_counting(incident.after.fact)
            self._count.replace(incident.at.entry.fact, incident.after, counters)
        return decided

    def _decide(self, change: Change, counters: list[PartialKey]) -> Verdict:
        found = self._find(change)
        if found is None:
            if change.reprices:
                return Verdict.OLDER  # another version is counted by now, at current prices
            return self._add(change, counters)
        match self._order(change, found.entry):
            case VersionOrder.SAME:
                return Verdict.SAME
            case VersionOrder.OLDER:
                return Verdict.OLDER
            case VersionOrder.UNKNOWN:
                return Verdict.UNKNOWN
            case VersionOrder.NEWER:
                return self._replace(change, found, counters)

    def _order(self, change: Change, counted: Entry) -> VersionOrder:
        """Return the order of a change against the counted entry: by version, unless another rule decides."""
        order = change.version.order_against(counted.version)
        if change.reprices:
            if order is not VersionOrder.SAME:
                return VersionOrder.OLDER
            return VersionOrder.SAME if change.fact == counted.fact else VersionOrder.NEWER
        if change.live and order is not VersionOrder.SAME:
            return VersionOrder.NEWER  # just read from the source, so clocks do not matter
        if order is VersionOrder.SAME and isinstance(counted.fact, Uncounted) and change.fact != counted.fact:
            return VersionOrder.NEWER  # this release reads a document that an earlier one could not
        return order

    def _add(self, change: Change, counters: list[PartialKey]) -> Verdict:
        entry = Entry(change.version, change.fact)
        self._append(change, entry)
        self._count.add(entry, counters)
        return Verdict.UNCOUNTED if isinstance(change.fact, Uncounted) else Verdict.ADDED

    def _replace(self, change: Change, found: Located, counters: list[PartialKey]) -> Verdict:
        entry, before = Entry(change.version, change.fact), found.entry.fact
        # An uncounted entry has no hour of its own. It stays on the page of the entry that it replaces.
        stays = found.hour == change.fact.hour or isinstance(change.fact, Uncounted)
        if stays and self._pages.has_room_for(entry, found):
            self._pages.replace(found, change.user_id, change.document_id, entry)
        else:
            self._pages.remove(found, change.user_id, change.document_id)
            self._append(change, entry)
            self._guard_counters(partials_counting(before))
            self._guard_counters(counters)
        self._count.replace(before, entry, counters)
        if cited_passage(before) != cited_passage(change.fact):
            self._people.add(change.user_id)
        return Verdict.UNCOUNTED if isinstance(change.fact, Uncounted) else Verdict.REPLACED

    def _append(self, change: Change, entry: Entry) -> None:
        self._people.add(change.user_id)
        self._pages.append(self._source, change.user_id, change.document_id, entry)

    def _guard_counters(self, counters: Iterable[PartialKey]) -> None:
        """Have partials written, with the months that follow from them, though their counts stay the same.

        A rebuild may read some pages before this fold and some after it. It would find an entry that moved on
        two pages, or on none, and only one of two changes that cancel out.
        """
        for target in counters:
            self._etag_guards.add(target)
            if target.aggregate == person_month.NAME:
                month, _ = person_month.split_key(target.key)
                self._etag_guards.add(PartialKey(MONTH, month))

    def ids_of_changed_partials(self) -> set[str]:
        """Return the ids of the partials that change, that list changed pages, or that are guards."""
        self._guard_counters(self._count.unchanged_in_sum())
        targets = (*self._count.contributions.changed(), *self._etag_guards, *self._changed_pages())
        return set(map(partial_id, targets))

    def _changed_pages(self) -> dict[PartialKey, list[Page]]:
        """Return the changed pages by the partial that lists them. Accounts have no day."""
        changed: dict[PartialKey, list[Page]] = {}
        for page in self._pages.edited():
            if page.source != USERS:
                changed.setdefault(PartialKey(DAY, page.hour[:10]), []).append(page)
        return changed

    def ids_of_affected_months(self) -> set[str]:
        """Return the ids of people's months whose derived counts change with the person's state."""
        return {
            partial_id(PartialKey(person_month.NAME, person_month.month_key(month, target.key)))
            for target in self._count.contributions.changed()
            if target.aggregate == person.NAME
            for month in person.months_affected(*self._count.change_of(target, self._state))
        }

    def derive(self) -> None:
        """Add the counts derived from each person's change, for the person's months and for all people.

        The partials that they are derived from are guarded, because another instance may have changed one.
        """
        people = self._count.people_changed(self._state)
        for change in people:
            self._etag_guards.add(PartialKey(person.NAME, change.user_id))
            self._etag_guards.update(
                PartialKey(person_month.NAME, person_month.month_key(month, change.user_id))
                for month in change.months
            )
        self._count.derive(people)

    def writes(self) -> list[Write]:
        """Return the documents to write, each with its next revision and its guarding etag."""
        written = dict.fromkeys(self._count.contributions.changed())
        written |= dict.fromkeys(PartialKey(person.NAME, user_id) for user_id in sorted(self._people))
        written |= dict.fromkeys(target for target in sorted(self._etag_guards) if self._partial(target))
        written |= dict.fromkeys(target for target in self._count.newest if self._is_due_for_renewal(target))
        changed_pages = self._changed_pages()
        written |= dict.fromkeys(changed_pages)
        partials = {target: self._next(target) for target in written}
        for target, pages in changed_pages.items():
            partials[target].pages |= {page.name: page.revision for page in pages}
        documents: list[StateDocument] = [*self._pages.edited(), *partials.values()]
        return [
            Write(document, self._loaded[document.id].etag if document.id in self._loaded else None)
            for document in documents
        ]

    def _next(self, target: PartialKey) -> Partial:
        current = self._partial(target)
        if current is None:
            partial = Partial(self._shard, target, ttl=AGGREGATES[target.aggregate].ttl)
        else:
            partial = current.copy()
        delta = self._count.contributions.deltas.get(target)
        if delta:
            partial.state.merge(delta)
        partial.newest = max(partial.newest, self._count.newest.get(target, 0))
        partial.revision += 1
        return partial

    def _is_due_for_renewal(self, target: PartialKey) -> bool:
        current = self._partial(target)
        return current is not None and self._count.newest[target] - current.newest > RENEWAL

    def _find(self, change: Change) -> Located | None:
        return self._pages.find(self._source, change.user_id, change.document_id, change.fact.hour)

    def _person(self, user_id: str) -> Tally:
        return self._state(PartialKey(person.NAME, user_id))

    def _state(self, target: PartialKey) -> Tally:
        current = self._partial(target)
        return current.state if current else Tally()

    def _partial(self, target: PartialKey) -> Partial | None:
        found = self._loaded.get(partial_id(target))
        return found.document if found and isinstance(found.document, Partial) else None
