"""The store: a bounded cache of a shard's documents, and commits that change all documents or none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from shared.aggregates.base import PartialKey
from shared.errors import ConflictError, TooLargeError
from shared.facts import USER_INTERACTIONS, InteractionFact
from shared.ledger.document_version import Version
from shared.ledger.pages import Entry, Page
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.ledger.sizes import memory_of
from shared.ledger.state import Loaded, Write
from shared.ledger.store import ShardStore
from shared.units import EventHour
from tests.fakes import FakeContainer
from tests.unit.shared.aggregates.fact_strategies import millis

SHARD, OTHER = ShardId("1:0000"), ShardId("1:0001")
NOTHING = Loaded(None, None)
HOUR = EventHour("2025-08-05T10")

PARTIAL_BYTES = 400 + 12 + 60
"""Weight of an empty partial of a day: its envelope, its key in quotes and an empty tally."""

PARTIAL_IN_CACHE = memory_of(PARTIAL_BYTES)
"""Bytes that an empty partial of a day takes in the cache."""


class RecordingContainer(FakeContainer):
    """Remembers the operations of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[tuple[Any, ...]]] = []

    async def execute_item_batch(
        self, operations: list[tuple[Any, ...]], partition_key: str, **options: Any
    ) -> list[dict[str, Any]]:
        self.batches.append(operations)
        return await super().execute_item_batch(operations, partition_key, **options)


@pytest.fixture
def container() -> RecordingContainer:
    return RecordingContainer()


def store_on(container: FakeContainer, cache_bytes: int = 1_000_000) -> ShardStore:
    return ShardStore(container, cache_bytes=cache_bytes)  # type: ignore[arg-type]


def day(number: int, shard: ShardId = SHARD, **counts: int) -> Partial:
    partial = Partial(shard, PartialKey("day", f"2025-08-{number:02d}"))
    for name, amount in counts.items():
        partial.state.add(name, amount)
    return partial


def ids(numbers: Iterable[int]) -> list[str]:
    return [f"partial|day|2025-08-{number:02d}" for number in numbers]


def page(*document_ids: str) -> Page:
    made = Page(SHARD, USER_INTERACTIONS, HOUR)
    for number, document_id in enumerate(document_ids):
        fact = InteractionFact(user_id="ana", at=millis("2025-08-05T10:00:00"))
        made.put("ana", document_id, Entry(Version(number, number, str(number)), fact))
    return made


async def stored(container: FakeContainer, *documents: Partial | Page) -> None:
    for document in documents:
        await container.upsert_item(document.encode())
    container.requests.clear()


def etag(container: FakeContainer, document_id: str, shard: ShardId = SHARD) -> str:
    return str(container.items[shard, document_id]["_etag"])


