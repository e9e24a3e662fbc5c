"""What documents show: which of them, the states they are made from, and what stands there already.

All of it is read for many documents at once: states of all shards and of people, and sets of documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.concurrency import for_each
from shared.ledger.partials import PARTIAL
from shared.publishing.merge import Merge, Merger, StoredPartial
from shared.publishing.writer import Published, Standing, Writer
from shared.views import VIEWS
from shared.views.base import DocumentSet, Schedule, Stamp, States

SETS_AT_ONCE = 16

DOCUMENTS_AT_ONCE = 500

STATES_AT_ONCE = 100
"""Days and months, of all shards, that are in memory for documents that are published together. A text's
month needs 64 of them, and two months that follow each other 95. At 1,000 interactions a day a day takes
some 2 MB, at 10,000 some 9."""


class DocumentKey(NamedTuple):
    """A view and a key: what is published together, of most views one document."""

    view: str
    key: str


def showing(targets: Iterable[PartialKey], schedule: Schedule) -> list[DocumentKey]:
    """Return what shows any of the states, each once."""
    return list(
        dict.fromkeys(
            DocumentKey(name, key)
            for target in targets
            for name, view in VIEWS.items()
            if view.schedule is schedule
            for key in view.keys_affected_by(target)
        )
    )


def withdrawn(delivered: Mapping[PartialKey, Iterable[StoredPartial]]) -> list[DocumentKey]:
    """Return what changed states take away."""
    return [
        DocumentKey(name, key)
        for target, changes in delivered.items()
        for name, view in VIEWS.items()
        if any(view.revokes(target, stored.partial.state) for stored in changes)
        for key in view.keys_affected_by(target)
    ]


def emptied(delivered: Mapping[PartialKey, Iterable[StoredPartial]]) -> list[DocumentKey]:
    """Return what shows a person's state that lost everything: a refusal later on is not said there."""
    return [
        DocumentKey(name, key)
        for target, changes in delivered.items()
        if AGGREGATES[target.aggregate].person(target.key) is not None
        and not all(stored.partial.state for stored in changes)
        for name, view in VIEWS.items()
        for key in view.keys_affected_by(target)
    ]


def portions(documents: Iterable[DocumentKey]) -> Iterator[list[DocumentKey]]:
    """Yield documents in lists to publish one after the other, so that what they show fits into memory.

    Those that show states of all shards come first, neighbours together; those of people stay in order.
    """
    shared: dict[DocumentKey, set[PartialKey]] = {}
    people: list[DocumentKey] = []
    for document in documents:
        inputs = {t for t in _inputs(document) if AGGREGATES[t.aggregate].person(t.key) is None}
        if inputs:
            shared[document] = inputs
        else:
            people.append(document)
    portion, states = list[DocumentKey](), set[PartialKey]()
    for document in (*sorted(shared), *people):
        inputs = shared.get(document, set())
        if len(portion) == DOCUMENTS_AT_ONCE or (portion and len(states | inputs) > STATES_AT_ONCE):
            yield portion
            portion, states = [], set()
        portion.append(document)
        states |= inputs
    if portion:
        yield portion


def person_of(document: DocumentKey) -> str | None:
    """Return whose document it is, None if it is not about one person."""
    people = {AGGREGATES[target.aggregate].person(target.key) for target in _inputs(document)}
    return people.pop() if len(people) == 1 else None


