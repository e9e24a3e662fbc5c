"""One shard as a dictionary: answers what a fold needs, and commits what it writes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.facts import USER_INTERACTIONS, USERS, Fact, Uncounted
from shared.ledger.accounts import fold_accounts
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version
from shared.ledger.fold import fold_changes
from shared.ledger.needs import Answer, DocumentsById, Folded, Need, RecordsOf, drive
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, Write
from shared.units import Millis

SHARD = ShardId("1:0000")

NOW = Millis(1_754_000_000_000)
"""The time of a fold. Whatever is new has the next revision."""


def change(
    fact: Fact | Uncounted, document_id: str = "i1", number: int = 1, *, ts: int | None = None, **options: Any
) -> Change:
    """Return the ``number``-th write of the source as a change of a document."""
    version = Version(number if ts is None else ts, number, f'"{number}"')
    return Change(fact.user_id, document_id, version, fact, **options)


def counted(name: str, amount: int) -> Tally:
    """Return a tally with one sum."""
    tally = Tally()
    tally.add(name, amount)
    return tally


class MemoryShard:
    """Documents by id, with etags.

    Parameters
    ----------
    records
        The records of people who have no state yet.
    now
        The time of the folds.
    """

    def __init__(self, records: Mapping[str, PersonRecord] | None = None, now: Millis = NOW) -> None:
        self.now = now
        self.records = records or {}
        self.documents: dict[str, Loaded] = {}
        self.needs: list[Need] = []
        """What the last fold asked for, in order."""
        self.written: list[str] = []
        """The ids that the last fold wrote, in order."""
        self._writes = 0

    def fold(self, *changes: Change, source: str = USER_INTERACTIONS) -> list[Verdict]:
        """Fold changes and commit; check that every write is guarded by the etag of what was loaded."""
        unfinished, verdicts = True, list[Verdict]()
        while unfinished:
            self.needs = []
            if source == USERS:
                fold = fold_accounts(SHARD, changes, self.now)
            else:
                fold = fold_changes(SHARD, source, changes, self.now)
            folded: Folded = drive(fold, self.answer)
            self.commit(folded.writes)
            verdicts = verdicts or [verdict for _, verdict in folded.verdicts]
            unfinished = folded.unfinished
        return verdicts

    def answer(self, need: Need) -> Answer:
        """Return what a fold needs; check that it has not asked for it before."""
        match need:
            case DocumentsById(ids, stored):
                assert ids
                assert not ids & self.asked_ids(stored=stored)
                self.needs.append(need)
                return {document_id: self._load(document_id) for document_id in ids}
            case RecordsOf(users):
                assert users
                self.needs.append(need)
                return {user_id: self.records[user_id] for user_id in users if user_id in self.records}

    def asked_ids(self, *, stored: bool | None = None) -> set[str]:
        """Return the ids that the last fold asked for."""
        return {
            document_id
            for need in self.needs
            if isinstance(need, DocumentsById) and stored in (None, need.stored)
            for document_id in need.ids
        }

    def commit(self, writes: Sequence[Write]) -> None:
        """Store all documents under new etags, if each guard is the stored etag."""
        for document, guard in writes:
            assert guard == self._load(document.id).etag, document.id
        self.written = [document.id for document, _ in writes]
        assert len(self.written) == len(set(self.written))
        for document, _ in writes:
            self._writes += 1
            self.documents[document.id] = Loaded(copy.deepcopy(document), f"etag-{self._writes}")

    def pages(self) -> dict[str, Page]:
        """Return the ledger pages by id."""
        return {
            name: loaded.document
            for name, loaded in self.documents.items()
            if isinstance(loaded.document, Page)
        }

    def partial(self, document_id: str) -> Partial:
        """Return a stored partial."""
        document = self.documents[document_id].document
        assert isinstance(document, Partial)
        return document

    def record(self, user_id: str) -> PersonRecord:
        """Return the stored record of a person."""
        record = self.partial(f"partial|person|{user_id}").record
        assert record is not None
        return record

    def state(self, document_id: str) -> dict[str, Any]:
        """Return the counts of a stored partial."""
        return self.partial(document_id).state.encode()

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the counts of all partials that hold any."""
        return {
            name: loaded.document.state.encode()
            for name, loaded in self.documents.items()
            if isinstance(loaded.document, Partial) and loaded.document.state
        }

    def _load(self, document_id: str) -> Loaded:
        return copy.deepcopy(self.documents.get(document_id, Loaded(None, None)))