class TestLoad:
    """What is read, and what is known already."""

    async def test_a_document_is_returned_with_its_etag(self, container: RecordingContainer) -> None:
        await stored(container, day(1, users=3), page("i1"))
        loaded = await store_on(container).load(SHARD, [*ids([1]), page().id])
        assert loaded == {
            ids([1])[0]: Loaded(day(1, users=3), etag(container, ids([1])[0])),
            page().id: Loaded(page("i1"), etag(container, page().id)),
        }

    async def test_a_document_is_read_once(self, container: RecordingContainer) -> None:
        await stored(container, day(1))
        store = store_on(container)
        first = await store.load(SHARD, ids([1]))
        assert await store.load(SHARD, ids([1])) == first
        assert container.requests == ["read"]

    async def test_absence_is_returned_and_cached(self, container: RecordingContainer) -> None:
        store = store_on(container)
        for _ in range(2):
            assert await store.load(SHARD, ids([1])) == {ids([1])[0]: NOTHING}
        assert container.requests == ["read"]

    @pytest.mark.parametrize(
        ("count", "requests"),
        [(0, []), (3, ["read"] * 3), (4, ["query"]), (100, ["query"]), (101, ["query"] * 2)],
    )
    async def test_few_documents_are_read_one_by_one_and_many_by_query(
        self, container: RecordingContainer, count: int, requests: list[str]
    ) -> None:
        await stored(container, *map(day, range(count)))
        assert len(await store_on(container).load(SHARD, ids(range(count)))) == count
        assert container.requests == requests

    async def test_what_a_query_does_not_find_is_absent(self, container: RecordingContainer) -> None:
        await stored(container, day(2))
        loaded = await store_on(container).load(SHARD, ids(range(1, 5)))
        assert {name: document for name, (document, _) in loaded.items()} == {
            ids([1])[0]: None,
            ids([2])[0]: day(2),
            ids([3])[0]: None,
            ids([4])[0]: None,
        }

    async def test_only_what_is_not_cached_is_read(self, container: RecordingContainer) -> None:
        await stored(container, *map(day, range(4)))
        store = store_on(container)
        await store.load(SHARD, ids([0]))
        assert set(await store.load(SHARD, ids(range(4)))) == set(ids(range(4)))
        assert container.requests == ["read"] * 4

    async def test_shards_are_apart(self, container: RecordingContainer) -> None:
        await stored(container, day(1, users=1), day(1, OTHER, users=2))
        store = store_on(container)
        for shard, users in ((SHARD, 1), (OTHER, 2), (SHARD, 1)):
            (loaded,) = (await store.load(shard, ids([1]))).values()
            assert loaded.document == day(1, shard, users=users)

    async def test_a_document_of_an_unknown_kind_is_an_error(self, container: RecordingContainer) -> None:
        await container.upsert_item({"id": "x", "shard": SHARD, "kind": "usage"})
        with pytest.raises(ValueError, match="'usage'"):
            await store_on(container).load(SHARD, ["x"])


class TestCache:
    """What is kept in memory, and what is dropped."""

    async def reads(self, container: RecordingContainer, store: ShardStore, number: int) -> int:
        """Return how many requests it takes to load a day."""
        before = len(container.requests)
        await store.load(SHARD, ids([number]))
        return len(container.requests) - before

    async def test_it_holds_what_fits_into_its_bytes(self, container: RecordingContainer) -> None:
        await stored(container, *map(day, range(1, 4)))
        store = store_on(container, cache_bytes=3 * PARTIAL_IN_CACHE)
        await store.load(SHARD, ids([1, 2, 3]))
        assert [await self.reads(container, store, n) for n in (1, 2, 3)] == [0, 0, 0]

    async def test_it_drops_the_first_when_one_byte_is_missing(self, container: RecordingContainer) -> None:
        await stored(container, *map(day, range(1, 4)))
        store = store_on(container, cache_bytes=3 * PARTIAL_IN_CACHE - 1)
        await store.load(SHARD, ids([1, 2, 3]))
        assert [await self.reads(container, store, n) for n in (3, 2, 1)] == [0, 0, 1]

    async def test_it_drops_what_was_not_used_for_longest(self, container: RecordingContainer) -> None:
        await stored(container, *map(day, range(1, 4)))
        store = store_on(container, cache_bytes=2 * PARTIAL_IN_CACHE)
        await store.load(SHARD, ids([1, 2]))
        await store.load(SHARD, ids([1]))
        await store.load(SHARD, ids([3]))
        assert [await self.reads(container, store, n) for n in (1, 3, 2)] == [0, 0, 1]

    async def test_a_document_counts_once_however_often_it_is_committed(
        self, container: RecordingContainer
    ) -> None:
        await stored(container, day(1), day(2))
        store = store_on(container, cache_bytes=2 * PARTIAL_IN_CACHE)
        await store.load(SHARD, ids([1, 2]))
        for _ in range(3):
            await store.commit(SHARD, [Write(day(2), etag(container, ids([2])[0]))])
        assert [await self.reads(container, store, n) for n in (1, 2)] == [0, 0]

    async def test_absence_takes_500_bytes(self, container: RecordingContainer) -> None:
        store = store_on(container, cache_bytes=1000)
        await store.load(SHARD, ids([1, 2]))
        assert [await self.reads(container, store, n) for n in (1, 2)] == [0, 0]
        await store.load(SHARD, ids([3]))
        assert [await self.reads(container, store, n) for n in (2, 3, 1)] == [0, 0, 1]

    async def test_the_last_document_stays_even_if_it_is_larger_than_the_cache(
        self, container: RecordingContainer
    ) -> None:
        await stored(container, day(1), day(2))
        store = store_on(container, cache_bytes=0)
        await store.load(SHARD, ids([1, 2]))
        assert [await self.reads(container, store, n) for n in (2, 1)] == [0, 1]

    async def test_forgetting_drops_one_shard_only(self, container: RecordingContainer) -> None:
        await stored(container, day(1), day(1, OTHER))
        store = store_on(container)
        await store.load(SHARD, ids([1, 2]))
        await store.load(OTHER, ids([1]))
        store.forget(SHARD)
        container.requests.clear()
        await store.load(OTHER, ids([1]))
        assert container.requests == []
        await store.load(SHARD, ids([1, 2]))
        assert container.requests == ["read", "read"]

    async def test_forgetting_makes_room(self, container: RecordingContainer) -> None:
        await stored(container, day(1), day(2), day(1, OTHER), day(2, OTHER))
        store = store_on(container, cache_bytes=2 * PARTIAL_IN_CACHE)
        await store.load(OTHER, ids([1, 2]))
        store.forget(OTHER)
        await store.load(SHARD, ids([1, 2]))
        assert [await self.reads(container, store, n) for n in (1, 2)] == [0, 0]

    def test_forgetting_a_shard_of_which_nothing_is_known_does_nothing(
        self, container: RecordingContainer
    ) -> None:
        store_on(container).forget(SHARD)
        assert container.requests == []


