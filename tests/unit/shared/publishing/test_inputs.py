"""Inputs: each state is read once for a batch, and what was delivered counts although no replica has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.builds.content import Figures
from shared.builds.store import Manifest
from shared.documents.common import LATEST
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId, shard_of
from shared.publishing.contents import BuiltInput
from shared.publishing.decide import Delivery, Origin
from shared.publishing.inputs import BatchInputs, InputReader, ViewInput
from shared.publishing.merge import StateMerger
from shared.publishing.plan import DocumentKey, contents_of, inputs_of
from shared.settings import Settings
from shared.units import to_millis
from tests.fakes import FakeContainer

DAY = PartialKey("day", "2025-08-05")
MONTH_OF_ANN = PartialKey("person_month", "202508|ann")
ANN = PartialKey("person", "ann")
DAY_METRICS = DocumentKey("daily_metrics", "2025-08-05")
ANALYTICS_OF_ANN = DocumentKey("user_analytics", "202508|ann")
SHARD_OF_ANN = shard_of("ann", shards=Settings().shards, generation=1)


class State:
    def __init__(self) -> None:
        self.container = FakeContainer()
        container: Any = self.container
        self.reader = InputReader(StateMerger(container, Settings()))

    async def store(
        self, interactions: int, revision: int, *, shard: str = "1:0000", target: PartialKey = DAY
    ) -> Any:
        partial = Partial(
            ShardId(shard), target, revision, Tally.decode({"sums": {"interactions": interactions}})
        )
        return await self.container.upsert_item(partial.encode())

    def requests(self) -> list[str]:
        made = [request for request in self.container.requests if request != "upsert"]
        self.container.requests.clear()
        return made


def manifest(revision: int) -> Manifest:
    """Return the manifest of a content that was written at second 50."""
    return Manifest(DAY.key, revision, 1, {}, Figures(), 0, "build", written=50, etag="e")


def total(found: ViewInput, target: PartialKey = DAY) -> int:
    return found.states().of(target.aggregate, target.key).total("interactions")


async def test_only_partials_of_the_current_generation_are_delivered() -> None:
    state = State()
    own, old = await state.store(1, 1), await state.store(2, 1, shard="2:0000")
    odd = own | {"aggregate": "of a later release"}
    delivered = state.reader.parse([own, old, odd, {"kind": "ledger", "id": "x"}])
    assert {target: len(partials) for target, partials in delivered.items()} == {DAY: 1}


async def test_a_batch_reads_each_state_once_and_its_documents_read_nothing() -> None:
    state = State()
    await state.store(2, 1)
    await state.store(3, 1, shard="1:0001")
    batch = await state.reader.read_batch([DAY_METRICS, DAY_METRICS], {})
    assert state.requests() == ["query"]
    found = await state.reader.from_batch([DAY], batch)
    assert (total(found), found.origin, found.is_empty) == (5, Origin.READ, False)
    assert state.requests() == []


async def test_a_person_s_delivered_state_is_not_read_until_it_is_asked_for_again() -> None:
    state = State()
    old = await state.store(1, 1, shard=SHARD_OF_ANN, target=MONTH_OF_ANN)
    await state.store(2, 2, shard=SHARD_OF_ANN, target=MONTH_OF_ANN)
    person = await state.store(1, 1, shard=SHARD_OF_ANN, target=ANN)
    delivered = state.reader.parse([old, person])
    batch = await state.reader.read_batch([ANALYTICS_OF_ANN], delivered)
    first = await state.reader.from_batch([ANN, MONTH_OF_ANN], batch)
    assert (total(first, MONTH_OF_ANN), first.origin) == (1, Origin.DELIVERED)
    assert state.requests() == []
    again = await state.reader.read_again([MONTH_OF_ANN], batch)
    assert (total(again, MONTH_OF_ANN), again.origin) == (2, Origin.READ)
    assert state.requests() == ["read"]


async def test_a_delivered_partial_counts_although_the_replica_lacks_it() -> None:
    state = State()
    delivered = state.reader.parse([await state.store(4, 3)])
    state.container.items.clear()
    batch = await state.reader.read_batch([DAY_METRICS], delivered)
    assert total(await state.reader.from_batch([DAY], batch)) == 4
    assert total(await state.reader.read_again([DAY], batch)) == 4


async def test_what_a_batch_lacks_is_read_once() -> None:
    state = State()
    await state.store(2, 1)
    batch = BatchInputs()
    expectations: list[list[str]] = [["query"], []]
    for expected in expectations:
        assert total(await state.reader.from_batch([DAY], batch)) == 2
        assert state.requests() == expected


async def test_a_state_that_was_forgotten_is_read_completely() -> None:
    state = State()
    stored = await state.store(2, 5)
    await state.reader.read_again([DAY], BatchInputs())
    state.container.items["1:0000", stored["id"]]["revision"] = 1
    assert (await state.reader.read_again([DAY], BatchInputs())).stamp(1, "").revision == 5
    state.reader.forget([DAY])
    assert (await state.reader.read_again([DAY], BatchInputs())).stamp(1, "").revision == 1


async def test_a_person_s_record_is_rendered_with_their_state() -> None:
    state = State()
    await state.store(1, 1, shard=SHARD_OF_ANN, target=MONTH_OF_ANN)
    record = PersonRecord(accounts={"user_ann": {"f": {"no": True}}})
    await state.container.upsert_item(Partial(SHARD_OF_ANN, ANN, 1, record=record).encode())
    states = (await state.reader.read_again([ANN, MONTH_OF_ANN], BatchInputs())).states()
    assert (states.record_of("ann").refused, states.record_of("bob").refused) == (True, False)
    assert states.of("person_month", MONTH_OF_ANN.key).total("interactions") == 1


async def test_nothing_counted_is_empty_and_so_is_a_record_alone() -> None:
    state = State()
    assert (await state.reader.read_again([DAY], BatchInputs())).is_empty
    await state.container.upsert_item(Partial(SHARD_OF_ANN, ANN, 1, record=PersonRecord()).encode())
    assert (await state.reader.read_again([ANN, MONTH_OF_ANN], BatchInputs())).is_empty
    await state.store(1, 1, shard=SHARD_OF_ANN, target=MONTH_OF_ANN)
    assert not (await state.reader.read_again([ANN, MONTH_OF_ANN], BatchInputs())).is_empty


async def test_a_built_content_is_part_of_the_stamp_and_the_digest() -> None:
    read = await State().reader.read_again([DAY], BatchInputs())
    built = [replace(read, built=BuiltInput([[manifest(revision)]])) for revision in (3, 4)]
    assert [(found.is_empty, found.stamp(1, "").revision) for found in built] == [(False, 3), (False, 4)]
    assert [found.stamp(1, "").as_of.timestamp() for found in built] == [50, 50]
    assert len({read.digest(), *(found.digest() for found in built)}) == 3


async def test_the_stamp_and_digest_cover_all_inputs() -> None:
    state = State()
    await state.store(2, 1)
    before = await state.reader.read_again([DAY], BatchInputs())
    digest, stamp = before.digest(), before.stamp(7, "tick")
    assert (stamp.generation, stamp.revision, stamp.tick, stamp.as_of.timestamp()) == (7, 1, "tick", 1)
    newer = await state.store(3, 4, shard="1:0001")
    after = await state.reader.read_again([DAY], BatchInputs())
    assert (after.stamp(7, "").revision, after.stamp(7, "").as_of.timestamp()) == (5, newer["_ts"])
    assert after.digest() != digest


async def test_writes_after_the_delivery_are_not_expected_of_the_published_document() -> None:
    state = State()
    delivered = state.reader.parse([await state.store(2, 1)])
    await state.store(3, 4, shard="1:0001")
    batch = await state.reader.read_batch([DAY_METRICS], delivered)
    found = await state.reader.from_batch([DAY], batch)
    assert found.stamp(1, "").revision == 5
    assert found.delivery(1) == Delivery(generation=1, revision=1, until=1)


@pytest.mark.parametrize(
    "document", [DAY_METRICS, DocumentKey("incidents_by_content", "202508|gita")], ids=lambda each: each.view
)
def test_a_revision_is_a_number_that_the_service_stores_exactly(document: DocumentKey) -> None:
    most_shards = next(each.le for each in Settings.model_fields["shards"].metadata if hasattr(each, "le"))
    counted, built = len(inputs_of(document)) * most_shards, sum(map(len, contents_of(document)))
    assert (counted + built) * to_millis(LATEST) < 2**53
