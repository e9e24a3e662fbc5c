"""Plans, proved by the SDK's own pipeline: what it merges from partitions equals one run over everything."""

from __future__ import annotations

import random
from typing import Any

import pytest
from azure.cosmos._execution_context.aio.execution_dispatcher import _PipelineExecutionContext
from azure.cosmos._execution_context.aio.multi_execution_aggregator import _MultiExecutionContextAggregator
from azure.cosmos._execution_context.query_execution_info import _PartitionedQueryExecutionInfo

from local.cosmos.query import UnsupportedError, compile_query

PARTITIONS = 3
PAGE = 4


def documents() -> list[dict[str, Any]]:
    chance = random.Random(7)
    return [
        {
            "id": f"{number:03d}",
            "_rid": f"r{number:03d}",
            "n": number,
            "kind": chance.choice("abc"),
            "score": chance.choice([1, 2.5, 7, 11]),
            "tags": chance.sample(["x", "y", "z"], chance.randint(0, 3)),
        }
        for number in range(60)
    ]


class Client:
    """As much of the SDK's connection as its pipeline uses; each partition answers in pages."""

    def __init__(self) -> None:
        self._routing_map_provider = self
        self._global_endpoint_manager = self
        everything = documents()
        self.partitions = {str(n): everything[n::PARTITIONS] for n in range(PARTITIONS)}
        self.last_response_headers: dict[str, Any] = {}
        self.sent: set[str] = set()

    async def get_overlapping_ranges(self, _link: str, ranges: list[Any], _options: Any) -> list[Any]:
        assert [(part.min, part.max) for part in ranges] == [("", "FF")]
        return [
            {"id": name, "minInclusive": name, "maxExclusive": chr(ord(name) + 1)} for name in self.partitions
        ]

    async def refresh_routing_map_provider(self, *_: Any, **__: Any) -> None:
        raise AssertionError("no partition has moved")

    async def QueryFeed(  # noqa: N802  the SDK's name
        self, _path: str, _id: str, query: Any, options: dict[str, Any], partition: str, **_: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        text, parameters = parts(query)
        self.sent.add(text)
        results = compile_query(text).run(self.partitions[partition], parameters)
        start = int(options.get("continuation") or 0)
        more = start + PAGE < len(results)
        headers = {"x-ms-continuation": str(start + PAGE)} if more else {}
        self.last_response_headers = headers
        return results[start : start + PAGE], headers


def parts(query: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(query, str):
        return query, {}
    return query["query"], {entry["name"]: entry["value"] for entry in query["parameters"]}


@pytest.fixture(autouse=True)
def _without_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails here, so the SDK's retries, which need a real connection, are left out."""

    async def execute(_client: Any, _manager: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    monkeypatch.setattr("azure.cosmos.aio._retry_utility_async.ExecuteAsync", execute)


async def merged(query: Any) -> list[Any]:
    text, parameters = parts(query)
    info = _PartitionedQueryExecutionInfo(compile_query(text).plan(parameters))
    client = Client()
    options: dict[str, Any] = {}
    context = _MultiExecutionContextAggregator(client, "dbs/d/colls/c", query, options, info, None, None)
    await context._configure_partition_ranges()
    pipeline = _PipelineExecutionContext(client, options, context, info)
    found = []
    while block := await pipeline.fetch_next_block():
        found.extend(block)
    assert all("formattable" not in text for text in client.sent)
    return found


def at_once(query: Any) -> list[Any]:
    text, parameters = parts(query)
    return compile_query(text).run(documents(), parameters)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM c ORDER BY c.n",
        "SELECT * FROM c WHERE c.kind = 'a' OR c.kind = 'b' ORDER BY c.n DESC",
        "SELECT c.id, c.kind AS type FROM c ORDER BY c.kind DESC, c.score, c.n DESC",
        "SELECT VALUE c.id FROM c ORDER BY c.n",
        "SELECT VALUE c.tags[1] FROM c ORDER BY c.n",
        "SELECT c.id, t FROM c JOIN t IN c.tags WHERE t != 'x' ORDER BY c.n DESC",
        "SELECT TOP 5 c.id FROM c ORDER BY c.n DESC",
        "SELECT c.id FROM c ORDER BY c.n OFFSET 7 LIMIT 9",
        "SELECT DISTINCT c.kind FROM c ORDER BY c.kind DESC",
        "SELECT DISTINCT TOP 2 VALUE c.kind FROM c ORDER BY c.n",
        "SELECT DISTINCT VALUE c.kind FROM c ORDER BY c.kind OFFSET 1 LIMIT 1",
        "SELECT VALUE COUNT(1) FROM c",
        "SELECT VALUE COUNT(1) FROM c WHERE c.kind = 'nothing'",
        "SELECT VALUE COUNTIF(c.kind = 'a') FROM c",
        "SELECT VALUE SUM(c.n) FROM c WHERE c.score > 2",
        "SELECT VALUE AVG( (c.score) ) FROM c",
        "SELECT VALUE MIN(c.kind) FROM c",
        "SELECT VALUE MAX(c.n) FROM c JOIN t IN c.tags WHERE t = 'x'",
        {
            "query": "SELECT TOP @top c.id FROM c WHERE c.kind = @kind ORDER BY c.n DESC",
            "parameters": [{"name": "@top", "value": 3}, {"name": "@kind", "value": "a"}],
        },
        {
            "query": "SELECT VALUE c.id FROM c ORDER BY c.n OFFSET @skip LIMIT @take",
            "parameters": [{"name": "@skip", "value": 30}, {"name": "@take", "value": 100}],
        },
        "SELECT VALUE 1",
    ],
    ids=str,
)
async def test_merging_partitions_gives_what_one_run_gives(query: Any) -> None:
    expected = at_once(query)
    assert await merged(query) == expected
    assert expected


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM c WHERE c.score > 2",
        "SELECT VALUE t FROM t IN c.tags",
        "SELECT DISTINCT c.kind FROM c",
        "SELECT DISTINCT VALUE c.score FROM c",
    ],
)
async def test_without_an_order_the_same_results_come_in_some_order(query: str) -> None:
    assert sorted(await merged(query), key=str) == sorted(at_once(query), key=str)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT TOP 7 * FROM c", 7),
        ("SELECT * FROM c OFFSET 55 LIMIT 9", 5),
        ("SELECT c.id FROM c OFFSET 20 LIMIT 9", 9),
        ("SELECT DISTINCT TOP 2 c.kind FROM c", 2),
    ],
)
async def test_without_an_order_pages_have_their_size(query: str, expected: int) -> None:
    found = await merged(query)
    assert len(found) == expected
    assert len({str(item) for item in found}) == expected


