"""What the SDK does on its own account: routing, pages, continuations, plans, caches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.cosmos import CosmosClient as SyncClient
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError
from azure.cosmos.partition_key import NonePartitionKeyValue

from tests.cosmos_server import ServerProcess


@pytest.fixture
async def tenants(database: DatabaseProxy) -> ContainerProxy:
    key = PartitionKey(["/tenant", "/user", "/session"], kind="MultiHash")
    container = await database.create_container(uuid4().hex, key)
    for tenant in range(3):
        for user in range(4):
            for session in range(2):
                name = f"{tenant}{user}{session}"
                body = {"id": name, "tenant": f"t{tenant}", "user": f"u{user}", "session": session}
                await container.create_item(body)
    return container


@pytest.fixture
async def many(container: ContainerProxy) -> ContainerProxy:
    """57 items in 9 logical partitions."""
    for n in range(57):
        await container.create_item({"id": f"i{n}", "pk": f"p{n % 9}", "n": n})
    return container


async def listed(items: Any) -> list[Any]:
    return [item async for item in items]


async def test_a_hierarchical_key_and_its_prefixes(tenants: ContainerProxy) -> None:
    assert (await tenants.read_item("111", ["t1", "u1", 1]))["id"] == "111"
    ids = "SELECT VALUE c.id FROM c"
    assert len(await listed(tenants.query_items(ids, partition_key=["t1"]))) == 8
    assert sorted(await listed(tenants.query_items(ids, partition_key=["t1", "u2"]))) == ["120", "121"]
    ordered = await listed(tenants.query_items(f"{ids} ORDER BY c.id DESC", partition_key=["t2"]))
    assert ordered == sorted(ordered, reverse=True)
    assert len(ordered) == 8
    count = "SELECT VALUE COUNT(1) FROM c"
    assert await listed(tenants.query_items(count, partition_key=["t0", "u3"])) == [2]
    for prefix, expected in ((["t2"], 8), (["t2", "u1"], 2), (["t2", "u1", 0], 1)):
        feed = tenants.query_items_change_feed(partition_key=prefix, start_time="Beginning")
        assert len(await listed(feed)) == expected


async def test_no_key_and_a_null_key_are_different(container: ContainerProxy) -> None:
    await container.create_item({"id": "a"})
    await container.create_item({"id": "a", "pk": None})
    assert "pk" not in await container.read_item("a", NonePartitionKeyValue)
    assert (await container.read_item("a", None))["pk"] is None
    await container.delete_item("a", NonePartitionKeyValue)
    with pytest.raises(CosmosResourceNotFoundError):
        await container.read_item("a", NonePartitionKeyValue)
    assert (await container.read_item("a", None))["id"] == "a"


@pytest.mark.parametrize("text", ["SELECT * FROM c WHERE c.n >= 0", "SELECT * FROM c ORDER BY c.n DESC"])
async def test_pages_by_continuation_within_a_partition(many: ContainerProxy, text: str) -> None:
    seen: list[int] = []
    token: str | None = None
    while token or not seen:
        pages = many.query_items(text, partition_key="p1", max_item_count=2).by_page(token)
        seen += [item["n"] async for item in await anext(pages)]
        token = pages.continuation_token
    assert sorted(seen) == list(range(1, 57, 9))


async def test_pages_by_continuation_across_partitions(many: ContainerProxy) -> None:
    seen: list[int] = []
    token: str | None = None
    while token or not seen:
        pages = many.query_items("SELECT * FROM c", max_item_count=10).by_page(token)
        page = [item["n"] async for item in await anext(pages)]
        assert len(page) <= 10
        seen += page
        token = pages.continuation_token
    assert sorted(seen) == list(range(57))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT VALUE COUNT(1) FROM c", [57]),
        ("SELECT VALUE SUM(c.n) FROM c", [sum(range(57))]),
        ("SELECT VALUE AVG(c.n) FROM c", [28.0]),
        ("SELECT VALUE MAX(c.n) FROM c WHERE c.pk = 'p3'", [48]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n", list(range(57))),
        ("SELECT TOP 3 VALUE c.n FROM c ORDER BY c.n DESC", [56, 55, 54]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 20 LIMIT 3", [20, 21, 22]),
        ("SELECT DISTINCT VALUE c.pk FROM c ORDER BY c.pk", [f"p{n}" for n in range(9)]),
    ],
)
async def test_what_the_client_merges(many: ContainerProxy, text: str, expected: list[Any]) -> None:
    assert await listed(many.query_items(text, max_item_count=4)) == expected


async def test_everything_in_small_pages(many: ContainerProxy) -> None:
    assert len(await listed(many.read_all_items(max_item_count=4))) == 57
    ranges = [feed_range async for feed_range in many.read_feed_ranges()]
    found = [
        item["n"]
        for feed_range in ranges
        async for item in many.query_items("SELECT * FROM c", feed_range=feed_range, max_item_count=5)
    ]
    assert sorted(found) == list(range(57))


async def test_the_feed_from_a_time(many: ContainerProxy) -> None:
    hour = timedelta(hours=1)
    assert len(await listed(many.query_items_change_feed(start_time=datetime.now(UTC) - hour))) == 57
    assert await listed(many.query_items_change_feed(start_time=datetime.now(UTC) + hour)) == []


async def test_the_feed_from_now_on(many: ContainerProxy) -> None:
    feed = many.query_items_change_feed(start_time="Now")
    assert await listed(feed) == []
    # An empty page ends the iterator, and leaves its own token unset: the header has it.
    token = many.client_connection.last_response_headers["etag"]
    await many.upsert_item({"id": "later", "pk": "p1"})
    await many.upsert_item({"id": "later", "pk": "p2"})
    found = await listed(many.query_items_change_feed(continuation=token))
    assert sorted(item["pk"] for item in found) == ["p1", "p2"]


async def test_a_container_that_was_made_anew_under_a_client(database: DatabaseProxy) -> None:
    name = uuid4().hex
    container = await database.create_container(name, PartitionKey("/pk"))
    await container.create_item({"id": "a", "pk": "p"})
    await database.delete_container(name)
    with pytest.raises(CosmosResourceNotFoundError):
        await container.read_item("a", "p")
    container = await database.create_container(name, PartitionKey("/other"))
    await container.upsert_item({"id": "a", "other": "o"})
    assert (await container.read_item("a", "o"))["other"] == "o"
    assert await listed(container.query_items("SELECT VALUE c.id FROM c")) == ["a"]


async def test_lists_of_databases_and_containers(client: CosmosClient) -> None:
    database = await client.create_database(uuid4().hex)
    for name in ("b", "a"):
        await database.create_container(name, PartitionKey("/pk"))
    assert [c["id"] async for c in database.list_containers()] == ["a", "b"]
    assert [c["id"] async for c in database.query_containers("SELECT * FROM c WHERE c.id = 'b'")] == ["b"]
    assert database.id in [d["id"] async for d in client.list_databases()]
    await client.delete_database(database.id)
    assert database.id not in [d["id"] async for d in client.list_databases()]


async def test_expiry_can_be_changed(database: DatabaseProxy) -> None:
    container = await database.create_container(uuid4().hex, PartitionKey("/pk"))
    await database.replace_container(container, PartitionKey("/pk"), default_ttl=3_600)
    assert (await container.read())["defaultTtl"] == 3_600


async def test_the_synchronous_client_pages_and_must_mean_it(
    server: ServerProcess, many: ContainerProxy
) -> None:
    with SyncClient.from_connection_string(server.connection_string) as client:
        same = client.get_database_client("tests").get_container_client(many.id)
        text = "SELECT * FROM c"
        assert len(list(same.query_items(text, enable_cross_partition_query=True, max_item_count=10))) == 57
        with pytest.raises(CosmosHttpResponseError, match="Cross partition query is required but disabled"):
            list(same.query_items(text))
        pages = same.query_items_change_feed(start_time="Beginning", max_item_count=4).by_page()
        assert sum(len(list(page)) for page in pages) == 57
