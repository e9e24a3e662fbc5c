"""A person leaves the state: what remains is the state that would be there if the person had never come."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cosmos.retries import UnavailableError
from shared.errors import ErasureError
from shared.facts import USER_INTERACTIONS, USERS
from shared.fleet.wiring import Fleet
from shared.ingest.sources import SOURCES
from shared.people import state as people_state
from shared.people.state import StateEraser
from shared.settings import Settings
from tests.fakes import Killed
from tests.unit.shared.delivery import Document, Faults, faults, no_pauses
from tests.unit.shared.properties.test_every_source import (
    counted,
    incidents,
    interactions,
    ledger,
    nested_interactions,
    people,
    records,
    sessions,
)
from tests.unit.shared.world import World

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

ERASED = "ann"


def eraser(fleet: Fleet) -> StateEraser:
    return StateEraser(fleet.database.get_container_client("view_state"), fleet.writer, fleet.generations)


def kept(of: dict[Any, Any]) -> dict[Any, Any]:
    """Return what is known of the state without the person's empty record."""
    return {key: value for key, value in of.items() if key != ERASED}


async def ingest(fleet: Fleet, history: list[tuple[str, Document]]) -> None:
    for source in SOURCES:
        documents = [document for name, document in history if name == source]
        if documents:
            await fleet.ingest.ingest_batch(source, documents)


async def surviving(attempt: Any, world: World) -> Any:
    """Run work of a process until it is through: a process that dies is replaced."""
    fleet = await world.fleet()
    for _ in range(60):
        try:
            return await attempt(fleet)
        except Killed:
            fleet = await world.fleet()
        except UnavailableError:
            continue
    raise AssertionError("it never succeeded")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    specs=st.lists(
        st.one_of(interactions, nested_interactions, incidents, sessions, people), min_size=1, max_size=16
    ),
    plan=faults,
    seed=st.integers(0, 2**16),
)
def test_what_is_left_is_the_state_without_the_person(
    specs: list[tuple[str, Document]], plan: list[str], seed: int
) -> None:
    asyncio.run(erased_while_delivered(specs, plan, random.Random(seed)))


async def erased_while_delivered(
    specs: list[tuple[str, Document]], plan: list[str], dice: random.Random
) -> None:
    """Deliver one half before, the other during the erasure, and all of it again afterwards."""
    history = [
        (source, document | {"_ts": 1_770_000_000 + number, "_lsn": number, "_etag": f'"{number}"'})
        for number, (source, document) in enumerate(specs, 1)
    ]
    world = World()
    for _, document in history:
        if document["id"].startswith("user_"):
            container = world.containers[USERS]
            container.items[document["user_id"], document["id"]] = document
    before, during = history[: len(history) // 2], history[len(history) // 2 :]
    warm = await world.fleet()
    await ingest(warm, before)
    world.state.fault = Faults(plan)
    await surviving(lambda fleet: fleet.register.write_tombstone(ERASED), world)
    await asyncio.gather(
        surviving(lambda fleet: eraser(fleet).erase(ERASED), world),
        surviving(lambda fleet: eraser(fleet).erase(ERASED), world),
        surviving(partial(ingest, history=during), world),
    )
    world.state.fault = Faults([])
    await ingest(warm, history)  # with the caches from before
    await eraser(await world.fleet()).erase(ERASED)
    dice.shuffle(history)
    await ingest(warm, history)

    assert await eraser(warm).find(ERASED) == {"records": 1}
    await eraser(await world.fleet()).release(ERASED)
    await ingest(warm, history)
    await ingest(await world.fleet(), history)
    assert await eraser(warm).find(ERASED) == {}
    assert f'"{ERASED}"' not in repr(world.state.items).replace("'", '"')

    fresh = World()
    fresh.containers[USERS].items = world.containers[USERS].items
    await ingest(
        await fresh.fleet(),
        sorted(
            ((source, document) for source, document in history if document["user_id"] != ERASED),
            key=lambda each: each[1]["_lsn"],
        ),
    )
    assert counted(world.state) == counted(fresh.state)
    assert ledger(world.state) == ledger(fresh.state)
    assert records(world.state) == records(fresh.state)


@pytest.mark.parametrize("most", [1, 40])
async def test_many_documents_leave_in_transactions_that_fit(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(people_state, "ENTRIES_PER_TRANSACTION", most)
    world = World()
    fleet = await world.fleet()
    documents = [
        {
            "id": f"{user}{n}", "user_id": user, "session_id": f"s{n % 7}", "response_text": "…",
            "timestamp": f"2025-{6 + n % 3:02d}-{1 + n % 28:02d}T{n % 24:02d}:00:00Z",
            "_ts": 1_756_720_000, "_lsn": n, "_etag": f"{user}{n}",
        }
        for user in ("ann", "ben")
        for n in range(90)
    ]  # fmt: skip
    await fleet.ingest.ingest_batch(USER_INTERACTIONS, documents)
    assert await eraser(fleet).find("ann") == {"entries": 90, "months": 3, "records": 1}
    assert await eraser(fleet).erase("ann") == 90
    fresh = World()
    await (await fresh.fleet()).ingest.ingest_batch(USER_INTERACTIONS, documents[90:])
    assert counted(world.state) == counted(fresh.state)


async def test_a_person_whom_nobody_knows_leaves_nothing() -> None:
    world = World()
    fleet = await world.fleet()
    assert await eraser(fleet).erase("ann") == 0
    await eraser(fleet).release("ann")
    assert not world.state.items


async def test_every_generation_is_erased_and_one_of_another_layout_refuses() -> None:
    world = World()
    account = (USERS, {"id": "user_ann", "user_id": "ann", "_ts": 1, "_lsn": 1, "_etag": "1"})
    await ingest(await world.fleet(), [account])
    world.settings = Settings(FLEET_SHARDS=3, FLEET_GENERATION=2)
    fleet = await world.fleet()
    await ingest(fleet, [account])
    assert await eraser(fleet).find("ann") == {"records": 2}
    await eraser(fleet).erase("ann")
    await eraser(fleet).release("ann")
    assert await eraser(fleet).find("ann") == {}
    stored = world.containers["fleet_state"].items["generations", "generations"]
    stored["generations"]["1"]["layout"] = 1
    with pytest.raises(ErasureError, match="generations remove 1"):
        await eraser(fleet).erase("ann")
