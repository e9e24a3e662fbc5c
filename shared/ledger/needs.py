"""What a fold needs from its driver and returns to it, and how to drive one without ``await``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from shared.ledger.changes import Change, Verdict
from shared.ledger.known_accounts import ConsentChange
from shared.ledger.state import Write


class DocumentsById(NamedTuple):
    """The fold needs these documents of the shard. The driver sends missing documents as absent.

    ``stored`` requests the stored versions, because a cached one may lack an entry that the fold looks for.
    """

    ids: frozenset[str]
    stored: bool = False


class RecordsOf(NamedTuple):
    """The fold needs new records of people without state; None for a person who was erased."""

    users: frozenset[str]


Need = DocumentsById | RecordsOf
Answer = Mapping[str, Any]
"""Documents (:class:`Loaded`) by id, or records (:class:`PersonRecord`, None) by user id."""


class Folded(NamedTuple):
    """The result of a fold: the verdict on each change, and the documents to write in one transaction."""

    verdicts: list[tuple[Change, Verdict]]
    writes: list[Write]
    unfinished: bool = False
    """Whether the same changes have to be folded again, because more incidents follow them."""
    consents: Sequence[ConsentChange] = ()
    """What the register of people and other generations have to know before the documents are written."""


Fold = Generator[Need, Answer, Folded]

Result = TypeVar("Result")


def drive(fold: Generator[Need, Answer, Result], answer: Callable[[Need], Answer]) -> Result:
    """Run a fold on state that needs no ``await``, such as a dictionary."""
    try:
        need = next(fold)
        while True:
            need = fold.send(answer(need))
    except StopIteration as end:
        result: Result = end.value
        return result
