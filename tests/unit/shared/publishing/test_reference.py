"""The documents of the content pipeline are read once, and again after a while."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.publishing import reference
from shared.publishing.reference import EMPTY_LIFETIME_SECONDS, LIFETIME_SECONDS, ReferenceReader
from shared.views.reference import NOTHING_KNOWN
from tests.fakes import no_fault
from tests.unit.shared.world import World

VECTOR = {
    "id": "krishna_gita_2_47",
    "partition_key": "krishna::gita",
    "source_metadata": {"chapter": "2", "verse": "47"},
    "content_category": "verse",
    "english_translation": "…",
    "detailed_explanation": "…",
}


def reader(world: World) -> ReferenceReader:
    vectors, personalities = world.containers["personality_vectors"], world.containers["personalities"]
    return ReferenceReader(vectors, personalities, clock=world.clock)


def put(world: World, container: str = "personality_vectors", **fields: Any) -> None:
    world.containers[container]._store(VECTOR | fields)


async def test_documents_are_read_once_in_their_lifetime() -> None:
    world = World()
    put(world)
    reads = reader(world)
    first, second = await asyncio.gather(reads.read(), reads.read())
    assert first is second
    assert first.text("gita").completeness == 1.0
    put(world, id="krishna_gita_3_1", source_metadata={"chapter": "3", "verse": "1"})
    world.now += timedelta(seconds=LIFETIME_SECONDS - 1)
    assert await reads.read() is first
    world.now += timedelta(seconds=1)
    assert (await reads.read()).text("gita").verses == 2


async def test_where_there_is_nothing_it_is_looked_for_again_soon() -> None:
    world = World()
    reads = reader(world)
    assert await reads.read() == NOTHING_KNOWN
    put(world)
    world.now += timedelta(seconds=EMPTY_LIFETIME_SECONDS)
    assert (await reads.read()).text("gita").verses == 1


async def test_what_was_read_stays_in_use_while_the_service_does_not_answer() -> None:
    world = World()
    put(world)
    reads, vectors = reader(world), world.containers["personality_vectors"]

    def busy(operation: str, when: str) -> None:
        raise CosmosHttpResponseError(status_code=429, message="try later")

    vectors.fault = busy
    with pytest.raises(CosmosHttpResponseError):
        await reads.read()
    vectors.fault = no_fault
    known = await reads.read()
    vectors.fault = busy
    world.now += timedelta(seconds=LIFETIME_SECONDS)
    assert await reads.read() is known
    vectors.fault = no_fault
    put(world, id="krishna_gita_3_1", source_metadata={"chapter": "3", "verse": "1"})
    world.now += timedelta(seconds=EMPTY_LIFETIME_SECONDS)
    assert (await reads.read()).text("gita").verses == 2


async def test_too_many_documents_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MAX_PASSAGES", 1)
    world = World()
    put(world)
    put(world, id="other")
    assert await reader(world).read() == NOTHING_KNOWN


async def test_a_document_without_a_partition_key_is_no_vector() -> None:
    world = World()
    world.containers["personality_vectors"].items["", "x"] = {"id": "x", "_etag": '"x"', "_ts": 1}
    put(world)
    assert (await reader(world).read()).text("gita").documents == 1
