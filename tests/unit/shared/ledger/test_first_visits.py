"""First visits: carried over from what the present and the earlier layout of the state know of a person."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.ledger.first_visits import FirstVisits, address_of, first_active_day
from shared.ledger.generations import LAYOUT, Generation, Generations
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId, shard_of
from shared.settings import Settings
from shared.units import Day, month_of
from tests.data import release_1
from tests.fakes import FakeContainer

days = st.dates().map(lambda day: Day(day.isoformat()))

FORGOTTEN = {
    "479d0e6a": "2024-07-04",
    "3d0cc84d": "2024-06-19",
    "9eead1f3": "2024-06-23",
    "0742b60f": "2024-06-28",
    "72ca5adf": "2024-07-18",
    "e31649f1": "2024-06-20",
    "1970c0a6": "2024-06-27",
    "6334a229": "2024-08-01",
    "e3bb91a6": "2024-06-22",
    "f7719c2b": "2024-07-09",
}
"""First visits by the start of the user id, of people whose first interactions the sources hold no more."""


async def moved() -> tuple[FakeContainer, FirstVisits]:
    """Return the state that the earlier release left, and what reads it for the second generation."""
    state, fleet_state = FakeContainer(), FakeContainer("scope")
    for container, key, name in ((state, "shard", "view_state"), (fleet_state, "scope", "fleet_state")):
        for document in release_1.documents()[name]:
            container.items[document[key], document["id"]] = document
    second: Any = Generations(fleet_state, Settings(FLEET_GENERATION=2))  # type: ignore[arg-type]
    return state, FirstVisits(state, second)  # type: ignore[arg-type]


async def test_everybody_whom_the_earlier_release_knew_keeps_their_first_visit() -> None:
    state, visits = await moved()
    first_held: dict[str, str] = {}
    for document in release_1.documents()["user_interactions"]:
        if isinstance(document.get("user_id"), str):
            day = document["timestamp"][:10]
            first_held[document["user_id"]] = min(day, first_held.get(document["user_id"], day))
    found = await visits.first_days(first_held)
    assert found.keys() == first_held.keys()
    assert all(found[user] <= day for user, day in first_held.items())
    forgotten = {user[:8]: day for user, day in found.items() if day < first_held[user]}
    assert forgotten == FORGOTTEN
    assert state.requests.count("read") == len(first_held)


async def test_whom_the_earlier_release_did_not_know_has_none() -> None:
    _, visits = await moved()
    assert await visits.first_days(["stranger", "अर्जुन"]) == {}


async def test_without_an_earlier_generation_nobody_is_looked_for() -> None:
    state, fleet_state = FakeContainer(), FakeContainer("scope")
    first: Any = Generations(fleet_state, Settings())  # type: ignore[arg-type]
    await first.begin()
    visits = FirstVisits(state, first)  # type: ignore[arg-type]
    assert await visits.first_days(["ann"]) == await visits.first_days(["bob"]) == {}
    assert state.requests == []
    assert fleet_state.requests.count("read") == 2  # one to begin, one here


async def test_a_generation_that_never_completed_is_passed_over() -> None:
    fleet_state = FakeContainer("scope")
    for number in (1, 2, 3):
        await Generations(fleet_state, Settings(FLEET_GENERATION=number, FLEET_SHARDS=number)).begin()  # type: ignore[arg-type]
    third: Any = Generations(fleet_state, Settings(FLEET_GENERATION=3, FLEET_SHARDS=3))  # type: ignore[arg-type]
    found = await third.before()
    assert (found[0], found[1].shards) == (1, 1)


@given(st.sets(days), st.none() | days)
def test_this_layout_knows_active_days_and_what_it_was_told_itself(
    active: set[Day], told: Day | None
) -> None:
    state = Tally()
    for day in active:
        state.part(month_of(day)).count("days", day[8:])
    partial = Partial(ShardId("2:0000"), PartialKey("person", "ann"), 1, state, record=PersonRecord(told))
    known = active | ({told} if told else set())
    assert first_active_day(partial.encode(), LAYOUT) == min(known, default=None)


@pytest.mark.parametrize("user_id", ["ann", "a|b", "अर्जुन", "x" * 300, "a|अ"])
def test_a_person_is_found_where_each_layout_stores_them(user_id: str) -> None:
    this = Partial(ShardId("2:0000"), PartialKey("person", user_id))
    assert address_of(user_id, 2, Generation(8, 0, True)) == (
        shard_of(user_id, shards=8, generation=2),
        this.id,
    )
    shard, document_id = address_of(user_id, 1, Generation(16, 0, True, layout=1))
    assert shard == shard_of(user_id, shards=16, generation=1)
    hashed = document_id.startswith("partial|person|~")
    assert hashed == (not user_id.isascii() or len(user_id) > 200)
    assert hashed or document_id == f"partial|person|{user_id}"
