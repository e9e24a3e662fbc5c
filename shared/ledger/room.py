"""Room in states: which of them accept no more documents, and the verdict on a document then. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.ledger.changes import Verdict
from shared.ledger.partials import Partial
from shared.ledger.sizes import RESERVE_BYTES
from shared.ledger.state import StateDocument

NAMES_SHARE = 0.7

KNOWN_NAMES_BYTES = 64
"""Most bytes by which a document with known names enlarges a shared state: a minute of the day, a bucket of a
histogram. A new name of a persona takes more, as it has several counts."""

PartialOf = Callable[[PartialKey], Partial | None]
"""Returns a partial as it is stored, None if it does not exist."""


def full_states(documents: Iterable[StateDocument | None]) -> set[PartialKey]:
    """Return those of some people's stored states that have no room for one more document.

    A state that people share still has room for documents with names that it knows.
    """
    return {
        document.target
        for document in documents
        if isinstance(document, Partial)
        and is_owned(document.target)
        and document.weight > AGGREGATES[document.target.aggregate].max_bytes - RESERVE_BYTES
    }


def outgrown_states(documents: Iterable[StateDocument], partial_of: PartialOf) -> list[PartialKey]:
    """Return the states that would grow beyond their limits if the documents were written.

    What people share accepts new names only up to :data:`NAMES_SHARE` of its limit. The rest is for documents
    with names that it knows: of everybody else, whose other counts are few.
    """
    return [
        document.target
        for document in documents
        if isinstance(document, Partial)
        and (growth := document.weight - _weight(partial_of(document.target))) > 0
        and document.weight > _limit(document.target, growth)
    ]


def refusal(full: Iterable[PartialKey]) -> Verdict:
    """Return the verdict on a document for which states have no room."""
    return Verdict.FULL if all(map(is_owned, full)) else Verdict.CROWDED


def is_owned(target: PartialKey) -> bool:
    """Return whether a state is one person's."""
    return AGGREGATES[target.aggregate].owner_of(target.key) is not None


def _limit(target: PartialKey, growth: int) -> float:
    most = AGGREGATES[target.aggregate].max_bytes
    return most if is_owned(target) or growth <= KNOWN_NAMES_BYTES else most * NAMES_SHARE


def _weight(partial: Partial | None) -> int:
    return 0 if partial is None else partial.weight
