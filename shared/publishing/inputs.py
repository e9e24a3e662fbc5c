"""Read the merged states that documents are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.aggregates import AGGREGATES, churn, person
from shared.aggregates.base import PartialKey
from shared.ledger.partials import PARTIAL
from shared.publishing.contents import BuiltInput
from shared.publishing.decide import Delivery, Origin, digest_of
from shared.publishing.merge import StateMerger
from shared.publishing.merged_state import MergedState, StoredPartial, owner_of
from shared.publishing.plan import Delivered, DocumentKey, inputs_of
from shared.views.base import Collector, Stamp, States
from shared.views.reference import NOTHING_KNOWN, Reference


@dataclass(frozen=True, slots=True)
class ViewInput:
    """The merged states of a document's inputs at one moment, and their origin."""

    merged: Mapping[PartialKey, MergedState]
    delivered: Sequence[StoredPartial]
    """The changed partials that caused the publication. None if a timer or an operator caused it."""
    origin: Origin
    built: BuiltInput = field(default_factory=BuiltInput)
    """The built contents. They are always read for this publication."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever counted or built for the document.

        A person's record is not a count. That people churn on a day makes no document of a day without more.
        """
        counted = (state for target, state in self._counted().items() if target.aggregate != churn.NAME)
        return not any(state.partials for state in counted) and not any(self.built)

    def stamp(self, generation: int, tick: str) -> Stamp:
        """Return the stamp that is stored in the document."""
        counted = self._counted().values()
        return Stamp(
            tick=tick,
            generation=generation,
            revision=self.built.revision + sum(state.revision for state in counted) + self._record_changes(),
            as_of=max([self.built.newest_at, *(state.newest_at for state in counted)]),
        )

    def digest(self) -> str:
        """Return a short hash, equal only for equal states."""
        counted = [(target, state.revisions()) for target, state in self._counted().items()]
        record = (PartialKey(person.NAME, ""), self._record_changes())
        return digest_of([*counted, record, *self.built.revisions()])

    def delivery(self, generation: int) -> Delivery:
        """Return the state that the document should have carried before, because it was delivered."""
        until = max((stored.written for stored in self.delivered), default=0)
        counted = sum(state.revision_until(until) for state in self._counted().values())
        return Delivery(generation, counted + self.built.revision_until(until), until)

    def _counted(self) -> Mapping[PartialKey, MergedState]:
        """Return the states that the document counts.

        A person's own state is written with every change of any of their months. It says which documents may
        exist, and in which month the person was new: :attr:`PersonRecord.changes` counts changes of these.
        """
        return {target: state for target, state in self.merged.items() if target.aggregate != person.NAME}

    def _record_changes(self) -> int:
        records = (state.record() for state in self.merged.values())
        return sum(record.changes for record in records if record is not None)

    def states(self, collected: Collector | None = None, reference: Reference = NOTHING_KNOWN) -> States:
        """Return what the view renders, with what it collected of the built contents."""
        records = {target.key: state.record() for target, state in self.merged.items()}
        return States(
            {target: state.state() for target, state in self.merged.items()},
            {user_id: record for user_id, record in records.items() if record is not None},
            collected=collected,
            figures=self.built.figures,
            reference=reference,
        )


@dataclass(slots=True)
class BatchInputs:
    """The states that a batch of documents is computed from. Each state is read once for all documents."""

    delivered: Delivered = field(default_factory=dict)
    merged: dict[PartialKey, MergedState] = field(default_factory=dict)


class InputReader:
    """Reads the inputs of documents, for a batch or for one document."""

    def __init__(self, merger: StateMerger) -> None:
        self._merger = merger

    def parse(self, changes: Iterable[Mapping[str, Any]]) -> Delivered:
        """Return the partials of the current generation among documents of ``view_state``, by key."""
        delivered: dict[PartialKey, list[StoredPartial]] = {}
        for change in changes:
            if change.get("kind") == PARTIAL and change.get("aggregate") in AGGREGATES:
                stored = StoredPartial.decode(change)
                if self._merger.is_current(stored.partial.shard):
                    delivered.setdefault(stored.partial.target, []).append(stored)
        return delivered

    async def read_batch(self, documents: Iterable[DocumentKey], delivered: Delivered) -> BatchInputs:
        """Read the inputs of all documents, each once. A person's state that was delivered is not read.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        targets = dict.fromkeys(target for document in documents for target in inputs_of(document))
        owned = {target for target in targets if owner_of(target) is not None}
        merged = await self._merger.read_merged(t for t in targets if t not in owned)
        merged |= await self._merger.read_owned(t for t in targets if t in owned and t not in delivered)
        for target in targets:
            if target in delivered:
                self._merger.add(merged.setdefault(target, MergedState()), delivered[target])
        return BatchInputs(delivered, merged)

    async def from_batch(self, inputs: Sequence[PartialKey], batch: BatchInputs) -> ViewInput:
        """Return the inputs of one document from those of its batch. States that the batch lacks are read.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        for target in inputs:
            if target not in batch.merged:
                batch.merged[target] = await self._merger.read_one(target, batch.delivered.get(target, ()))
        delivered = _delivered(inputs, batch)
        origin = Origin.DELIVERED if delivered else Origin.READ
        return ViewInput({target: batch.merged[target] for target in inputs}, delivered, origin)

    async def read_again(self, inputs: Sequence[PartialKey], batch: BatchInputs) -> ViewInput:
        """Read the inputs of one document for it alone. The states that its batch read are not used.

        Partials that the change feed delivered are used: the replica that is read may not have them yet.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        merged = {
            target: await self._merger.read_one(target, batch.delivered.get(target, ())) for target in inputs
        }
        return ViewInput(merged, _delivered(inputs, batch), Origin.READ)

    def forget(self, inputs: Iterable[PartialKey]) -> None:
        """Forget these states. The next read reads them completely."""
        for target in inputs:
            self._merger.forget(target)


def _delivered(inputs: Iterable[PartialKey], batch: BatchInputs) -> list[StoredPartial]:
    counted = (target for target in inputs if target.aggregate != person.NAME)
    return [stored for target in counted for stored in batch.delivered.get(target, ())]
