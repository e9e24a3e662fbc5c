"""The service around items: authentication, containers, feed ranges, change feed, charges, faults, death."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from local.cosmos.partitioning import UNDEFINED, effective_key
from tests.cosmos_server import ServerProcess, running_server

pytestmark = pytest.mark.usefixtures("server")


async def test_a_wrong_key_is_refused(server: ServerProcess) -> None:
    wrong = base64.b64encode(b"x" * 64).decode()
    client = CosmosClient(server.endpoint, wrong)
    with pytest.raises(CosmosHttpResponseError) as caught:
        await client.__aenter__()
    await client.close()
    assert caught.value.status_code == 401


@pytest.mark.parametrize("key", ["a", "", "ü" * 60, None, True, False, 0, 7, -1.5, UNDEFINED])
def test_keys_are_hashed_as_the_sdk_hashes_them(key: Any) -> None:
    from azure.cosmos.partition_key import _Undefined

    components = [_Undefined() if key is UNDEFINED else key]
    expected = PartitionKey("/pk")._get_effective_partition_key_string(components)
    assert effective_key([key], hierarchical=False) == expected


@pytest.mark.parametrize(
    "policy",
    [
        {"includedPaths": [{"path": "/a/?"}]},
        {"includedPaths": [{"path": "/*"}], "excludedPaths": [{"path": "/*"}]},
        {"includedPaths": [{"path": "no-slash"}], "excludedPaths": [{"path": "/*"}]},
        {"indexingMode": "lazy-ish", "includedPaths": [{"path": "/*"}]},
    ],
)
async def test_an_indexing_policy_that_the_service_refuses(
    database: DatabaseProxy, policy: dict[str, Any]
) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        await database.create_container("refused", PartitionKey("/pk"), indexing_policy=policy)
    assert caught.value.status_code == 400


async def test_autoscale_comes_in_thousands(database: DatabaseProxy) -> None:
    with pytest.raises(CosmosHttpResponseError):
        await database.create_container(
            "refused",
            PartitionKey("/pk"),
            offer_throughput=ThroughputProperties(auto_scale_max_throughput=1500),
        )
    container = await database.create_container(
        "autoscale",
        PartitionKey("/pk"),
        offer_throughput=ThroughputProperties(auto_scale_max_throughput=2000),
    )
    assert (await container.get_throughput()).auto_scale_max_throughput == 2000
    await container.replace_throughput(ThroughputProperties(auto_scale_max_throughput=5000))
    assert (await container.get_throughput()).auto_scale_max_throughput == 5000


async def test_what_is_not_supported_says_so(container: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError, match="not supported by the local server"):
        await container.scripts.create_stored_procedure({"id": "s", "body": "function () {}"})


async def test_feed_ranges_cover_everything_once(container: ContainerProxy) -> None:
    for n in range(50):
        await container.create_item({"id": str(n), "pk": str(n)})
    ranges = [feed_range async for feed_range in container.read_feed_ranges()]
    assert len(ranges) == 4
    seen = [
        item["id"]
        for feed_range in ranges
        async for item in container.query_items_change_feed(feed_range=feed_range, start_time="Beginning")
    ]
    assert sorted(seen) == sorted(str(n) for n in range(50))


async def test_the_feed_shows_the_latest_version_in_the_order_of_writes(container: ContainerProxy) -> None:
    for n in range(5):
        await container.create_item({"id": str(n), "pk": "p", "n": 0})
    await container.upsert_item({"id": "1", "pk": "p", "n": 1})
    items = [
        item async for item in container.query_items_change_feed(partition_key="p", start_time="Beginning")
    ]
    assert [item["id"] for item in items] == ["0", "2", "3", "4", "1"]
    assert [item["_lsn"] for item in items] == sorted(item["_lsn"] for item in items)
    assert items[-1]["n"] == 1


async def continuation_after(container: ContainerProxy, **start: Any) -> tuple[list[str], str]:
    pages = container.query_items_change_feed(max_item_count=2, **start).by_page()
    seen = [item["id"] async for page in pages async for item in page]
    return seen, pages.continuation_token


async def test_a_continuation_survives_a_restart(data: Path) -> None:
    with running_server(data) as first:
        async with CosmosClient.from_connection_string(first.connection_string) as client:
            database = await client.create_database("d")
            container = await database.create_container("c", PartitionKey("/pk"))
            for n in range(7):
                await container.create_item({"id": str(n), "pk": "p"})
            seen, token = await continuation_after(container, partition_key="p", start_time="Beginning")
            assert sorted(seen) == [str(n) for n in range(7)]
            await container.create_item({"id": "later", "pk": "p"})
        port = first.port
    with running_server(data, port=port) as second:
        async with CosmosClient.from_connection_string(second.connection_string) as client:
            container = client.get_database_client("d").get_container_client("c")
            assert (await continuation_after(container, continuation=token))[0] == ["later"]


async def test_nothing_acknowledged_is_lost_and_no_batch_is_half_there_after_kill_9(data: Path) -> None:
    acknowledged: list[str] = []
    for _round in range(3):
        with running_server(data, partitions=2) as server:
            async with CosmosClient.from_connection_string(
                server.connection_string, retry_total=0, connection_timeout=2
            ) as client:
                database = await client.create_database_if_not_exists("d")
                container = await database.create_container_if_not_exists("c", PartitionKey("/pk"))
                for n in range(200):
                    name = f"{_round}-{n}"
                    operations = [("create", ({"id": f"{name}-{i}", "pk": "p"},)) for i in range(5)]
                    if n == 60 + 17 * _round:
                        server.kill()
                    try:
                        await container.execute_item_batch(operations, partition_key="p")
                    except AzureError:
                        break  # it died before or while it answered
                    acknowledged.append(name)
    with running_server(data) as server:
        async with CosmosClient.from_connection_string(server.connection_string) as client:
            container = client.get_database_client("d").get_container_client("c")
            stored = {
                item["id"] async for item in container.query_items("SELECT c.id FROM c", partition_key="p")
            }
    assert len(acknowledged) > 150
    assert {f"{name}-{i}" for name in acknowledged for i in range(5)} <= stored
    whole = {name.rpartition("-")[0] for name in stored}
    assert len(stored) == 5 * len(whole)


async def test_charges_are_booked_by_client_container_and_operation(
    server: ServerProcess, container: ContainerProxy
) -> None:
    created: list[float] = []
    await container.create_item(
        {"id": "a", "pk": "p", "text": "x" * 900},
        response_hook=lambda headers, _: created.append(float(headers["x-ms-request-charge"])),
    )
    rows = [row for row in server.local("GET", "charges")["accounts"] if row["container"] == container.id]
    (create,) = [row for row in rows if row["operation"] == "create"]
    assert create["client"] == "tests"
    assert create["requests"] == 1
    assert create["request_units"] == created[0]
    assert 5 <= created[0] <= 7


async def test_a_write_costs_twice_as_much_where_there_is_an_item(container: ContainerProxy) -> None:
    spent: list[float] = []

    def note(headers: Any, _: object) -> None:
        spent.append(float(headers["x-ms-request-charge"]))

    item = {"id": "a", "pk": "p", "n": 1}
    await container.upsert_item(item, response_hook=note)
    await container.upsert_item(item, response_hook=note)
    await container.replace_item("a", item, response_hook=note)
    await container.patch_item("a", "p", [{"op": "incr", "path": "/n", "value": 1}], response_hook=note)
    await container.delete_item("a", "p", response_hook=note)
    created, *replaced, deleted = spent
    assert replaced == [2 * created] * 3
    assert deleted == created


async def test_faults_strike_what_they_name_and_nothing_else(
    server: ServerProcess, container: ContainerProxy
) -> None:
    server.local("PUT", "faults", {"rules": [{"operation": "read", "rate": 1.0, "status": 503}], "seed": 1})
    try:
        await container.create_item({"id": "a", "pk": "p"})
        with pytest.raises(CosmosHttpResponseError) as caught:
            await container.read_item("a", "p")
        assert caught.value.status_code == 503
        assert server.local("GET", "faults")["struck"] >= 1
    finally:
        server.local("DELETE", "faults")
    assert (await container.read_item("a", "p"))["id"] == "a"


async def test_a_connection_dropped_after_the_write_leaves_the_write(
    server: ServerProcess, container: ContainerProxy
) -> None:
    server.local("PUT", "faults", {"rules": [{"operation": "batch", "rate": 1.0, "drop": "after"}]})
    try:
        # The SDK takes the broken connection for one that was never made, and sends the batch again.
        with pytest.raises(AzureError):
            await container.execute_item_batch([("create", ({"id": "a", "pk": "p"},))], partition_key="p")
    finally:
        server.local("DELETE", "faults")
    assert (await container.read_item("a", "p"))["id"] == "a"


async def test_terms_are_sought_and_not_scanned(database: DatabaseProxy) -> None:
    container = await database.create_container(
        "sought",
        PartitionKey("/shard"),
        indexing_policy={
            "includedPaths": [{"path": "/view/?"}, {"path": "/ids/[]/?"}],
            "excludedPaths": [{"path": "/*"}],
        },
    )
    for n in range(60):
        await container.create_item(
            {"id": str(n), "shard": f"s{n % 3}", "view": f"v{n % 10}", "ids": [f"f{n}", f"g{n}"], "n": n}
        )
    spent: list[float] = []

    async def found(query: str, **options: Any) -> list[Any]:
        items = container.query_items(
            query,
            response_hook=lambda headers, _: spent.append(float(headers["x-ms-request-charge"])),
            **options,
        )
        return sorted([item async for item in items])

    by_id = (
        "SELECT VALUE c.id FROM c WHERE c.view = 'v4' "
        "AND (ARRAY_CONTAINS(c.ids, @a) OR ARRAY_CONTAINS(c.ids, @b))"
    )
    names = [{"name": "@a", "value": "f4"}, {"name": "@b", "value": "g14"}]
    assert await found(by_id, parameters=names) == ["14", "4"]
    assert await found("SELECT VALUE c.n FROM c WHERE c.view = 'v7'", partition_key="s1") == [7, 37]
    assert spent[-1] < 3
    moved = await container.read_item("7", "s1")
    await container.replace_item("7", {**moved, "view": "v8"})
    assert await found("SELECT VALUE c.n FROM c WHERE c.view = 'v7'", partition_key="s1") == [37]
    assert 7 in await found("SELECT VALUE c.n FROM c WHERE c.view = 'v8'")
