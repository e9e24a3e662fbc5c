"""Physical partitions split under clients that know the old ones; nothing is lost, nothing comes twice."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.error import HTTPError

import pytest
from azure.core import MatchConditions
from azure.cosmos import CosmosClient as SyncClient
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.cosmos_server import ServerProcess

COUNT = 120
MATCH = MatchConditions.IfNotModified


async def fill(container: ContainerProxy, *, first: int = 0, version: int = 1) -> None:
    for n in range(first, first + COUNT):
        await container.upsert_item(
            {"id": f"i{n}", "pk": f"p{n % 40}", "n": n, "parts": [n], "version": version}
        )


def split(server: ServerProcess, container: ContainerProxy, partition: str | None = None) -> dict[str, Any]:
    named = {"partition": partition} if partition else {}
    answer: dict[str, Any] = server.local(
        "POST", "split", {"database": "tests", "container": container.id, **named}
    )
    return answer


@pytest.fixture
async def stale(client: CosmosClient, container: ContainerProxy) -> ContainerProxy:
    """The container, filled, and known to the client as it is before any split."""
    await fill(container)
    assert len([range_ async for range_ in container.read_feed_ranges()]) == 4
    return container


async def test_point_operations_go_on(server: ServerProcess, stale: ContainerProxy) -> None:
    for _ in range(3):
        split(server, stale)
    for n in range(COUNT):
        item = await stale.read_item(f"i{n}", f"p{n % 40}")
        await stale.replace_item(f"i{n}", {**item, "version": 2}, etag=item["_etag"], match_condition=MATCH)
    assert len([range_ async for range_ in stale.read_feed_ranges(force_refresh=True)]) == 7


@pytest.mark.parametrize(
    "text",
    ["SELECT VALUE c.n FROM c", "SELECT DISTINCT VALUE c.n FROM c", "SELECT VALUE t FROM t IN c.parts"],
)
async def test_a_query_goes_on_over_the_halves(
    server: ServerProcess, stale: ContainerProxy, text: str
) -> None:
    pages = stale.query_items(text, max_item_count=7).by_page()
    found = [n async for n in await anext(pages)]
    for _ in range(3):
        split(server, stale)
    async for page in pages:
        found += [n async for n in page]
    assert sorted(found) == list(range(COUNT))


async def test_queries_that_the_client_merges_see_the_halves_once(
    server: ServerProcess, stale: ContainerProxy, client: CosmosClient
) -> None:
    for _ in range(3):
        split(server, stale)
    # The SDK counts twice where its first such query meets a split it has not heard of: it hears of it here.
    assert len([range_ async for range_ in stale.read_feed_ranges(force_refresh=True)]) == 7
    for text, expected in (
        ("SELECT VALUE COUNT(1) FROM c", [COUNT]),
        ("SELECT VALUE MAX(c.n) FROM c", [COUNT - 1]),
        ("SELECT VALUE SUM(c.n) FROM c", [sum(range(COUNT))]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n DESC", list(reversed(range(COUNT)))),
        ("SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 5 LIMIT 3", [5, 6, 7]),
    ):
        assert [value async for value in stale.query_items(text)] == expected


def test_the_synchronous_client_goes_on(server: ServerProcess) -> None:
    with SyncClient.from_connection_string(server.connection_string) as client:
        database = client.create_database_if_not_exists("tests")
        container = database.create_container("sync-split", {"paths": ["/pk"], "kind": "Hash"})
        for n in range(COUNT):
            container.create_item({"id": f"i{n}", "pk": f"p{n}", "n": n})
        pages = container.query_items_change_feed(start_time="Beginning", max_item_count=5).by_page()
        found = [item["n"] for item in next(pages)]
        server.local("POST", "split", {"database": "tests", "container": "sync-split"})
        found += [item["n"] for page in pages for item in page]
        assert sorted(found) == list(range(COUNT))


async def drained(container: ContainerProxy, page_size: int, **start: Any) -> tuple[list[int], str]:
    """Return what the feed has from a position on, and the position behind it.

    Where nothing is new the SDK knows no position; the one before remains good.
    """
    found: list[int] = []
    pages = container.query_items_change_feed(max_item_count=page_size, **start).by_page()
    async for page in pages:
        found += [item["n"] async for item in page]
    return found, pages.continuation_token or start["continuation"]


async def test_the_feed_of_everything_goes_on_within_one_reading(
    server: ServerProcess, stale: ContainerProxy
) -> None:
    pages = stale.query_items_change_feed(start_time="Beginning", max_item_count=7).by_page()
    found = [item["n"] async for item in await anext(pages)]
    for _ in range(3):
        split(server, stale)
    async for page in pages:
        found += [item["n"] async for item in page]
    assert sorted(found) == list(range(COUNT))


async def test_a_position_of_a_feed_range_is_good_for_its_halves(
    server: ServerProcess, stale: ContainerProxy, client: CosmosClient
) -> None:
    ranges = [range_ async for range_ in stale.read_feed_ranges()]
    positions = {}
    seen: Counter[int] = Counter()
    for number, feed_range in enumerate(ranges):
        found, positions[number] = await drained(stale, 9, feed_range=feed_range, start_time="Beginning")
        seen.update(found)
    assert seen == Counter(range(COUNT))
    split(server, stale)
    split(server, stale)
    await fill(stale, first=COUNT)
    await fill(stale, version=2)
    fresh = client.get_database_client("tests").get_container_client(stale.id)
    later: Counter[int] = Counter()
    for number, position in positions.items():
        found, positions[number] = await drained(fresh, 9, continuation=position)
        later.update(found)
    assert later == Counter(range(2 * COUNT))
    for number, position in positions.items():  # nothing new, and then something, from both halves
        found, positions[number] = await drained(fresh, 9, continuation=position)
        assert found == []
    await fill(stale, version=3)
    again: Counter[int] = Counter()
    for position in positions.values():
        found, _ = await drained(fresh, 9, continuation=position)
        again.update(found)
    assert again == Counter(range(COUNT))


async def test_the_feed_of_a_logical_partition_goes_on(server: ServerProcess, stale: ContainerProxy) -> None:
    found, position = await drained(stale, 100, partition_key="p1", start_time="Beginning")
    assert found == [1, 41, 81]
    split(server, stale)
    await fill(stale, version=2)
    found, _ = await drained(stale, 100, continuation=position)
    assert found == [1, 41, 81]


async def test_a_page_never_ends_within_a_batch(container: ContainerProxy) -> None:
    for start in range(0, 30, 10):
        operations = [("upsert", ({"id": f"i{n}", "pk": "p", "n": n},)) for n in range(start, start + 10)]
        await container.execute_item_batch(operations, "p")
    feed = container.query_items_change_feed(start_time="Beginning", max_item_count=3)
    pages = [[item async for item in page] async for page in feed.by_page()]
    assert [len(page) for page in pages if page] == [10, 10, 10]
    for page in filter(None, pages):
        assert len({item["_lsn"] for item in page}) == 1


async def test_a_session_that_saw_more_than_there_is_is_told_so(container: ContainerProxy) -> None:
    await container.create_item({"id": "a", "pk": "p"})
    own = container.client_connection.last_response_headers["x-ms-session-token"]
    assert (await container.read_item("a", "p", session_token=own))["id"] == "a"
    partition, _, lsn = own.partition(":-1#")
    with pytest.raises(CosmosHttpResponseError) as failure:
        await container.read_item("a", "p", session_token=f"{partition}:-1#{int(lsn) + 5}")
    assert (failure.value.status_code, failure.value.sub_status) == (404, 1002)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"container": "x"}, "the database 'None' does not exist"),
        ({"database": "tests", "container": "nowhere"}, "the container 'nowhere' does not exist"),
        ({"database": "tests", "container": "sync-split", "partition": "77"}, "no physical partition '77'"),
        ({"database": "tests", "container": "sync-split", "parts": 2}, "'parts' is not one of"),
    ],
)
def test_an_impossible_split_is_refused(server: ServerProcess, body: dict[str, Any], words: str) -> None:
    with SyncClient.from_connection_string(server.connection_string) as client:
        database = client.create_database_if_not_exists("tests")
        database.create_container_if_not_exists("sync-split", {"paths": ["/pk"], "kind": "Hash"})
    with pytest.raises(HTTPError) as failure:
        server.local("POST", "split", body)
    assert words in failure.value.read().decode().lower().replace("none", "None")
