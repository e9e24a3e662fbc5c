"""Room in states: a full one refuses new documents, and no state grows beyond its limit."""

from __future__ import annotations

import pytest

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.ledger.changes import Verdict
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.room import full_states, outgrown_states, refusal
from shared.ledger.sizes import RESERVE_BYTES
from shared.units import EventHour
from tests.unit.shared.ledger.memory_shard import SHARD

DAY, PERSON = PartialKey("day", "2025-08-05"), PartialKey("person", "ana")
LIMIT = AGGREGATES["day"].max_bytes


def partial(weight: int, target: PartialKey = DAY) -> Partial:
    """Return a partial of some weight, in bytes."""
    made = Partial(SHARD, target)
    made._weight = weight
    return made


@pytest.mark.parametrize(("room", "full"), [(RESERVE_BYTES, False), (RESERVE_BYTES - 1, True), (-1, True)])
def test_a_state_is_full_without_the_room_that_a_document_may_need(room: int, full: bool) -> None:
    page = Page(SHARD, "user_interactions", EventHour("2025-08-05T10"), size=10 * LIMIT)
    assert full_states([partial(LIMIT - room), None, page]) == ({DAY} if full else set())


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
def test_a_state_may_not_grow_beyond_its_limit(before: int | None, after: int, outgrown: bool) -> None:
    stored = None if before is None else partial(before)
    assert outgrown_states([partial(after)], lambda _: stored) == ([DAY] if outgrown else [])


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
