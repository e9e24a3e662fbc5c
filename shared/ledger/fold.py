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

from collections.abc import Generator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from shared.aggregates import contribute, contributions, person, person_month
from shared.aggregates.base import Contributions, PartialKey
from shared.aggregates.day import NAME as DAY
from shared.aggregates.document_index import document_hash
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.errors import TooLargeError
from shared.facts import ABUSE_INCIDENTS, Fact, InteractionFact, SessionFact, Uncounted
from shared.ledger.changed_records import changed_records, drop_ended_months
from shared.ledger.changes import Change, Verdict
from shared.ledger.counted_entries import CountedEntries
from shared.ledger.damage import require_whole
from shared.ledger.document_version import VersionOrder
from shared.ledger.incident_passages import IncidentPassages, MovedIncident, cited_passage
from shared.ledger.known_accounts import ConsentChange, refusals_in
from shared.ledger.needs import Answer, DocumentsById, Fold, Folded, Need, RecordsOf
from shared.ledger.open_pages import Located, OpenPages
from shared.ledger.pages import Entry, Page, page_id
from shared.ledger.partials import Partial, partial_id
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.room import full_states, outgrown_states, refusal
from shared.ledger.shards import ShardId
from shared.ledger.sizes import MAX_MOVED_INCIDENTS
from shared.ledger.state import Loaded, StateDocument, Write
from shared.units import Day, EventHour, Millis, month_of


def fold_changes(
    shard: ShardId,
    source: str,
    changes: Sequence[Change],
    now: Millis,
    *,
    moves: int = MAX_MOVED_INCIDENTS,
    retention: Retention = DEFAULT_RETENTION,
) -> Fold:
    """Fold changes of one source into a shard. Yields what it needs, and receives it by id or by user.

    The driver sends stored documents, or cached ones, and commits all writes in one transaction. If an etag
    differs, it starts again with a new generator.

    Parameters
    ----------
    now
        The current time, and the first revision of new documents: revisions never repeat.
    moves
        Incidents that may follow their interactions to another text in this transaction.
    retention
        When state ends.

    Raises
    ------
    TooLargeError
        Several changes together outgrow a state, or a change with the incidents that follow it. A single
        change has a verdict instead.
    DamagedStateError
        Documents of the state are missing, or older than others.
    """
    fold = ShardFold(shard, source, changes, now, retention)
    yield from fold.need_documents(fold.ids_of_new_facts())
    newcomers = fold.people_without_state()
    fold.add_records((yield RecordsOf(newcomers)) if newcomers else {})
    yield from fold.need_documents(fold.ids_of_last_parts())
    other_hours = fold.ids_of_other_hours()
    if other_hours:
        yield from fold.need_documents(other_hours, stored=True)
        yield from fold.need_documents(fold.ids_of_other_parts(), stored=True)
    verdicts, unfinished = fold.decide(moves)
    yield from fold.need_documents(fold.ids_of_changed_partials())
    fold.derive()
    yield from fold.need_documents(fold.ids_of_changed_partials())
    writes = fold.writes()
    outgrown = fold.outgrown(writes)
    if outgrown:
        if len(verdicts) > 1 or fold.moves_incidents:
            raise TooLargeError("a state would outgrow its limit")
        return Folded([(verdicts[0][0], refusal(outgrown))], [])
    return Folded(verdicts, writes, unfinished, fold.refusals())


