"""Queries through the SDK's own pipeline, over four physical partitions, as the service answers them."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from azure.cosmos import CosmosClient as SyncClient
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cosmos_server import ServerProcess
from tests.unit.local.cosmos import query_oracle as oracle

POLICY: dict[str, Any] = {
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": "/secret/?"}],
    "compositeIndexes": [
        [{"path": "/kind", "order": "ascending"}, {"path": "/n", "order": "descending"}],
        [{"path": "/kind"}, {"path": "/n"}, {"path": "/id"}],
    ],
}


def documents() -> list[dict[str, Any]]:
    return [
        {
            "id": f"{n:02d}",
            "pk": f"p{n % 7}",
            "n": n,
            "kind": "abc"[n % 3],
            "a": oracle.NUMBERS[n % len(oracle.NUMBERS)],
            "b": oracle.STRINGS[n % len(oracle.STRINGS)],
            "list": [n, "x"][: n % 3],
            "o": {"p": n % 2 == 0} if n % 4 else {},
            "secret": n,
        }
        for n in range(40)
    ]


DOCUMENTS = documents()
ALL = range(len(DOCUMENTS))


@pytest.fixture(scope="module")
def filled(server: ServerProcess) -> str:
    """The name of a container that has the documents."""
    name = uuid4().hex
    with SyncClient.from_connection_string(server.connection_string) as client:
        database = client.create_database_if_not_exists("tests")
        container = database.create_container(name, PartitionKey("/pk"), indexing_policy=POLICY)
        for document in DOCUMENTS:
            container.create_item(document)
    return name


@pytest.fixture
async def container(database: DatabaseProxy, filled: str) -> ContainerProxy:
    return database.get_container_client(filled)


async def listed(container: ContainerProxy, text: str, **options: Any) -> list[Any]:
    return [item async for item in container.query_items(text, **options)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "SELECT VALUE c.n FROM c ORDER BY c.kind ASC, c.n DESC",
            sorted(range(40), key=lambda n: (n % 3, -n)),
        ),
        ("SELECT VALUE c.n FROM c ORDER BY c.kind DESC, c.n", sorted(range(40), key=lambda n: (-(n % 3), n))),
        ("SELECT TOP 3 VALUE c.n FROM c WHERE c.kind = 'b' ORDER BY c.n DESC", [37, 34, 31]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 38 LIMIT 9", [38, 39]),
        ("SELECT DISTINCT VALUE c.kind FROM c ORDER BY c.kind DESC", ["c", "b", "a"]),
        ("SELECT VALUE SUM(c.n) FROM c WHERE c.n > 9 ORDER BY c.n", [sum(range(10, 40))]),
        ("SELECT VALUE AVG(c.n) FROM c", [19.5]),
        ("SELECT VALUE COUNT(1) FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.list WHERE t = 'x')", [13]),
        ("SELECT VALUE COUNT(1) FROM c JOIN t IN c.list", [39]),
        ("SELECT VALUE c.n FROM c WHERE c.b LIKE '%\\\\%' ESCAPE '!'", [7, 19, 31]),
        ("SELECT VALUE c.n FROM c WHERE c.b = 'नमस्ते' AND c.n < 20", [9]),
        ("SELECT VALUE c.n FROM c WHERE (c['o']['p'] ?? c.n) = 0", [0]),
    ],
)
async def test_results_over_physical_partitions(
    container: ContainerProxy, text: str, expected: list[Any]
) -> None:
    found = await listed(container, text)
    assert (found if "ORDER BY" in text else sorted(found)) == expected


async def test_groups_in_a_logical_partition(container: ContainerProxy) -> None:
    text = "SELECT LOWER(c.kind) AS kind, COUNT(1) AS count, MAX(c.n) AS most FROM c GROUP BY LOWER(c.kind)"
    groups = await listed(container, text, partition_key="p1")
    assert sorted(groups, key=lambda group: group["kind"]) == [
        {"kind": "a", "count": 2, "most": 36},
        {"kind": "b", "count": 2, "most": 22},
        {"kind": "c", "count": 2, "most": 29},
    ]
    with pytest.raises(CosmosHttpResponseError, match="GroupBy"):
        await listed(container, text)  # this SDK cannot merge groups


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("text", ["SELECT VALUE c.n FROM c", "SELECT VALUE c.n FROM c ORDER BY c.n"])
def test_the_synchronous_client_pages_through_them_all(
    server: ServerProcess, filled: str, text: str, size: int
) -> None:
    with SyncClient.from_connection_string(server.connection_string) as client:
        container = client.get_database_client("tests").get_container_client(filled)
        query = container.query_items(text, enable_cross_partition_query=True, max_item_count=size)
        pages = [list(page) for page in query.by_page()]
    found = [n for page in pages for n in page]
    assert sorted(found) == list(range(40))
    assert "ORDER BY" not in text or found == list(range(40))
    assert max(map(len, pages)) <= size


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("SELEC * FROM c", "SC1001", "Syntax error, incorrect syntax near 'SELEC'."),
        ("SELECT c.n FROM c ORDER BY c.n LIMIT 3", "SC1001", "Syntax error, incorrect syntax near 'LIMIT'."),
        ("SELECT d.n FROM c", "SC2001", "Identifier 'd' could not be resolved"),
        ("SELECT VALUE ST_DISTANCE(c.a, c.b) FROM c", "", "The function ST_DISTANCE is not supported"),
        ("SELECT VALUE udf.tax(c.n) FROM c", "", "user-defined function 'tax'"),
        ("SELECT * FROM c ORDER BY c.n + 1", "SC2206", "could not be mapped to a document path"),
        ("SELECT c.n FROM c JOIN t IN c.list ORDER BY t", "", "Order-by over correlated collections"),
        # also where no item gets as far as the parameter
        ("SELECT * FROM c WHERE c.n = 99 AND c.kind = @kind", "", "parameter @kind, but no value was given"),
        (
            "SELECT * FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.list WHERE t = 99 AND c.n IN (1, @n))",
            "",
            "parameter @n, but no value was given",
        ),
    ],
)
async def test_a_query_that_is_wrong_is_refused_as_the_service_does(
    container: ContainerProxy, text: str, code: str, message: str
) -> None:
    for options in ({}, {"partition_key": "p1"}):
        with pytest.raises(CosmosHttpResponseError) as refused:
            await listed(container, text, **options)
        assert refused.value.status_code == 400
        assert message in str(refused.value)
        assert code in str(refused.value)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("c.secret", "The index path corresponding to the specified order-by item is excluded."),
        ("c._etag", "The index path corresponding to the specified order-by item is excluded."),
        ("c.n, c.kind", "does not have a corresponding composite index"),
        ("c.kind, c.n", "does not have a corresponding composite index"),
        ("c.kind, c.n DESC, c.id", "does not have a corresponding composite index"),
    ],
)
async def test_sorting_needs_the_index_that_the_service_needs(
    container: ContainerProxy, order: str, message: str
) -> None:
    text = f"SELECT * FROM c WHERE c.kind = 'a' ORDER BY {order}"  # noqa: S608
    for options in ({}, {"partition_key": "p1"}):
        with pytest.raises(CosmosHttpResponseError) as refused:
            await listed(container, text, **options)
        assert refused.value.status_code == 400
        assert message in str(refused.value)


async def test_pages_of_a_sorted_query_go_on_behind_what_was_read(database: DatabaseProxy) -> None:
    """Between two pages rows come, go and change; those that stay come once, and in order."""
    container = await database.create_container(uuid4().hex, PartitionKey("/pk"))
    for n in range(0, 20, 2):
        await container.create_item({"id": f"{n}", "pk": "p", "n": n})
    query = container.query_items(
        "SELECT VALUE c.n FROM c ORDER BY c.n DESC", partition_key="p", max_item_count=3
    )
    pages = query.by_page()
    found = [n async for n in await anext(pages)]
    assert found == [18, 16, 14]
    await container.delete_item("16", "p")
    await container.delete_item("10", "p")
    await container.create_item({"id": "17", "pk": "p", "n": 17})
    await container.create_item({"id": "9", "pk": "p", "n": 9})
    found += [n async for page in pages async for n in page]
    assert found == [18, 16, 14, 12, 9, 8, 6, 4, 2, 0]


async def test_pages_of_a_join_go_on_with_the_item_that_was_begun(database: DatabaseProxy) -> None:
    container = await database.create_container(uuid4().hex, PartitionKey("/pk"))
    for name in "abc":
        await container.create_item({"id": name, "pk": "p", "list": [f"{name}{n}" for n in range(4)]})
    query = container.query_items(
        "SELECT VALUE t FROM c JOIN t IN c.list", partition_key="p", max_item_count=6
    )
    pages = query.by_page()
    found = [value async for value in await anext(pages)]
    assert found == ["a0", "a1", "a2", "a3", "b0", "b1"]
    await container.delete_item("b", "p")
    found += [value async for page in pages async for value in page]
    assert found[6:] == ["c0", "c1", "c2", "c3"]


async def test_metrics_for_who_asks(container: ContainerProxy) -> None:
    headers: dict[str, Any] = {}

    def keep(given: Any, _: Any) -> None:
        headers.update(given)

    count = "SELECT VALUE COUNT(1) FROM c"
    await listed(container, count, partition_key="p1", populate_query_metrics=True, response_hook=keep)
    metrics = dict(entry.split("=") for entry in headers["x-ms-documentdb-query-metrics"].split(";"))
    assert metrics["retrievedDocumentCount"] == "0"
    assert metrics["outputDocumentCount"] == "1"
    text = "SELECT * FROM c WHERE c.n > 3 AND c.secret = 1"
    await listed(container, text, partition_key="p1", populate_index_metrics=True, response_hook=keep)
    indexes = headers["x-ms-cosmos-index-utilization"]
    assert [index["IndexSpec"] for index in indexes["UtilizedSingleIndexes"]] == ["/pk/?", "/n/?"]
    assert [index["IndexSpec"] for index in indexes["PotentialSingleIndexes"]] == ["/secret/?"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(oracle.EXPRESSIONS, oracle.EXPRESSIONS, st.sampled_from(["", "c.n", "c.n DESC"]))
def test_any_query_over_physical_partitions_is_what_a_naive_evaluation_gives(
    server: ServerProcess, filled: str, shown: oracle.Expression, condition: oracle.Expression, order: str
) -> None:
    expected = [(d["n"], shown.of(d)) for d in oracle.kept(DOCUMENTS, condition)]
    expected = [(n, value) for n, value in expected if value is not oracle.UNDEFINED]
    text = f"SELECT VALUE {shown.text} FROM c WHERE {condition.text}"  # noqa: S608
    with SyncClient.from_connection_string(server.connection_string) as client:
        container = client.get_database_client("tests").get_container_client(filled)
        sort = f" ORDER BY {order}" if order else ""
        found = list(container.query_items(text + sort, enable_cross_partition_query=True, max_item_count=7))
    if order:
        expected.sort(key=lambda pair: pair[0], reverse="DESC" in order)
        assert [oracle.canonical(value) for value in found] == [oracle.canonical(v) for _, v in expected]
    assert Counter(map(oracle.canonical, found)) == Counter(oracle.canonical(v) for _, v in expected)
