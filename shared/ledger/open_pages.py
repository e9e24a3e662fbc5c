"""The ledger pages of one fold: loaded pages, edited pages, and the page of each entry. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from shared.aggregates.document_index import document_hash, reference_hash
from shared.facts import FACTS
from shared.ledger.pages import Entry, Page, page_id
from shared.ledger.shards import ShardId
from shared.units import EventHour


class Located(NamedTuple):
    """An entry and its page."""

    page_id: str
    hour: EventHour
    """The page's hour. An uncounted entry stays on the page of the entry that it replaced."""
    entry: Entry


class IndexChange(NamedTuple):
    """An addition to a person's document index, or a removal."""

    user_id: str
    source: str
    hashed: str
    hour: EventHour
    is_added: bool


class OpenPages:
    """Pages of one shard. A loaded page is never changed. The first edit copies it.

    Adding a page indexes the entries of the given people, so that :meth:`find` is a lookup.

    Attributes
    ----------
    index_changes
        What the edits change in the document indexes of people's records.

    Parameters
    ----------
    users
        The people whose entries can be found.
    first_revision
        The revision before the first one of a new page.
    """

    def __init__(self, shard: ShardId, users: Collection[str], first_revision: int) -> None:
        self._shard = shard
        self._first_revision = first_revision
        self._users = frozenset(users)
        self._pages: dict[str, Page] = {}
        self._edited: set[str] = set()
        self._pages_of: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        """Page ids by source, user and document id. Two, if a stale cached page has the entry as well."""
        self._referring: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        """Ids of the referring documents, by source, user and key of the document of another source."""
        self.index_changes: list[IndexChange] = []

    def add(self, pages: Iterable[Page]) -> None:
        """Add loaded pages."""
        for page in pages:
            on = page.id
            self._pages[on] = page
            for user_id in page.entries.keys() & self._users:
                for document_id in page.entries[user_id]:
                    self._index(page, on, user_id, document_id)

    def find(
        self, source: str, user_id: str, document_id: str, hour: EventHour | None = None
    ) -> Located | None:
        """Return a document's entry, None if no loaded page has it.

        Parameters
        ----------
        hour
            The hour of the entry. Two pages have the entry if one was cached before the entry moved. The page
            of this hour is then preferred. The etag of the other page stops the commit.
        """
        expected = self._pages.get(page_id(source, hour)) if hour is not None else None
        entry = expected.get(user_id, document_id) if expected is not None else None
        if expected is not None and entry is not None:
            return Located(expected.id, expected.hour, entry)
        for candidate in self._pages_of.get((source, user_id, document_id), ()):
            page = self._pages[candidate]
            entry = page.get(user_id, document_id)
            if entry is not None:
                return Located(candidate, page.hour, entry)
        return None

    def referring_to(self, source: str, user_id: str, reference: str) -> list[str]:
        """Return the documents of a source whose facts have a reference, in order."""
        return sorted(self._referring.get((source, user_id, reference), ()))

    def parts(self, source: str, hour: EventHour) -> list[str]:
        """Return the ids of all parts of an hour, as far as its first part is loaded."""
        return [page_id(source, hour, part) for part in range(self.last_part(source, hour) + 1)]

    def last_part(self, source: str, hour: EventHour) -> int:
        """Return the number of an hour's last part, which receives new entries, as far as it is loaded."""
        first = self._pages.get(page_id(source, hour))
        return first.parts - 1 if first else 0

    def has_room_for(self, entry: Entry, at: Located) -> bool:
        """Return whether an entry fits on the page of its older version."""
        return self._pages[at.page_id].has_room_for(entry, at.entry)

    def replace(self, at: Located, user_id: str, document_id: str, entry: Entry) -> None:
        """Replace an older version by an entry."""
        page = self._edit(at.page_id)
        before, after = at.entry.fact.reference, entry.fact.reference
        if before != after:
            self._change_index(page, user_id, before, is_added=False)
            self._change_index(page, user_id, after, is_added=True)
        page.put(user_id, document_id, entry)
        self._index(page, at.page_id, user_id, document_id)

    def remove(self, at: Located, user_id: str, document_id: str) -> None:
        """Drop an entry."""
        page = self._edit(at.page_id)
        page.remove(user_id, document_id)
        hashed = document_hash(page.source, document_id)
        self.index_changes.append(IndexChange(user_id, page.source, hashed, page.hour, is_added=False))
        self._change_index(page, user_id, at.entry.fact.reference, is_added=False)

    def append(self, source: str, user_id: str, document_id: str, hour: EventHour, entry: Entry) -> None:
        """Add a new entry to the last part of an hour. If that part is full, a new part starts."""
        part = self.last_part(source, hour)
        last = self._pages.get(page_id(source, hour, part))
        if last is not None and last.full:
            part += 1
            self._edit_part(source, hour, 0).parts = part + 1
        page = self._edit_part(source, hour, part)
        page.put(user_id, document_id, entry)
        self._index(page, page.id, user_id, document_id)
        hashed = document_hash(source, document_id)
        self.index_changes.append(IndexChange(user_id, source, hashed, hour, is_added=True))
        self._change_index(page, user_id, entry.fact.reference, is_added=True)

    def _change_index(self, page: Page, user_id: str, reference: str | None, *, is_added: bool) -> None:
        if reference is not None:
            hashed = reference_hash(page.source, reference)
            self.index_changes.append(IndexChange(user_id, page.source, hashed, page.hour, is_added))

    def edited(self) -> list[Page]:
        """Return the changed pages, each with its next revision, in order of their ids."""
        return [self._pages[document_id] for document_id in sorted(self._edited)]

    def _edit_part(self, source: str, hour: EventHour, part: int) -> Page:
        document_id = page_id(source, hour, part)
        if document_id not in self._pages:
            self._pages[document_id] = Page(self._shard, source, hour, part, revision=self._first_revision)
        return self._edit(document_id)

    def _edit(self, document_id: str) -> Page:
        if document_id not in self._edited:
            page = self._pages[document_id].copy()
            page.revision += 1
            self._pages[document_id] = page
            self._edited.add(document_id)
        return self._pages[document_id]

    def _index(self, page: Page, on: str, user_id: str, document_id: str) -> None:
        self._pages_of[page.source, user_id, document_id].add(on)
        reference = FACTS[page.source].stored_reference(page.stored_fact(user_id, document_id))
        if reference is not None:
            self._referring[page.source, user_id, reference].add(document_id)
