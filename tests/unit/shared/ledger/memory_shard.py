"""One shard as a dictionary: answers what a fold needs, and commits what it writes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from shared.facts import USER_INTERACTIONS, Fact, Uncounted
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version
from shared.ledger.fold import DocumentsById, Folded, Need, PagesByFingerprint, drive, fold_changes
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, Write

SHARD = ShardId("1:0000")


def change(
    fact: Fact | Uncounted, document_id: str = "i1", number: int = 1, *, ts: int | None = None, **options: Any
) -> Change:
    """Return the ``number``-th write of the source as a change of a document."""
    version = Version(number if ts is None else ts, number, f'"{number}"')
    return Change(fact.user_id, document_id, version, fact, **options)


class MemoryShard:
    """Documents by id, with etags, and an index of the fingerprints on the pages."""

    def __init__(self) -> None:
        self.documents: dict[str, Loaded] = {}
        self.needs: list[Need] = []
        """What the last fold asked for, in order."""
        self.written: list[str] = []
        """The ids that the last fold wrote, in order."""
        self._writes = 0

    def fold(self, *changes: Change, source: str = USER_INTERACTIONS) -> list[Verdict]:
        """Fold changes and commit; check that every write is guarded by the etag of what was loaded."""
        self.needs = []
        folded: Folded = drive(fold_changes(SHARD, source, changes), self.answer)
        self.commit(folded.writes)
        return [verdict for _, verdict in folded.verdicts]

    def answer(self, need: Need) -> dict[str, Loaded]:
        """Return what a fold needs; check that it has not asked for it before."""
        match need:
            case DocumentsById(ids):
                assert ids
                assert not ids & self.asked_ids()
                self.needs.append(need)
                return {document_id: self._load(document_id) for document_id in ids}
            case PagesByFingerprint(fingerprints):
                assert fingerprints
                assert not any(isinstance(earlier, PagesByFingerprint) for earlier in self.needs)
                self.needs.append(need)
                return {page.id: self._load(page.id) for page in self.pages_indexing(fingerprints)}

    def asked_ids(self) -> set[str]:
        """Return the ids that the last fold asked for."""
        return {
            document_id for need in self.needs if isinstance(need, DocumentsById) for document_id in need.ids
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

    def pages_indexing(self, fingerprints: Sequence[str]) -> list[Page]:
        """Return the pages that index any of the fingerprints."""
        return [page for page in self.pages().values() if set(page.encode()["ids"]) & set(fingerprints)]

    def partial(self, document_id: str) -> Partial:
        """Return a stored partial."""
        document = self.documents[document_id].document
        assert isinstance(document, Partial)
        return document

    def state(self, document_id: str) -> dict[str, dict[str, int]]:
        """Return the counts of a stored partial."""
        return self.partial(document_id).state.encode()

    def states(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the counts of all partials that hold any."""
        return {
            name: loaded.document.state.encode()
            for name, loaded in self.documents.items()
            if isinstance(loaded.document, Partial) and loaded.document.state
        }

    def _load(self, document_id: str) -> Loaded:
        return copy.deepcopy(self.documents.get(document_id, Loaded(None, None)))
