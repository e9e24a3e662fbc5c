"""What a fold needs from its driver, and how to drive one without ``await``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, TypeVar


class DocumentsById(NamedTuple):
    """The fold needs these documents of the shard. The driver sends missing documents as absent.

    ``stored`` requests the stored versions, because a cached one may lack an entry that the fold looks for.
    """

    ids: frozenset[str]
    stored: bool = False


class RecordsOf(NamedTuple):
    """The fold needs new records of people without state: of their accounts, and of an earlier generation."""

    users: frozenset[str]


Need = DocumentsById | RecordsOf
Answer = Mapping[str, Any]
"""Documents (:class:`Loaded`) by id, or records (:class:`PersonRecord`) by user id."""

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
