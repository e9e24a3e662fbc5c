"""Plan the documents that changed states affect, in batches that fit into memory. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from shared.aggregates import person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.publishing.merged_state import StoredPartial, owner_of
from shared.views import VIEWS, view_named
from shared.views.base import Schedule
from shared.views.keys import check_key

MAX_DOCUMENTS = 500
"""Document keys in one batch."""

MAX_STATES = 20
"""Days and months, merged over all shards, that one batch holds in memory. A shard's share of a day has at
most 160 KB, usually less than 60 KB."""

Delivered = Mapping[PartialKey, Sequence[StoredPartial]]
"""Changed partials, by key, as the change feed of ``view_state`` delivered them."""


class DocumentKey(NamedTuple):
    """A view and one of its keys: the unit of publishing. In most views it is one document."""

    view: str
    key: str


def document_named(view: str, key: str) -> DocumentKey:
    """Return the document that an operator names.

    Raises
    ------
    UnknownViewError
        There is no such view.
    MalformedKeyError
        No document of the view can have this key.
    """
    check_key(view_named(view), key)
    return DocumentKey(view, key)


def documents_affected_by(targets: Iterable[PartialKey], schedule: Schedule) -> list[DocumentKey]:
    """Return the documents of a schedule's views that are computed from any of the states, each once."""
    return list(
        dict.fromkeys(
            DocumentKey(name, key)
            for target in targets
            for name, view in VIEWS.items()
            if view.schedule is schedule
            for key in view.keys_affected_by(target)
        )
    )


def documents_of_person(user_id: str, record: PersonRecord) -> list[DocumentKey]:
    """Return every document about a person, in all views and of all months with activity."""
    months = [
        PartialKey(person_month.NAME, person_month.month_key(month, user_id))
        for month in sorted({month for _, month in record.index.months()})
    ]
    return [document for schedule in Schedule for document in documents_affected_by(months, schedule)]


def people_pending(delivered: Delivered) -> list[str]:
    """Return the people whose published documents have to follow a change of their record."""
    return [
        target.key
        for target, changes in delivered.items()
        if any(stored.partial.record is not None and stored.partial.record.pending for stored in changes)
    ]


def batches_within_memory(documents: Iterable[DocumentKey]) -> Iterator[list[DocumentKey]]:
    """Yield the documents in batches, each of bounded size: see :data:`MAX_STATES`, :data:`MAX_DOCUMENTS`.

    Documents computed from states of all shards come first and are sorted, so that neighbours share states.
    Documents of people follow in the given order.
    """
    inputs: dict[DocumentKey, set[PartialKey]] = {}
    personal: list[DocumentKey] = []
    for document in documents:
        shared = {target for target in inputs_of(document) if owner_of(target) is None}
        if shared:
            inputs[document] = shared
        else:
            personal.append(document)
    batch, states = list[DocumentKey](), set[PartialKey]()
    for document in (*sorted(inputs), *personal):
        needed = inputs.get(document, set())
        if len(batch) == MAX_DOCUMENTS or (batch and len(states | needed) > MAX_STATES):
            yield batch
            batch, states = [], set()
        batch.append(document)
        states |= needed
    if batch:
        yield batch


def person_of(document: DocumentKey) -> str | None:
    """Return the user id of the person that a document is about; None if it is not about one person."""
    people = {owner_of(target) for target in inputs_of(document)}
    return people.pop() if len(people) == 1 else None


def inputs_of(document: DocumentKey) -> Sequence[PartialKey]:
    """Return the states that a document is computed from; none if its key is malformed.

    Publishing a document with a malformed key fails, and the error names the key.
    """
    try:
        return VIEWS[document.view].inputs(document.key)
    except ValueError:
        return ()


def contents_of(document: DocumentKey) -> Sequence[Sequence[str]]:
    """Return the labels of the contents that a document shows; none if its key is malformed."""
    try:
        return VIEWS[document.view].contents(document.key)
    except ValueError:
        return ()
