"""What is published already: read once, remembered within bounds, or found by one query per partition."""

from __future__ import annotations

from typing import Any

from shared.publishing.decide import ExistingDocument
from shared.publishing.existing import Address, ExistingDocuments, LruCache
from shared.publishing.plan import DocumentKey
from shared.views.base import DocumentSet
from tests.fakes import FakeContainer

ADDRESS = Address("user_analytics", "d1", "ann")


class Database:
    def __init__(self) -> None:
        self.container = FakeContainer("user_id")

    def get_container_client(self, _name: str) -> Any:
        return self.container

    def add(
        self, document_id: str, *, user: str = "ann", kind: str = "daily", start: str = "2025-08-05"
    ) -> None:
        self.container._store(
            {
                "id": document_id,
                "user_id": user,
                "partition_key": user,
                "analysis_period": kind,
                "period_start": start,
                "calculated_at": "2025-08-06T00:00:00Z",
                "state": {"generation": 1, "revision": 7, "tick": "", "digest": "d", "content": "c"},
            }
        )

    def existing(self) -> ExistingDocuments:
        return ExistingDocuments(self)  # type: ignore[arg-type]


def test_the_least_recently_used_value_is_dropped_first() -> None:
    cache = LruCache[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    assert (cache.pop("a"), cache.pop("a")) == (1, None)


async def test_a_document_says_what_it_was_computed_from() -> None:
    database = Database()
    database.add("d1")
    found = await database.existing().read(ADDRESS)
    assert found is not None
    assert (found.partition, found.etag, found.generation, found.revision) == ("ann", '"1"', 1, 7)
    assert await database.existing().read(Address("user_analytics", "gone", "ann")) is None


async def test_what_is_remembered_costs_no_request_unless_it_must_not_be_used() -> None:
    database = Database()
    database.add("d1")
    existing = database.existing()
    remembered = ExistingDocument("ann", "old", 1, 1, "", "", "", None)
    existing.remember(ADDRESS, remembered)
    assert await existing.read(ADDRESS) is remembered
    assert await existing.read(ADDRESS, {}) is remembered
    assert database.container.requests == []
    fresh = await existing.read(ADDRESS, use_memory=False)
    assert fresh is not None
    assert fresh.etag == '"1"'
    existing.forget(ADDRESS)
    assert await existing.read(ADDRESS, {}) is None
    assert database.container.requests == ["read"]


async def test_a_set_holds_the_documents_of_its_kind_and_bounds() -> None:
    database = Database()
    database.add("inside", start="2025-08-05")
    database.add("before", start="2025-07-31")
    database.add("after", start="2025-09-01")
    database.add("weekly", kind="weekly", start="2025-08-05")
    database.add("bob's", user="bob")
    month = DocumentSet("ann", "daily", "2025-08-01", "2025-08-31")
    assert (await database.existing().read_set("user_analytics", month)).keys() == {"inside"}


async def test_sets_of_one_partition_are_read_by_one_query() -> None:
    database = Database()
    database.add("d", start="2025-08-05T00:00:00Z")
    database.add("w", kind="weekly", start="2025-08-04T00:00:00Z")
    database.add("b", user="bob", start="2025-08-05T00:00:00Z")
    day, week, bob = (
        DocumentKey("user_analytics_daily", "202508|ann"),
        DocumentKey("user_analytics_weekly", "2025W32|ann"),
        DocumentKey("user_analytics_daily", "202508|bob"),
    )
    no_set = DocumentKey("daily_metrics", "2025-08-05")
    no_partition = DocumentKey("content_analytics", "202508")
    malformed = DocumentKey("user_analytics_daily", "no period|ann")
    found = await database.existing().read_sets([day, week, bob, no_set, no_partition, malformed])
    assert {document: set(documents) for document, documents in found.items()} == {
        day: {"d"}, week: {"w"}, bob: {"b"},
    }  # fmt: skip
    assert database.container.requests == ["query", "query"]
