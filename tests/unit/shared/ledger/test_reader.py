"""Every query on view_state: which rows it returns, of which partition, with which parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.aggregates.base import PartialKey
from shared.cosmos.queries import Query
from shared.ledger.reader import Selection, StateReader, position_after
from shared.ledger.shards import ShardId
from shared.units import EventHour
from tests.fakes import ANSWERS, FakeContainer

SHARED = Path(__file__).parents[4] / "shared"

ON_THE_SERVER = {
    "poison_rows", "poison_count", "poison_groups", "poison_ids", "earlier_rows", "requests",
    "running_requests", "rows_to_search", "documents_of_partition", "owners", "owners_of_accounts",
    "deleted_accounts", "erased_among", "written_since", "everything", "archive_written", "archive_count",
    "archive_documents",
}  # fmt: skip
"""Queries that no test answers from a fake: those of poison, people, archive and backup run on the local
database server."""
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


async def test_documents_of_a_shard_between_two_ids() -> None:
    on = await reading(*EVERYTHING)
    found = await on.ids(on.reader.documents_between(SHARD, "ledger|users|", "partial|day|b"))
    assert found == ["ledger|users|10", "partial|day|a"]
    on.container.check("documents_between", SHARD)


async def test_the_lowest_id_of_a_shard_between_two() -> None:
    on = await reading(*EVERYTHING)
    assert await on.reader.first_id(SHARD, "partial|", "partial|person|") == "partial|day|a"
    on.container.check("ids_between", SHARD)
    assert await on.reader.first_id(SHARD, "partial|day|b", "partial|day|c") is None


async def test_persons_of_shard() -> None:
    on = await reading(*EVERYTHING)
    assert await on.ids(on.reader.persons_of_shard(SHARD)) == ["partial|person|ana"]
    on.container.check("persons_of_shard", SHARD)


async def test_a_selection_of_a_generation() -> None:
    on = await reading(*EVERYTHING)
    selection = Selection.beginning("", since=6)
    found = [row.target async for row in on.reader.selected(1, selection)]
    assert sorted(set(found)) == [("day", "a"), ("person", "ben")]
    on.container.check("selected", None)
    assert await on.reader.shards_of(1, selection) == [SECOND]
    on.container.check("shards_of_selected", None)


async def test_a_selection_has_nothing_of_another_aggregate_or_key() -> None:
    on = await reading(
        partial("day", "2025-08-05"),
        partial("day", "2025-08-05", SECOND),
        partial("day", "2025-09-01"),
        partial("days", "2025-08-05"),
        partial("day", "2025-08-06", NEXT_GENERATION),
    )
    assert await on.reader.keys_of(1, Selection.beginning("day|2025-08")) == {"2025-08-05"}
    on.container.check("keys_of_selected", None)


async def test_a_selection_of_a_shard_continues_after_a_position() -> None:
    on = await reading(*(partial("day", key) for key in "abcd"), partial("day", "c", SECOND))
    selection, found = Selection.beginning("day|"), list[str]()
    while rows := await on.reader.selected_of_shard(SHARD, selection, 3):
        found += [row.target.key for row in rows]
        selection = replace(selection, first=position_after(rows[-1].id))
    assert found == list("abcd")
    on.container.check("selected_of_shard", SHARD)


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
        {
            "id": "partial|person|ana",
            "state": {"parts": {}},
            "record": {"refused": True, "first_known": "2025-07-05"},
        },
        {"id": "partial|person|cid", "state": {"parts": {}}, "record": {"months": {"202508": []}}},
        {"id": "partial|person|ben", "state": {"parts": {}}, "record": {}},
    ]
    on.container.check("tiers_of_people", None)
    assert await on.reader.tiers_of_shard(SHARD, "partial|person|b", 5) == found[1:2]
    on.container.check("tiers_of_shard", SHARD)


async def test_people_by_their_consent() -> None:
    on = await reading(*PEOPLE)
    selection = Selection.beginning("person|", consent=True)
    found = [row async for row in on.reader.selected(1, selection)]
    assert [(row.target.key, row.pending, row.refused) for row in found] == [
        ("ana", False, True),
        ("ben", True, False),
    ]
    on.container.check("people_selected", None)
    assert await on.reader.shards_of(1, selection) == [SHARD, SECOND]
    on.container.check("shards_of_people_selected", None)
    assert await on.reader.selected_of_shard(SHARD, selection, 5) == found[:1]
    on.container.check("people_selected_of_shard", SHARD)


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
    assert set(names) == ANSWERS.keys() | ON_THE_SERVER


def test_the_names_of_queries_are_found_wherever_they_are_made() -> None:
    assert list(query_names("A = Query('a', 'SELECT')\ndef f(): return Query('b', 'x')")) == ["a", "b"]
    with pytest.raises(AssertionError, match="literal"):
        list(query_names("Query(name, 'SELECT')"))