class TestStored:
    """What is stored, whatever is cached."""

    async def test_a_document_is_read_though_it_is_cached(self, container: RecordingContainer) -> None:
        await stored(container, day(1))
        store = store_on(container)
        await store.load(SHARD, ids([1]))
        await stored(container, day(1, users=5))
        assert (await store.load(SHARD, ids([1])))[ids([1])[0]].document == day(1)
        current = Loaded(day(1, users=5), etag(container, ids([1])[0]))
        assert await store.load(SHARD, ids([1]), stored=True) == {ids([1])[0]: current}
        assert container.requests == ["read"]
        assert await store.load(SHARD, ids([1])) == {ids([1])[0]: current}
        assert container.requests == ["read"]

    @pytest.mark.parametrize("number", [1, 5])
    async def test_a_document_that_is_cached_as_absent_or_as_stored_is_read_again(
        self, container: RecordingContainer, number: int
    ) -> None:
        store = store_on(container)
        await stored(container, day(5))
        await store.load(SHARD, ids([1, 5]))
        await stored(container, day(1), day(2), day(3), day(4))
        del container.items[SHARD, ids([5])[0]]
        expected = None if number == 5 else day(number)
        loaded = await store.load(SHARD, ids(range(1, 6)), stored=True)
        assert loaded[ids([number])[0]].document == expected
        assert container.requests == ["query"]
        assert (await store.load(SHARD, ids([number])))[ids([number])[0]].document == expected