def test_an_ordered_plan_has_what_the_gateway_gives() -> None:
    plan = compile_query("SELECT c.id, c.a + 1 FROM c WHERE c.b = 1 OR c.x ORDER BY c.n DESC, c.m").plan({})
    assert plan["queryRanges"] == [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}]
    info = plan["queryInfo"]
    assert info["orderBy"] == ["Descending", "Ascending"]
    assert info["orderByExpressions"] == ["c.n", "c.m"]
    assert info["rewrittenQuery"] == (
        'SELECT c._rid AS _rid, [{"item": c.n}, {"item": c.m}] AS orderByItems, '
        '{"id": c.id, "$1": c.a + 1} AS payload FROM c '
        "WHERE (c.b = 1 OR c.x) AND ({documentdb-formattableorderbyquery-filter}) ORDER BY c.n DESC, c.m ASC"
    )
    rewritten = compile_query(info["rewrittenQuery"]).run([{"_rid": "r", "id": "1", "b": 1, "n": 2}], {})
    assert rewritten == [{"_rid": "r", "orderByItems": [{"item": 2}, {}], "payload": {"id": "1"}}]


def test_a_plain_query_is_not_rewritten() -> None:
    info = compile_query("SELECT * FROM c WHERE c.a = 1").plan({})["queryInfo"]
    assert (info["rewrittenQuery"], info["distinctType"], info["top"], info["limit"]) == (
        "",
        "None",
        None,
        None,
    )


def test_a_grouped_plan_groups_in_each_partition() -> None:
    info = compile_query("SELECT c.kind, AVG(c.n) AS mean FROM c GROUP BY c.kind").plan({})["queryInfo"]
    assert info["groupByExpressions"] == ["c.kind"]
    assert info["groupByAliases"] == ["kind", "mean"]
    assert info["groupByAliasToAggregateType"] == {"kind": None, "mean": "Average"}
    rows = compile_query(info["rewrittenQuery"]).run([{"kind": "a", "n": 1}, {"kind": "a", "n": 3}], {})
    assert rows == [
        {
            "groupByItems": [{"item": "a"}],
            "payload": {"kind": "a", "mean": {"item": {"sum": 4, "count": 2}}},
        }
    ]


def test_features_say_what_a_client_must_merge() -> None:
    assert compile_query("SELECT * FROM c").features == frozenset()
    assert compile_query("SELECT TOP 1 * FROM c ORDER BY c.a, c.b").features == {
        "Top",
        "OrderBy",
        "MultipleOrderBy",
    }
    assert compile_query("SELECT c.a, COUNT(1) FROM c GROUP BY c.a").features == {
        "GroupBy",
        "Aggregate",
        "NonValueAggregate",
    }


@pytest.mark.parametrize(
    "query",
    [
        "SELECT VALUE SUM(c.a) / COUNT(1) FROM c",
        "SELECT VALUE COUNT(1) + 1 FROM c",
        "SELECT VALUE {'n': COUNT(1)} FROM c",
    ],
)
def test_an_expression_over_aggregates_cannot_be_merged(query: str) -> None:
    with pytest.raises(UnsupportedError, match="An expression over aggregates across partitions"):
        compile_query(query).plan({})
