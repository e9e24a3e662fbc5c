"""Room in states: a full one refuses new documents, and no state grows beyond its limit."""

from __future__ import annotations

import pytest

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.ledger.changes import Verdict
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.room import (
    FEW_NAMES_BYTES,
    FEW_NAMES_SHARE,
    NAMES_SHARE,
    full_states,
    outgrown_states,
    refusal,
)
from shared.ledger.sizes import RESERVE_BYTES
from shared.units import EventHour
from tests.unit.shared.ledger.memory_shard import SHARD

DAY, PERSON = PartialKey("day", "2025-08-05"), PartialKey("person", "ana")
LIMIT = AGGREGATES["day"].max_bytes


def partial(weight: int, target: PartialKey = DAY, *, names: int = 0) -> Partial:
    """Return a partial of some weight, in bytes; of these, some are of names."""
    made = Partial(SHARD, target)
    if names:
        made.state.count("texts", "x" * (names - 34))
    assert made.state.bytes_of_names(()) == names
    made._weight = weight
    return made


@pytest.mark.parametrize(("room", "full"), [(RESERVE_BYTES, False), (RESERVE_BYTES - 1, True), (-1, True)])
def test_a_state_is_full_without_the_room_that_a_document_may_need(room: int, full: bool) -> None:
    page = Page(SHARD, "user_interactions", EventHour("2025-08-05T10"), size=10 * LIMIT)
    limit = AGGREGATES["person"].max_bytes
    assert full_states([partial(limit - room, PERSON), None, page]) == ({PERSON} if full else set())


def test_a_shared_state_is_never_full_for_documents_with_names_that_it_knows() -> None:
    assert full_states([partial(LIMIT)]) == set()


@pytest.mark.parametrize(
    ("before", "after", "outgrown"),
    [
        (None, LIMIT, False),
        (None, LIMIT + 1, True),
        (LIMIT, LIMIT + 1, True),
        (LIMIT + 5, LIMIT + 5, False),  # written by a release with another limit
        (LIMIT + 5, LIMIT + 4, False),
        (LIMIT + 5, LIMIT + 6, True),
    ],
)
def test_a_person_s_state_may_not_grow_beyond_its_limit(
    before: int | None, after: int, outgrown: bool
) -> None:
    more = AGGREGATES["person"].max_bytes - LIMIT
    stored = None if before is None else partial(before + more, PERSON)
    found = outgrown_states([partial(after + more, PERSON)], lambda _: stored)
    assert found == ([PERSON] if outgrown else [])


NAMES, FEW_NAMES = round(LIMIT * NAMES_SHARE), round(LIMIT * FEW_NAMES_SHARE)
MANY = FEW_NAMES_BYTES + 1


@pytest.mark.parametrize(
    ("after", "names", "outgrown"),
    [
        (NAMES, MANY, False),
        (NAMES + 1, MANY, True),
        (NAMES + 1, FEW_NAMES_BYTES, False),
        (FEW_NAMES, FEW_NAMES_BYTES, False),
        (FEW_NAMES + 1, FEW_NAMES_BYTES, True),
        (FEW_NAMES + 1, 0, False),  # others are unharmed
        (LIMIT, 0, False),
        (LIMIT + 1, 0, True),
    ],
)
def test_a_shared_state_keeps_room_for_documents_with_names_that_it_knows(
    after: int, names: int, outgrown: bool
) -> None:
    for before in (None, partial(after - 500)):
        found = outgrown_states([partial(after, names=names)], {DAY: before}.__getitem__)
        assert found == ([DAY] if outgrown else [])
    assert outgrown_states([partial(after, names=names)], lambda _: partial(after)) == []


def test_minutes_and_buckets_are_no_names() -> None:
    after = partial(LIMIT)
    for group in AGGREGATES["day"].bounded:
        after.state.count(group, "1439")
    assert outgrown_states([after], lambda _: partial(LIMIT - 500)) == []


@pytest.mark.parametrize(
    ("full", "verdict"),
    [
        ([PERSON], Verdict.FULL),
        ([PERSON, PartialKey("person_month", "202508|ana")], Verdict.FULL),
        ([DAY], Verdict.CROWDED),
        ([PERSON, DAY], Verdict.CROWDED),
        ([PartialKey("incident_month", "202508|gita")], Verdict.CROWDED),
    ],
)
def test_a_document_is_refused_for_its_person_unless_a_shared_state_has_no_room(
    full: list[PartialKey], verdict: Verdict
) -> None:
    assert refusal(full) is verdict
