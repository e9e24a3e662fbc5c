"""The fold: what a change does to the state of its shard. Pure; ``folding`` brings and stores the state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.aggregates import AGGREGATES, DERIVATIONS, person, person_month
from shared.aggregates.base import RENEWAL, Changed, Contributions, PartialKey, PersonChange
from shared.aggregates.month import NAME as MONTH
from shared.aggregates.tally import Tally
from shared.facts import Fact, InteractionFact, Passage, Withdrawn
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Order
from shared.ledger.incident_passages import Attribution
from shared.ledger.pages import Entry, Page, fingerprint, page_id
from shared.ledger.partials import Partial, partial_id
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, StateDocument, Write
from shared.units import EventHour, Month


def keys(fact: Fact | Withdrawn) -> list[PartialKey]:
    """Return the partials that one fact contributes to."""
    if isinstance(fact, Withdrawn):
        return [PartialKey(person.NAME, fact.user_id)]
    return [PartialKey(name, key) for name, counted in AGGREGATES.items() for key in counted.keys(fact)]


def contribute(fact: Fact | Withdrawn, into: Contributions) -> None:
    """Add what one fact means for all aggregates."""
    if isinstance(fact, Withdrawn):
        person.withdraw(fact, into)
        return
    for aggregate in AGGREGATES.values():
        aggregate.contribute(fact, into)


def retract(fact: Fact | Withdrawn, into: Contributions) -> None:
    """Take back what one fact meant for all aggregates."""
    contributions = Contributions()
    contribute(fact, contributions)
    into.merge(contributions, -1)


class Working:
    """The state of one shard while one set of changes is folded into it.

    Loaded documents are never changed; what a fold touches is copied first. The order of calls is
    ``needed_at_first`` – load – ``needed_parts`` – load – ``missing`` – find and load – ``decide`` –
    ``needed_partials`` – load – ``needed_months`` – load – ``derive`` – ``needed_partials`` – load –
    ``writes``.
    """

    def __init__(self, shard: ShardId, source: str) -> None:
        self.shard = shard
        self.source = source
        self.loaded: dict[str, Loaded] = {}
        self.contributions = Contributions()
        self._pages: dict[str, Page] = {}
        """Every page at hand, the edited copy in place of the loaded one."""
        self._edited: set[str] = set()
        self._newest: dict[PartialKey, int] = {}
        """Partials that an entry concerns, with the time of its newest version."""
        self._moved: set[str] = set()
        """People with an entry that was put onto a page, taken from one, or points others elsewhere."""
        self._relied_on: set[PartialKey] = set()
        """Partials that something was derived from, or that count an entry that went to another page."""
        self._attribution = Attribution(self._pages, self._person)

    def take(self, documents: Mapping[str, Loaded]) -> None:
        """Take documents as they are stored."""
        self.loaded.update(documents)
        self._pages.update(
            (key, found.document) for key, found in documents.items() if isinstance(found.document, Page)
        )

    def needed_at_first(self, changes: Iterable[Change]) -> set[str]:
        """Return the ids to load before anything can be said: pages, and the partials of the new facts."""
        needed: set[str] = set()
        for change in changes:
            needed.add(page_id(self.source, change.fact.hour))
            needed.update(map(partial_id, keys(change.fact)))
        return needed - self.loaded.keys()

    def needed_parts(self, changes: Iterable[Change]) -> set[str]:
        """Return the ids of the last parts of hours that go on beyond their first page."""
        hours = {change.fact.hour for change in changes}
        return {page_id(self.source, hour, self._last_part(hour)) for hour in hours} - self.loaded.keys()

    def missing(self, changes: Iterable[Change]) -> list[str]:
        """Return the fingerprints of documents that may stand on a page that is not loaded.

        A document is normally new, or on the page of its hour. But its time may have been corrected, or its
        hour may have several parts: then the index tells. A person with no activity at all has no entries.
        Incidents and the interactions they point at are looked for as well.
        """
        changes = list(changes)
        moved = {
            fingerprint(self.source, change.user_id, change.document_id)
            for change in changes
            if self._locate(change) is None and self._person(change.user_id)
        }
        return sorted(moved | self._attribution.wanted(changes))

    def decide(self, changes: Iterable[Change]) -> list[tuple[Change, Verdict]]:
        """Compare each change with the ledger, update the pages and gather what changes in the views."""
        decided = [(change, self._decide(self._attribution.attributed(change))) for change in changes]
        for incident in list(self._attribution.moved(change for change, _ in decided)):
            self._edit(incident.page.id).put(incident.user_id, incident.document_id, incident.after)
            self._note(incident.after)
            self._recount(incident.before.fact, incident.after.fact)
        return decided

    def _decide(self, change: Change) -> Verdict:
        found = self._locate(change)
        if found is None:
            if change.corrects:
                return Verdict.OLDER  # counted under another version by now, and that at today's prices
            self._put_new(change)
            self._note(Entry(change.version, change.fact))
            contribute(change.fact, self.contributions)
            return Verdict.WITHDRAWN if isinstance(change.fact, Withdrawn) else Verdict.ADDED
        page, entry = found
        order = change.version.order_against(entry.version)
        if change.live and order is not Order.SAME:
            order = Order.NEWER  # whatever the clock says: it was read from the source just now
        if change.corrects:
            if order is not Order.SAME:
                return Verdict.OLDER
            order = Order.SAME if change.fact == entry.fact else Order.NEWER
        if order is Order.SAME and isinstance(entry.fact, Withdrawn) and change.fact != entry.fact:
            order = Order.NEWER  # this release reads what the one before could not
        match order:
            case Order.SAME:
                return Verdict.SAME
            case Order.OLDER:
                return Verdict.OLDER
            case Order.UNKNOWN:
                return Verdict.UNKNOWN
            case Order.NEWER:
                self._replace(page, entry, change)
                return Verdict.WITHDRAWN if isinstance(change.fact, Withdrawn) else Verdict.REPLACED

    def _replace(self, page: Page, entry: Entry, change: Change) -> None:
        counted = Entry(change.version, change.fact)
        stays = page.hour == change.fact.hour or isinstance(change.fact, Withdrawn)
        if stays and page.holds(counted):
            self._edit(page.id).put(change.user_id, change.document_id, counted)
        else:
            self._edit(page.id).remove(change.user_id, change.document_id)
            self._put_new(change)
            self._tell_readers(entry.fact, change.fact)
        self._note(counted)
        self._recount(entry.fact, change.fact)
        if _passage(entry.fact) != _passage(change.fact):
            self._moved.add(change.user_id)

    def _tell_readers(self, *facts: Fact | Withdrawn) -> None:
        """Have all that counts an entry written when it goes to another page, even if it counts the same.

        A rebuild that reads page after page meanwhile finds the entry on both, or on neither.
        """
        for fact in facts:
            counting = keys(fact)
            self._relied_on.update(counting)
            if isinstance(fact, Fact) and any(target.aggregate == person_month.NAME for target in counting):
                self._relied_on.add(PartialKey(MONTH, fact.month))

    def _recount(self, before: Fact | Withdrawn, after: Fact | Withdrawn) -> None:
        if before != after:
            retract(before, self.contributions)
            contribute(after, self.contributions)

    def _note(self, entry: Entry) -> None:
        """Remember which partials count this version: they must outlive it."""
        for target in keys(entry.fact):
            self._newest[target] = max(self._newest.get(target, 0), entry.version.ts)

    def _put_new(self, change: Change) -> None:
        self._moved.add(change.user_id)
        hour = change.fact.hour
        part = self._last_part(hour)
        page = self._edit(page_id(self.source, hour, part), hour, part)
        if page.full:
            part += 1
            self._edit(page_id(self.source, hour), hour).parts = part + 1
            page = self._edit(page_id(self.source, hour, part), hour, part)
        page.put(change.user_id, change.document_id, Entry(change.version, change.fact))

    def needed_partials(self) -> set[str]:
        """Return the ids of the partials that change, or are to be written anyway, and are not loaded."""
        changing = {target for target, delta in self.contributions.deltas.items() if delta}
        return set(map(partial_id, changing | self._relied_on)) - self.loaded.keys()

    def needed_months(self) -> set[str]:
        """Return the ids of months that mean something else because of what changes beside them."""
        return {
            partial_id(PartialKey(person_month.NAME, person_month.month_key(month, target.key)))
            for target, delta in self.contributions.deltas.items()
            if delta and target.aggregate == person.NAME
            for month in person.months_affected(*self._changed(target))
        } - self.loaded.keys()

    def derive(self) -> None:
        """Add what follows from the change of each person's own state, for their months and fleet-wide."""
        derived = Contributions()
        for change in self._people():
            self._rely_on(change)
            for derivation in DERIVATIONS:
                derivation(change, derived)
        self.contributions.merge(derived)

    def _rely_on(self, change: PersonChange) -> None:
        """Remember the states of a person that are stored: they are written even if nothing changes there.

        Their etags then say that this instance did not read one of them before another instance changed it.
        """
        months = (
            PartialKey(person_month.NAME, person_month.month_key(month, change.user_id))
            for month in change.months
        )
        of_person = PartialKey(person.NAME, change.user_id)
        self._relied_on.update((of_person, *months))

    def _people(self) -> list[PersonChange]:
        """Return the people whose own state changes."""
        months: dict[str, dict[Month, Changed]] = {}
        for target, delta in self.contributions.deltas.items():
            if delta and target.aggregate == person.NAME:
                of_person = months.setdefault(target.key, {})
                for month in person.months_affected(*self._changed(target)):
                    key = PartialKey(person_month.NAME, person_month.month_key(month, target.key))
                    of_person[month] = self._changed(key)
            elif delta and target.aggregate == person_month.NAME:
                month, user_id = person_month.split_key(target.key)
                months.setdefault(user_id, {})[month] = self._changed(target)
        return [
            PersonChange(user_id, self._changed(PartialKey(person.NAME, user_id)), changed)
            for user_id, changed in months.items()
        ]

    def _changed(self, target: PartialKey) -> Changed:
        before = self._state(target)
        delta = self.contributions.deltas.get(target)
        if not delta:
            return Changed(before, before)
        after = before.copy()
        after.merge(delta)
        return Changed(before, after)

    def writes(self) -> list[Write]:
        """Return the documents that change, each with its next revision."""
        pages: list[StateDocument] = [self._pages[key] for key in sorted(self._edited)]
        changing = dict.fromkeys(target for target, delta in self.contributions.deltas.items() if delta)
        # Whoever puts or moves an entry writes its person, even if nothing changes there: two writers that
        # put one document onto two pages then meet in its etag.
        changing |= dict.fromkeys(PartialKey(person.NAME, user_id) for user_id in sorted(self._moved))
        changing |= dict.fromkeys(target for target in sorted(self._relied_on) if self._partial(target))
        changing |= dict.fromkeys(target for target in self._newest if self._is_due_for_renewal(target))
        partials = [self._next(target) for target in changing]
        return [
            Write(document, self.loaded[document.id].etag if document.id in self.loaded else None)
            for document in (*pages, *partials)
        ]

    def _next(self, target: PartialKey) -> Partial:
        current = self._partial(target)
        partial = (
            current.copy() if current else Partial(self.shard, target, ttl=AGGREGATES[target.aggregate].ttl)
        )
        delta = self.contributions.deltas.get(target)
        if delta:
            partial.state.merge(delta)
        partial.newest = max(partial.newest, self._newest.get(target, 0))
        partial.revision += 1
        return partial

    def _is_due_for_renewal(self, target: PartialKey) -> bool:
        current = self._partial(target)
        return current is not None and self._newest[target] - current.newest > RENEWAL

    def _state(self, target: PartialKey) -> Tally:
        current = self._partial(target)
        return current.state if current else Tally()

    def _partial(self, target: PartialKey) -> Partial | None:
        found = self.loaded.get(partial_id(target))
        return found.document if found and isinstance(found.document, Partial) else None

    def _person(self, user_id: str) -> Tally:
        return self._state(PartialKey(person.NAME, user_id))

    def _last_part(self, hour: EventHour) -> int:
        first = self._pages.get(page_id(self.source, hour))
        return first.parts - 1 if first else 0

    def _locate(self, change: Change) -> tuple[Page, Entry] | None:
        """Find the entry of a document on the pages at hand, the page of its hour first."""
        likely = self._pages.get(page_id(self.source, change.fact.hour))
        others = (page for page in self._pages.values() if page.source == self.source)
        for page in (*((likely,) if likely else ()), *others):
            entry = page.get(change.user_id, change.document_id)
            if entry is not None:
                return page, entry
        return None

    def _edit(self, document_id: str, hour: EventHour | None = None, part: int = 0) -> Page:
        if document_id in self._edited:
            return self._pages[document_id]
        stored = self._pages.get(document_id)
        if stored is not None:
            page = stored.copy()
        elif hour is not None:
            page = Page(self.shard, self.source, hour, part)
        else:
            raise LookupError(f"page {document_id} is not loaded")
        page.revision += 1
        self._pages[document_id] = page
        self._edited.add(document_id)
        return page


def _passage(fact: Fact | Withdrawn) -> Passage | None:
    """What incidents that point at an interaction are about: whoever reads it must notice if it changes."""
    return fact.main_passage if isinstance(fact, InteractionFact) else None
