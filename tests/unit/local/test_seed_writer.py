"""The writer of sample traffic: bounded, ordered per person, honest about what it wrote."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, cast

import pytest
from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError

from local.seed.database import CONTENT, database_writes
from local.seed.traffic import INTERACTIONS, TrafficPlan, Write, writes
from local.seed.writer import write_traffic

PLAN = TrafficPlan(users=6, interactions=150, days=5, seed=4, malformed_share=0.02)


class MemoryContainer:
    """Stores documents by id, and notices how many requests are on their way at once."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.history: defaultdict[str, list[str]] = defaultdict(list)
        self.in_flight = self.most_in_flight = 0
        self.refuse: str | None = None

    async def create_item(self, body: dict[str, Any]) -> None:
        await self._request()
        if body["id"] in self.items:
            raise CosmosResourceExistsError(status_code=409, message="exists")
        self._store(body)

    async def replace_item(self, item: str, body: dict[str, Any]) -> None:
        await self._request()
        assert item in self.items, "a rating overtook its interaction"
        self._store(body)

    async def _request(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1

    def _store(self, body: dict[str, Any]) -> None:
        if body["id"] == self.refuse:
            raise CosmosHttpResponseError(status_code=413, message="Request size is too large")
        self.items[body["id"]] = body
        self.history[str(body.get("user_id"))].append(body["id"])


class MemoryDatabase:
    """One container for all names: the ids of the sample traffic tell its documents apart."""

    def __init__(self, container: MemoryContainer) -> None:
        self.container = container
        self.asked_for: set[str] = set()

    def get_container_client(self, name: str) -> MemoryContainer:
        self.asked_for.add(name)
        return self.container


async def write(container: MemoryContainer, concurrency: int = 4, traffic: Iterable[Write] = ()):
    database = cast(DatabaseProxy, MemoryDatabase(container))
    return await write_traffic(database, traffic or writes(PLAN), concurrency=concurrency)


async def test_the_database_ends_up_with_the_last_version_of_everything() -> None:
    container = MemoryContainer()
    summary = await write(container)
    expected = {one.document["id"]: one.document for one in writes(PLAN)}
    assert container.items == expected
    assert (summary.created, summary.already_there) == (PLAN.interactions, 0)
    assert summary.replaced == sum(one.kind == "replace" for one in writes(PLAN))


async def test_requests_are_bounded_and_writes_of_one_person_keep_their_order() -> None:
    container = MemoryContainer()
    await write(container, concurrency=3)
    assert 1 < container.most_in_flight <= 3
    expected: defaultdict[str, list[str]] = defaultdict(list)
    for one in writes(PLAN):
        expected[str(one.document.get("user_id"))].append(one.document["id"])
    people = {one.document["user_id"] for one in writes(PLAN) if one.defect is None}
    for person in people:
        assert container.history[person] == expected[person]


async def test_the_summary_counts_valid_and_malformed_documents_apart() -> None:
    summary = await write(MemoryContainer())
    assert summary.malformed.total() == 3
    assert summary.valid == PLAN.interactions - 3 == summary.per_day.total()
    assert summary.as_json()["documents"] == PLAN.interactions


async def test_writing_the_same_seed_again_creates_nothing_and_has_the_same_digest() -> None:
    container = MemoryContainer()
    first = await write(container)
    before = dict(container.items)
    again = await write(container, concurrency=2)
    assert again.created == 0
    assert again.already_there == PLAN.interactions
    assert again.digest == first.digest
    assert container.items == before


async def test_a_refused_write_ends_the_run_with_the_services_error() -> None:
    container = MemoryContainer()
    container.refuse = next(writes(PLAN)).document["id"]
    with pytest.raises(CosmosHttpResponseError, match="Request size is too large"):
        await write(container)


async def test_a_whole_database_goes_to_its_containers_and_is_counted_by_them() -> None:
    traffic = list(database_writes(PLAN))
    database = MemoryDatabase(MemoryContainer())
    summary = await write_traffic(cast(DatabaseProxy, database), traffic, concurrency=4)
    created = Counter(one.container for one in traffic if one.kind == "create")
    replaced = Counter(one.container for one in traffic if one.kind == "replace")
    malformed = Counter(one.container for one in traffic if one.defect)
    assert database.asked_for == set(created)
    assert database.container.items == {one.document["id"]: one.document for one in traffic}
    report = summary.as_json()["containers"]
    for name in created:
        counted = report[name]
        assert (counted["created"], counted["replaced"]) == (created[name], replaced[name])
        assert sum(counted["malformed"].values()) == malformed[name]
    assert summary.created == created[INTERACTIONS] == PLAN.interactions
    assert summary.changes == len(traffic)


async def test_content_is_stored_before_anything_that_comes_after_it_is_sent() -> None:
    content_on_its_way: set[str] = set()

    class Watching(MemoryContainer):
        async def create_item(self, body: dict[str, Any]) -> None:
            if body["id"] in content:
                content_on_its_way.add(body["id"])
                for _ in range(5):
                    await asyncio.sleep(0)
            else:
                assert not content_on_its_way
            await super().create_item(body)
            content_on_its_way.discard(body["id"])

    traffic = list(database_writes(PLAN))
    content = {one.document["id"] for one in traffic if one.container in CONTENT}
    container = Watching()
    await write(container, concurrency=7, traffic=traffic)
    assert content <= set(container.items)
