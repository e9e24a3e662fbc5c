"""Room in states: which of them accept no more documents, and the verdict on a document then. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.aggregates import AGGREGATES, person_month
from shared.aggregates.base import PartialKey
from shared.ledger.changes import Verdict
from shared.ledger.partials import Partial
from shared.ledger.sizes import RESERVE_BYTES
from shared.ledger.state import StateDocument
from shared.units import KILOBYTE

NAMES_SHARE, FEW_NAMES_SHARE = 0.7, 0.8
"""Shares of the limit of a shared state up to which it accepts new names, and a few bytes of names. The rest
is for minutes, buckets of histograms and pages. Documents with known names need nothing else."""

FEW_NAMES_BYTES = 64
"""Most bytes of names that are few: the first rating of a known persona. A new persona takes more, as it has
several counts."""

PERSON_NAMES_BYTES = 4 * KILOBYTE
"""Bytes of names of personas, models and texts up to which a person's month accepts new ones. So no single
person uses up the names of a shard's day."""

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
        if isinstance(document, Partial) and _is_outgrown(document, partial_of(document.target))
    ]


def refusal(full: Iterable[PartialKey]) -> Verdict:
    """Return the verdict on a document for which states have no room."""
    return Verdict.FULL if all(map(is_owned, full)) else Verdict.CROWDED


def is_owned(target: PartialKey) -> bool:
    """Return whether a state is one person's."""
    return AGGREGATES[target.aggregate].owner_of(target.key) is not None


def _is_outgrown(partial: Partial, before: Partial | None) -> bool:
    most = AGGREGATES[partial.target.aggregate].max_bytes
    if _names_of_person(before) < _names_of_person(partial) > PERSON_NAMES_BYTES:
        return True
    if partial.weight <= most * NAMES_SHARE or partial.weight <= (0 if before is None else before.weight):
        return False
    if is_owned(partial.target):
        return partial.weight > most
    names = _bytes_of_names(partial) - (0 if before is None else _bytes_of_names(before))
    share = 1.0 if names <= 0 else FEW_NAMES_SHARE if names <= FEW_NAMES_BYTES else NAMES_SHARE
    return partial.weight > most * share


def _names_of_person(partial: Partial | None) -> int:
    """Return the bytes of the names that a person's month adds to what people share."""
    if partial is None or partial.target.aggregate != person_month.NAME:
        return 0
    return sum(len(name.encode()) for name in partial.state.counts(person_month.NAMES))


def _bytes_of_names(partial: Partial) -> int:
    return partial.state.bytes_of_names(AGGREGATES[partial.target.aggregate].bounded)
