"""Every query on view_state: which rows it returns, of which partition, with which parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.aggregates.base import PartialKey
from shared.cosmos.queries import Query
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId
from shared.units import EventHour
from tests.fakes import ANSWERS, FakeContainer

SHARED = Path(__file__).parents[4] / "shared"
SHARD, SECOND, NEXT_GENERATION = ShardId("1:0000"), ShardId("1:0001"), ShardId("12:0000")


def page(hour: str, source: str = "users", shard: str = SHARD) -> dict[str, Any]:
    return {
        "id": f"ledger|{source}|{hour}",
        "shard": shard,
        "kind": "ledger",
        "source": source,
        "hour": hour,
    }


def partial(aggregate: str, key: str, shard: str = SHARD) -> dict[str, Any]:
    return {
        "id": f"partial|{aggregate}|{key}",
        "shard": shard,
        "kind": "partial",
        "aggregate": aggregate,
        "key": key,
    }


def person(user_id: str, shard: str = SHARD, **record: Any) -> dict[str, Any]:
    return partial("person", user_id, shard) | {"state": {"parts": {}}, "record": record}


class Asked(FakeContainer):
    """Remembers the last query, its parameters and its partition."""

    query: Query
    values: dict[str, Any]
    partition: str | None

    async def query_items(
        self,
        query: Query,
        *,
        parameters: list[dict[str, Any]] | None = None,
        partition_key: str | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        self.query, self.partition = query, partition_key
        self.values = {parameter["name"]: parameter["value"] for parameter in parameters or []}
        rows = super().query_items(query, parameters=parameters, partition_key=partition_key, **options)
        async for row in rows:
            yield row

    def check(self, name: str, partition: str | None) -> None:
        """Check which query was asked, of which partition, and that its text has just its parameters."""
        assert (self.query.name, self.partition) == (name, partition)
        assert set(re.findall(r"@\w+", self.query)) == self.values.keys()


class Reading:
    """A reader of a container with these documents, whose ``_ts`` is 1, 2, 3 and so on."""

    def __init__(self, container: Asked) -> None:
        self.container = container
        self.reader = StateReader(container)  # type: ignore[arg-type]

    async def ids(self, rows: AsyncIterator[Any]) -> list[str]:
        return [row["id"] async for row in rows]

    async def keys(self, rows: AsyncIterator[PartialKey]) -> list[tuple[str, str]]:
        return [tuple(row) async for row in rows]


async def reading(*documents: dict[str, Any]) -> Reading:
    container = Asked()
    for document in documents:
        await container.upsert_item(document)
    return Reading(container)


async def test_documents_by_id() -> None:
    on = await reading(page("10"), partial("day", "a"), partial("day", "b"), partial("day", "a", SECOND))
    rows = on.reader.documents_by_id(SHARD, ["partial|day|a", "ledger|users|10", "partial|day|z"])
    found = [(row["id"], row["shard"], row["_etag"]) async for row in rows]
    assert found == [("ledger|users|10", SHARD, '"1"'), ("partial|day|a", SHARD, '"2"')]
    on.container.check("documents_by_id", SHARD)


async def test_partials_by_key_of_one_shard_or_of_all() -> None:
    on = await reading(
        partial("day", "a"),
        partial("day", "b"),
        partial("month", "a"),
        partial("day", "a", SECOND),
        page("10"),
    )
    targets = [PartialKey("day", "b"), PartialKey("day", "a")]
    assert await on.ids(on.reader.partials_by_key(targets, since=1, shard=SHARD)) == [
        "partial|day|a",
        "partial|day|b",
    ]
    on.container.check("partials_by_key", SHARD)
    assert await on.ids(on.reader.partials_by_key(targets, since=2)) == ["partial|day|b", "partial|day|a"]
    on.container.check("partials_by_key", None)


async def test_partials_by_key_of_several_aggregates() -> None:
    on = await reading(partial("day", "a"), partial("month", "b"), partial("day", "b"), partial("month", "a"))
    targets = [PartialKey("day", "a"), PartialKey("month", "b")]
    assert await on.ids(on.reader.partials_by_key(targets, since=0)) == ["partial|day|a", "partial|month|b"]


async def test_pages_in_hours_of_two_sources_and_all_shards_of_a_generation() -> None:
    on = await reading(
        page("2025-08-05T09"),
        page("2025-08-05T10"),
        page("2025-08-05T11", source="user_sessions", shard=SECOND),
        page("2025-08-05T11", source="abuse_incidents"),
        page("2025-08-05T11", shard=NEXT_GENERATION),
        page("2025-08-05T12"),
    )
    hours = EventHour("2025-08-05T10"), EventHour("2025-08-05T11")
    assert await on.ids(on.reader.pages_in_hours(1, *hours, ("users", "user_sessions"))) == [
        "ledger|users|2025-08-05T10",
        "ledger|user_sessions|2025-08-05T11",
    ]
    on.container.check("pages_in_hours", None)


async def test_pages_from() -> None:
    on = await reading(
        page("09"),
        page("10"),
        page("11"),
        page("12"),
        page("13"),
        page("12", shard=SECOND),
        partial("day", "a"),
    )
    on.container.items[SHARD, "ledger|users|11"]["_ts"] = 1
    found = await on.reader.pages_from(SHARD, "users", "ledger|users|10", since=2, limit=2)
    assert [item["id"] for item in found] == ["ledger|users|10", "ledger|users|12"]
    on.container.check("pages_from", SHARD)


EVERYTHING = (
    page("10"), partial("day", "a"), partial("person", "ana"), partial("person_month", "202508|ana"),
    page("11", shard=SECOND), partial("person", "ben", SECOND), partial("day", "a", SECOND),
    partial("day", "a", NEXT_GENERATION), partial("day", "z", NEXT_GENERATION),
)  # fmt: skip


async def test_pages_of_shard() -> None:
    on = await reading(*EVERYTHING)
    assert await on.ids(on.reader.pages_of_shard(SHARD)) == ["ledger|users|10"]
    on.container.check("pages_of_shard", SHARD)


async def test_persons_of_shard() -> None:
    on = await reading(*EVERYTHING)
    assert await on.ids(on.reader.persons_of_shard(SHARD)) == ["partial|person|ana"]
    on.container.check("persons_of_shard", SHARD)


async def test_partials_of_shard() -> None:
    on = await reading(*EVERYTHING)
    assert await on.ids(on.reader.partials_of_shard(SHARD)) == [
        "partial|day|a",
        "partial|person_month|202508|ana",
    ]
    on.container.check("partials_of_shard", SHARD)


async def test_all_keys_of_a_generation_each_once() -> None:
    on = await reading(*EVERYTHING)
    assert await on.keys(on.reader.all_keys(1)) == [
        ("day", "a"),
        ("person_month", "202508|ana"),
        ("person", "ana"),
        ("person", "ben"),
    ]
    on.container.check("all_keys", None)


async def test_keys_written_since_each_once() -> None:
    on = await reading(*EVERYTHING)
    assert await on.keys(on.reader.keys_written_since(1, 6)) == [("day", "a"), ("person", "ben")]
    on.container.check("keys_written_since", None)


async def test_keys_with_prefix_each_once() -> None:
    on = await reading(
        partial("day", "2025-08-05"),
        partial("day", "2025-08-05", SECOND),
        partial("day", "2025-09-01"),
        partial("month", "2025-08"),
        partial("day", "2025-08-06", NEXT_GENERATION),
    )
    assert await on.keys(on.reader.keys_with_prefix(1, "day", "2025-08")) == [("day", "2025-08-05")]
    on.container.check("keys_with_prefix", None)


PEOPLE = (
    person("ana", refused=True, first_known="2025-07-05", accounts={"u": {}}, index={"x|202508": "AAAABB"}),
    person("ben", SECOND, pending=True),
    person("cid", months={"202508": []}),
    person("dan", NEXT_GENERATION, refused=True, pending=True),
    partial("day", "a"),
)  # fmt: skip


async def test_tiers_of_people_have_what_tiers_need_and_no_more() -> None:
    on = await reading(*PEOPLE)
    found = [row async for row in on.reader.tiers_of_people(1)]
    assert found == [
        {"state": {"parts": {}}, "record": {"refused": True, "first_known": "2025-07-05"}},
        {"state": {"parts": {}}, "record": {"months": {"202508": []}}},
        {"state": {"parts": {}}, "record": {}},
    ]
    on.container.check("tiers_of_people", None)


async def test_pending_people_of_a_generation() -> None:
    on = await reading(*PEOPLE)
    assert [user_id async for user_id in on.reader.pending_people(1)] == ["ben"]
    on.container.check("pending_people", None)


async def test_refusing_people_of_a_generation() -> None:
    on = await reading(*PEOPLE)
    assert [user_id async for user_id in on.reader.refusing_people(1)] == ["ana"]
    on.container.check("refusing_people", None)


def query_names(source: str) -> Iterator[str]:
    """Yield the names of the queries that a module makes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Query":
            name = node.args[0]
            assert isinstance(name, ast.Constant), "a query is named by a literal"
            yield str(name.value)


def test_the_fake_answers_the_queries_of_the_product_and_no_others() -> None:
    names = [name for path in SHARED.rglob("*.py") for name in query_names(path.read_text(encoding="utf-8"))]
    assert len(names) == len(set(names)), "two queries have one name"
    assert set(names) == ANSWERS.keys()


def test_the_names_of_queries_are_found_wherever_they_are_made() -> None:
    assert list(query_names("A = Query('a', 'SELECT')\ndef f(): return Query('b', 'x')")) == ["a", "b"]
    with pytest.raises(AssertionError, match="literal"):
        list(query_names("Query(name, 'SELECT')"))