class ShardFold:
    """The state of one shard during a fold. :func:`fold_changes` defines the order of calls."""

    def __init__(
        self, shard: ShardId, source: str, changes: Sequence[Change], now: Millis, retention: Retention
    ) -> None:
        self._shard = shard
        self._source = source
        self._changes = changes
        self._now = now
        self._retention = retention
        self._loaded: dict[str, Loaded] = {}
        self._stored: set[str] = set()
        """Ids of the documents whose stored version was requested."""
        self._new_records: dict[str, PersonRecord] = {}
        self._dropped: Sequence[Change] = ()  # of people who were erased
        self._pages = OpenPages(shard, self._users(), now)
        self._passages = IncidentPassages(self._pages, lambda user_id: self._record(user_id).index)
        self._count = CountedEntries()
        self.moves_incidents = False
        """Whether incidents follow their interactions in this fold."""
        self._etag_guards: set[PartialKey] = set()
        """Existing partials that are written even when unchanged."""
        self._full: AbstractSet[PartialKey] | None = None
        self._people: set[str] = set()
        """People with an entry that was added, was moved to another page, or has a new main passage. Their
        ``person`` is written. Two instances that add one document to two pages therefore conflict on its
        etag."""

    def _users(self) -> set[str]:
        """Return the people whose documents change."""
        return {change.user_id for change in self._changes}

    def _contributed_by(self, fact: Fact | Uncounted) -> Contributions:
        """Return what a fact contributes to the partials that are not closed."""
        return contributions(fact).without(self._is_partial_closed)

    def _count_new(self, fact: Fact) -> None:
        """Count a new entry."""
        oldest = PartialKey(DAY, fact.day)  # of what a fact contributes to, days and months close first
        if self._is_partial_closed(oldest):
            self._count.add(self._contributed_by(fact))
        else:
            contribute(fact, self._count.contributions)

    def _is_partial_closed(self, target: PartialKey) -> bool:
        return self._retention.is_partial_closed(target, self._now)

    def need_documents(self, ids: Iterable[str], *, stored: bool = False) -> Generator[Need, Answer, None]:
        """Request the documents that are not loaded yet."""
        missing = frozenset(ids) - (self._stored if stored else self._loaded.keys())
        if missing:
            documents = yield DocumentsById(missing, stored)
            self._loaded.update(documents)
            if stored:
                self._stored |= missing
            pages = [loaded.document for loaded in documents.values() if isinstance(loaded.document, Page)]
            # A closed page keeps what it counted. A document that moved on is counted where it is now.
            self._pages.add(p for p in pages if p.source != self._source or not self._is_closed(p.hour))

    def add_records(self, records: Mapping[str, PersonRecord | None]) -> None:
        """Add the records of people who have no state. Drop the changes of people who were erased."""
        self._new_records.update({user: record for user, record in records.items() if record is not None})
        gone = {user for user, record in records.items() if record is None}
        erased = gone | {user for user in self._users() if self._record(user).erased}
        if erased:
            self._dropped = [change for change in self._changes if change.user_id in erased]
            self._changes = [change for change in self._changes if change.user_id not in erased]

    def refusals(self) -> list[ConsentChange]:
        """Return the accounts of people without state that refuse."""
        return [each for user, record in self._new_records.items() for each in refusals_in(user, record)]

    def ids_of_new_facts(self) -> set[str]:
        """Return the ids of the changes' pages and people, and of partials that probably change."""
        ids: set[str] = set()
        for change in self._changes:
            fact, user_id = change.fact, change.user_id
            ids.add(page_id(self._source, fact.hour))
            ids.add(partial_id(PartialKey(person.NAME, user_id)))
            if isinstance(fact, InteractionFact | SessionFact):
                month = person_month.month_key(fact.month, user_id)
                ids.add(partial_id(PartialKey(person_month.NAME, month)))
            if isinstance(fact, Fact):
                ids.add(partial_id(PartialKey(DAY, fact.day)))
        return ids

    def people_without_state(self) -> frozenset[str]:
        """Return the people whose first document this is, as far as the state knows."""
        return frozenset(c.user_id for c in self._changes if self._partial(_person_key(c)) is None)

    def ids_of_last_parts(self) -> set[str]:
        """Return the ids of the last parts of hours that have more than one part."""
        hours = {change.fact.hour for change in self._changes}
        return {page_id(self._source, hour, self._pages.last_part(self._source, hour)) for hour in hours}

    def ids_of_other_hours(self) -> set[str]:
        """Return the ids of the first pages of :meth:`_other_hours`."""
        return {page_id(source, hour) for source, hour in self._other_hours()}

    def ids_of_other_parts(self) -> set[str]:
        """Return the ids of the remaining pages of :meth:`_other_hours`."""
        return {name for source, hour in self._other_hours() for name in self._pages.parts(source, hour)}

    def _other_hours(self) -> set[tuple[str, EventHour]]:
        """Return the sources and hours whose pages have to be searched.

        A document is normally new, or on a page of its hour that is loaded. If its time was corrected, or its
        hour has several parts, the person's index names the hours that may have it. The result includes the
        hours of incidents, and of the interactions that they refer to.
        """
        hours: set[tuple[str, EventHour]] = set()
        for change in self._changes:
            if self._find(change) is None:
                hashed = document_hash(self._source, change.document_id)
                index = self._record(change.user_id).index
                hours.update((self._source, hour) for hour in index.hours_of(hashed))
            hours.update(self._passages.hours_needed(change))
        return hours

    def decide(self, moves: int) -> tuple[list[tuple[Change, Verdict]], bool]:
        """Compare each change with the ledger, update the pages and collect the changes of the partials.

        Returns
        -------
        tuple
            The verdicts, and whether more than ``moves`` incidents follow their interactions.
        """
        decided = [(change, Verdict.ERASED) for change in self._dropped]
        for original in self._changes:
            change = self._passages.with_passage(original)
            decided.append((change, self._decide(change)))
        moved = list(self._passages.moved_by(change for change, _ in decided))
        self.moves_incidents = bool(moved[:moves])
        for incident in moved[:moves]:
            self._move(incident)
        return decided, len(moved) > moves

    def _move(self, incident: MovedIncident) -> None:
        """Count an incident under its new passage."""
        user_id, document_id, at, after = incident
        if self._pages.has_room_for(after, at):
            self._pages.replace(at, user_id, document_id, after)
        else:
            self._pages.remove(at, user_id, document_id)
            self._pages.append(ABUSE_INCIDENTS, user_id, document_id, at.hour, after)
        self._count.replace(self._contributed_by(at.entry.fact), self._contributed_by(after.fact))

    def _decide(self, change: Change) -> Verdict:
        found = self._find(change)
        if self._is_closed(change.fact.hour):
            # The document has left an open month: what it counted there is taken back.
            return Verdict.CLOSED if found is None else self._uncount(change, found)
        if found is None:
            if change.reprices:
                return Verdict.OLDER  # another version is counted by now, at current prices
            return self._add(change)
        match change.order_against(found.entry):
            case VersionOrder.SAME:
                return Verdict.SAME
            case VersionOrder.OLDER:
                return Verdict.OLDER
            case VersionOrder.UNKNOWN:
                return Verdict.UNKNOWN
            case VersionOrder.NEWER:
                return self._replace(change, found)

    def _add(self, change: Change) -> Verdict:
        entry = Entry(change.version, change.fact)
        if isinstance(change.fact, Uncounted):
            self._append(change, entry)
            return Verdict.UNCOUNTED
        full = self._full_states()
        if full:
            full = full & {_person_key(change), *self._contributed_by(change.fact).deltas}
            if full:
                return refusal(full)
        self._append(change, entry)
        self._count_new(change.fact)
        return Verdict.ADDED

    def _full_states(self) -> AbstractSet[PartialKey]:
        """Return the loaded states that have no room for one more document."""
        if self._full is None:
            self._full = full_states(loaded.document for loaded in self._loaded.values())
        return self._full

    def _replace(self, change: Change, found: Located) -> Verdict:
        contributed = self._contributed_by(change.fact)
        entry, before = Entry(change.version, change.fact), found.entry.fact
        counted_before = self._contributed_by(before)
        # An uncounted entry has no hour of its own. It stays on the page of the entry that it replaces.
        stays = found.hour == change.fact.hour or isinstance(change.fact, Uncounted)
        if stays and self._pages.has_room_for(entry, found):
            self._pages.replace(found, change.user_id, change.document_id, entry)
        else:
            self._pages.remove(found, change.user_id, change.document_id)
            self._append(change, entry, found.hour if stays else None)
            self._etag_guards.update(counted_before.deltas)
            self._etag_guards.update(contributed.deltas)
        self._count.replace(counted_before, contributed)
        if cited_passage(before) != cited_passage(change.fact):
            self._people.add(change.user_id)
        return Verdict.UNCOUNTED if isinstance(change.fact, Uncounted) else Verdict.REPLACED

    def _uncount(self, change: Change, found: Located) -> Verdict:
        """Take back the counts of a document that has moved into a closed month."""
        gone = replace(change, fact=Uncounted(change.user_id, found.entry.fact.at))
        match gone.order_against(found.entry):
            case VersionOrder.NEWER:
                return self._replace(gone, found)
            case VersionOrder.UNKNOWN:
                return Verdict.UNKNOWN
            case _:
                return Verdict.CLOSED

    def _is_closed(self, hour: EventHour) -> bool:
        return self._retention.is_closed(self._source, month_of(Day(hour[:10])), self._now)

    def _append(self, change: Change, entry: Entry, hour: EventHour | None = None) -> None:
        self._people.add(change.user_id)
        self._pages.append(self._source, change.user_id, change.document_id, hour or entry.fact.hour, entry)

    def ids_of_changed_partials(self) -> set[str]:
        """Return the ids of the partials that change, that list changed pages, or that are guards."""
        self._etag_guards |= self._count.unchanged_in_sum()
        targets = (*self._count.contributions.changed(), *self._etag_guards, *self._changed_pages())
        return set(map(partial_id, targets))

    def _changed_pages(self) -> dict[PartialKey, list[Page]]:
        """Return the changed pages by the partial that lists them."""
        changed: dict[PartialKey, list[Page]] = {}
        for page in self._pages.edited():
            target = PartialKey(DAY, page.hour[:10])
            if not self._is_partial_closed(target):
                changed.setdefault(target, []).append(page)
        return changed

    def outgrown(self, writes: Iterable[Write]) -> list[PartialKey]:
        """Return the states that would grow beyond their limits."""
        return outgrown_states((document for document, _ in writes), self._partial)

    def derive(self) -> None:
        """Add the counts derived from each person's change. Their own partials guard them."""
        people = self._count.people_changed(self._state, lambda user_id: self._record(user_id).first_known)
        self._etag_guards.update(PartialKey(person.NAME, change.user_id) for change in people)
        self._count.derive(people)

    def writes(self) -> list[Write]:
        """Return the documents to write, each with its next revision and its guarding etag."""
        pages = self._changed_pages()
        require_whole(pages, self._loaded, self._users())
        records = changed_records(
            self._people, self._pages.index_changes, self._count, self._record, self._state
        )
        written = dict.fromkeys(self._count.contributions.changed())
        written |= dict.fromkeys(PartialKey(person.NAME, user_id) for user_id in sorted(records))
        written |= dict.fromkeys(target for target in sorted(self._etag_guards) if self._partial(target))
        written |= dict.fromkeys(pages)
        partials = {target: self._next(target) for target in written}
        for target, listed in pages.items():
            partials[target].pages |= {page.name: page.revision for page in listed}
        for user_id, record in records.items():
            own = partials[PartialKey(person.NAME, user_id)]
            own.record = record
            drop_ended_months(own, self._retention, self._now)
        documents: list[StateDocument] = [*self._pages.edited(), *partials.values()]
        for document in documents:
            self._retention.set_ttl(document, self._now)
        return [Write(document, self._etag(document)) for document in documents]

    def _etag(self, document: StateDocument) -> str | None:
        return self._loaded.get(document.id, Loaded(None, None)).etag

    def _next(self, target: PartialKey) -> Partial:
        current = self._partial(target)
        if current is None:
            current = Partial(self._shard, target, revision=self._now)
        return current.next(self._count.change_of(target, self._state).after)

    def _find(self, change: Change) -> Located | None:
        return self._pages.find(self._source, change.user_id, change.document_id, change.fact.hour)

    def _record(self, user_id: str) -> PersonRecord:
        """Return a person's record before the fold."""
        partial = self._partial(PartialKey(person.NAME, user_id))
        if partial is not None and partial.record is not None:
            return partial.record
        return self._new_records.get(user_id) or PersonRecord()

    def _state(self, target: PartialKey) -> Tally:
        current = self._partial(target)
        return current.state if current else Tally()

    def _partial(self, target: PartialKey) -> Partial | None:
        found = self._loaded.get(partial_id(target))
        return found.document if found and isinstance(found.document, Partial) else None


def _person_key(change: Change) -> PartialKey:
    return PartialKey(person.NAME, change.user_id)