def _inputs(document: DocumentKey) -> Sequence[PartialKey]:
    """Return the states that a document shows; none if its key means nothing: publishing it says so."""
    try:
        return VIEWS[document.view].inputs(document.key)
    except ValueError:
        return ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a document is to show: the merges of its inputs at one moment."""

    merges: Mapping[PartialKey, Merge]
    delivered: Sequence[StoredPartial]
    """Partials whose change is the reason to publish."""

    @property
    def is_empty(self) -> bool:
        return not any(merge.partials for merge in self.merges.values())

    def stamp(self, generation: int, tick: str) -> Stamp:
        return Stamp(
            tick=tick,
            generation=generation,
            revision=sum(merge.revision for merge in self.merges.values()),
            as_of=max(merge.newest_at for merge in self.merges.values()),
        )

    def digest(self) -> str:
        """Return a short hash that is the same only for the same states."""
        vector = sorted((target, merge.revisions()) for target, merge in self.merges.items())
        return sha256(repr(vector).encode()).hexdigest()[:16]

    def was_missed(self, published: Published | None, generation: int) -> bool:
        """Say whether what is published does not show what was delivered.

        What was written after that is left out of account: it is on its way to be published anyhow.
        """
        if published is None or published.generation < generation:
            return True
        until = max((stored.written for stored in self.delivered), default=0)
        if published.as_of is not None and published.as_of.timestamp() < until:
            return True
        seen = (stored for merge in self.merges.values() for stored in merge.partials.values())
        return published.revision < sum(stored.partial.revision for stored in seen if stored.written <= until)

    def states(self) -> States:
        return States({target: merge.state() for target, merge in self.merges.items()})


@dataclass(slots=True)
class Batch:
    """Changed partials, and the merges that were made for them: each input is read once for all documents."""

    delivered: dict[PartialKey, list[StoredPartial]] = field(default_factory=dict)
    merges: dict[PartialKey, Merge] = field(default_factory=dict)
    standing: dict[DocumentKey, Mapping[str, Standing]] = field(default_factory=dict)
    """What stands there of the document_sets of documents, where it was read for many at once."""
    again: bool = False
    """Documents are written even if they show this state already."""
    held: Collection[DocumentKey] = ()
    """Documents that may be taken away, and not written: their view is held back."""


class Reader:
    """Reads for a publisher."""

    def __init__(self, merger: Merger, writer: Writer) -> None:
        self._merger = merger
        self._writer = writer

    def take(self, changes: Iterable[Mapping[str, Any]]) -> Batch:
        """Return the partials of the current generation among documents of ``view_state``."""
        batch = Batch()
        for change in changes:
            if change.get("kind") == PARTIAL and change.get("aggregate") in AGGREGATES:
                stored = StoredPartial.decode(change)
                if self._merger.is_current(stored.partial.shard):
                    batch.delivered.setdefault(stored.partial.target, []).append(stored)
        return batch

    async def read(self, documents: Sequence[DocumentKey], batch: Batch) -> None:
        """Read what is needed to publish documents, where reading it for many at once costs less.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        await self._read_inputs(documents, batch)
        await self._read_standing(documents, batch)

    async def shown(self, inputs: Sequence[PartialKey], batch: Batch, *, first: bool) -> Shown:
        """Return what a document with these inputs is to show.

        Parameters
        ----------
        first
            Take what was read or delivered; later the state is read again.
        """
        merges = {target: await self._input(target, batch, first=first) for target in inputs}
        return Shown(merges, [stored for target in inputs for stored in batch.delivered.get(target, ())])

    def forget(self, inputs: Iterable[PartialKey]) -> None:
        """Read everything again next time."""
        for target in inputs:
            self._merger.forget(target)

    async def _read_inputs(self, documents: Iterable[DocumentKey], batch: Batch) -> None:
        """Read all states that the documents show, each once, but those of people that were delivered."""
        inputs: dict[PartialKey, None] = {}
        for document in documents:
            inputs |= dict.fromkeys(_inputs(document))
        people = {t for t in inputs if AGGREGATES[t.aggregate].person(t.key) is not None}
        shared = [target for target in inputs if target not in people]
        for target, merge in (await self._merger.refresh(shared)).items():
            self._merger.see(merge, batch.delivered.get(target, []))
            batch.merges[target] = merge
        batch.merges |= await self._merger.of_people(
            t for t in inputs if t in people and t not in batch.delivered
        )

    async def _read_standing(self, documents: Iterable[DocumentKey], batch: Batch) -> None:
        """Read what is published of sets that have a logical partition: one query for each partition."""
        partitions: dict[tuple[str, str], dict[DocumentKey, DocumentSet]] = defaultdict(dict)
        for document in documents:
            view = VIEWS[document.view]
            try:
                document_set = view.document_set(document.key)
            except ValueError:
                continue  # said again when it is published
            if document_set is not None and document_set.partition is not None:
                partitions[view.container, document_set.partition][document] = document_set

        async def read(container: str, document_sets: Mapping[DocumentKey, DocumentSet]) -> None:
            found = await self._writer.find(container, list(document_sets.values()))
            batch.standing |= zip(document_sets, found, strict=True)

        await for_each(
            ((container, document_sets) for (container, _), document_sets in partitions.items()),
            lambda question: read(*question),
            at_once=SETS_AT_ONCE,
        )

    async def _input(self, target: PartialKey, batch: Batch, *, first: bool) -> Merge:
        delivered = batch.delivered.get(target, [])
        if not first:
            return await self._merger.merge(target, delivered, trust_delivered=False)
        if target not in batch.merges:
            batch.merges[target] = await self._merger.merge(target, delivered, trust_delivered=True)
        return batch.merges[target]