class TestCommit:
    """One transaction under the guards."""

    async def test_creates_what_may_not_exist_and_replaces_what_has_the_etag(
        self, container: RecordingContainer
    ) -> None:
        await stored(container, day(1))
        guard = etag(container, ids([1])[0])
        await store_on(container).commit(SHARD, [Write(day(1, users=1), guard), Write(day(2), None)])
        assert container.batches == [
            [
                ("replace", (ids([1])[0], day(1, users=1).encode()), {"if_match_etag": guard}),
                ("create", (day(2).encode(),)),
            ]
        ]
        assert container.requests == ["batch"]

    async def test_what_was_committed_is_cached_under_its_new_etag(
        self, container: RecordingContainer
    ) -> None:
        await stored(container, day(1))
        store = store_on(container)
        await store.load(SHARD, ids([1, 2]))
        guard = etag(container, ids([1])[0])
        await store.commit(SHARD, [Write(day(2, users=2), None), Write(day(1, users=1), guard)])
        container.requests.clear()
        assert await store.load(SHARD, ids([1, 2])) == {
            ids([1])[0]: Loaded(day(1, users=1), etag(container, ids([1])[0])),
            ids([2])[0]: Loaded(day(2, users=2), etag(container, ids([2])[0])),
        }
        assert container.requests == []

    @pytest.mark.parametrize(
        ("number", "guard"), [(2, "etag"), (1, None), (1, "another etag")], ids=["404", "409", "412"]
    )
    async def test_a_document_that_is_not_as_its_guard_says_is_a_conflict_and_nothing_is_written(
        self, container: RecordingContainer, number: int, guard: str | None
    ) -> None:
        await stored(container, day(1))
        before = dict(container.items)
        with pytest.raises(ConflictError, match=SHARD):
            await store_on(container).commit(SHARD, [Write(day(3), None), Write(day(number), guard)])
        assert container.items == before

    @pytest.mark.parametrize("in_batch", [False, True])
    async def test_a_transaction_that_the_service_finds_too_large(
        self, container: RecordingContainer, in_batch: bool
    ) -> None:
        refuse(container, 413, in_batch=in_batch)
        with pytest.raises(TooLargeError):
            await store_on(container).commit(SHARD, [Write(day(1), None)])

    @pytest.mark.parametrize(("status", "in_batch"), [(429, True), (400, True), (429, False), (503, False)])
    async def test_any_other_refusal_is_raised_as_it_is(
        self, container: RecordingContainer, status: int, in_batch: bool
    ) -> None:
        refuse(container, status, in_batch=in_batch)
        kind = CosmosBatchOperationError if in_batch else CosmosHttpResponseError
        with pytest.raises(kind) as failure:
            await store_on(container).commit(SHARD, [Write(day(1), None)])
        assert failure.value.status_code == status

    async def test_a_commit_that_failed_leaves_the_cache_as_it_is(
        self, container: RecordingContainer
    ) -> None:
        store = store_on(container)
        await store.load(SHARD, ids([1]))
        refuse(container, 413, in_batch=True)
        with pytest.raises(TooLargeError):
            await store.commit(SHARD, [Write(day(1), None)])
        assert await store.load(SHARD, ids([1])) == {ids([1])[0]: NOTHING}
        assert container.requests == ["read", "batch"]

    async def test_a_hundred_operations_are_one_request(self, container: RecordingContainer) -> None:
        await store_on(container).commit(SHARD, [Write(day(n), None) for n in range(100)])
        assert container.requests == ["batch"]
        assert len(container.items) == 100

    async def test_more_operations_are_too_large_and_no_request(self, container: RecordingContainer) -> None:
        with pytest.raises(TooLargeError, match="101 operations"):
            await store_on(container).commit(SHARD, [Write(day(n), None) for n in range(101)])
        assert container.requests == []

    async def test_two_million_bytes_are_one_request(self, container: RecordingContainer) -> None:
        await store_on(container).commit(
            SHARD, [Write(large(2_000_000 - 400 - PARTIAL_BYTES), None), Write(day(1), None)]
        )
        assert container.requests == ["batch"]

    async def test_more_bytes_are_too_large_and_no_request(self, container: RecordingContainer) -> None:
        with pytest.raises(TooLargeError, match="2000001 bytes"):
            await store_on(container).commit(
                SHARD, [Write(large(2_000_001 - 400 - PARTIAL_BYTES), None), Write(day(1), None)]
            )
        assert container.requests == []


def large(size: int) -> Page:
    """Return a page that records this size, in bytes."""
    return Page(SHARD, USER_INTERACTIONS, HOUR, size=size)


def refuse(container: FakeContainer, status: int, *, in_batch: bool) -> None:
    """Have the container refuse every batch."""

    def fault(operation: str, when: str) -> None:
        if operation == "batch" and in_batch:
            raise CosmosBatchOperationError(
                error_index=0, headers={}, status_code=status, message="no", operation_responses=[]
            )
        if operation == "batch":
            raise CosmosHttpResponseError(status_code=status, message="no")

    container.fault = fault


async def test_each_shard_has_one_lock(container: RecordingContainer) -> None:
    store = store_on(container)
    assert store.lock(SHARD) is store.lock(SHARD)
    async with store.lock(SHARD):
        assert not store.lock(OTHER).locked()
