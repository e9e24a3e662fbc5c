"""Room in states: which of them accept no more documents, and the verdict on a document then. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.ledger.changes import Verdict
from shared.ledger.partials import Partial
from shared.ledger.sizes import RESERVE_BYTES
from shared.ledger.state import StateDocument

PartialOf = Callable[[PartialKey], Partial | None]
"""Returns a partial as it is stored, None if it does not exist."""


def full_states(documents: Iterable[StateDocument | None]) -> set[PartialKey]:
    """Return those of some stored states that have no room for one more document."""
    return {
        document.target
        for document in documents
        if isinstance(document, Partial)
        and document.weight > AGGREGATES[document.target.aggregate].max_bytes - RESERVE_BYTES
    }


def outgrown_states(documents: Iterable[StateDocument], partial_of: PartialOf) -> list[PartialKey]:
    """Return the states that would grow beyond their limits if the documents were written."""
    return [
        document.target
        for document in documents
        if isinstance(document, Partial)
        and document.weight > AGGREGATES[document.target.aggregate].max_bytes
        and document.weight > _weight(partial_of(document.target))
    ]


def refusal(full: Iterable[PartialKey]) -> Verdict:
    """Return the verdict on a document for which states have no room."""
    are_owned = all(AGGREGATES[target.aggregate].owner_of(target.key) is not None for target in full)
    return Verdict.FULL if are_owned else Verdict.CROWDED


def _weight(partial: Partial | None) -> int:
    return 0 if partial is None else partial.weight
