"""Resources as the SDK's less usual calls address and change them."""

from __future__ import annotations

from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError


async def ranges(container: ContainerProxy) -> int:
    return len([range_ async for range_ in container.read_feed_ranges(force_refresh=True)])


async def test_an_item_is_addressed_by_its_own_link(container: ContainerProxy) -> None:
    item = await container.create_item({"id": "a", "pk": "p", "n": 1})
    await container.create_item({"id": "b", "pk": "p"})
    assert (await container.read_item(item, "p"))["n"] == 1
    changed = await container.replace_item(item, {**item, "n": 2})
    assert (changed["id"], changed["n"], changed["_rid"]) == ("a", 2, item["_rid"])
    await container.delete_item(item, "p")
    with pytest.raises(CosmosHttpResponseError) as failure:
        await container.read_item(item, "p")
    assert failure.value.status_code == 404
    assert (await container.read_item("b", "p"))["id"] == "b"


async def test_a_replacement_renames_an_item_unless_the_name_is_taken(container: ContainerProxy) -> None:
    first = await container.create_item({"id": "a", "pk": "p"})
    await container.create_item({"id": "b", "pk": "p"})
    with pytest.raises(CosmosHttpResponseError) as failure:
        await container.replace_item("a", {"id": "b", "pk": "p"})
    assert failure.value.status_code == 409
    renamed = await container.replace_item("a", {"id": "c", "pk": "p"})
    assert renamed["_rid"] == first["_rid"]
    assert sorted([item["id"] async for item in container.read_all_items()]) == ["b", "c"]


async def test_unique_keys_hold_and_cannot_be_changed(database: DatabaseProxy) -> None:
    policy: Any = {"uniqueKeys": [{"paths": ["/email"]}, {"paths": ["/a/b", "/c"]}]}
    container = await database.create_container("unique", PartitionKey("/pk"), unique_key_policy=policy)
    assert (await container.read())["uniqueKeyPolicy"] == policy
    await container.create_item({"id": "1", "pk": "p", "email": "x", "c": 1})
    taken = {"id": "2", "pk": "p", "email": "x", "c": 2}
    for write in (container.create_item, container.upsert_item):
        with pytest.raises(CosmosHttpResponseError) as failure:
            await write(taken)
        assert failure.value.status_code == 409
    await container.create_item({**taken, "pk": "other"})
    await container.create_item({**taken, "email": "y"})
    with pytest.raises(CosmosHttpResponseError) as failure:
        await container.patch_item("2", "p", [{"op": "set", "path": "/email", "value": "x"}])
    assert failure.value.status_code == 409
    swap = [("delete", ("1",)), ("create", ({"id": "3", "pk": "p", "email": "x", "c": 3},))]
    await container.execute_item_batch(swap, "p")
    # the SDK sends no unique keys with a replacement, and the service takes that for their removal
    with pytest.raises(CosmosHttpResponseError) as failure:
        await database.replace_container("unique", PartitionKey("/pk"), default_ttl=60)
    assert failure.value.status_code == 403


async def test_a_null_ttl_is_refused(container: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError) as failure:
        await container.create_item({"id": "a", "pk": "p", "ttl": None})
    assert failure.value.status_code == 400


async def test_a_logical_partition_is_deleted_in_one_request(container: ContainerProxy) -> None:
    for n in range(9):
        await container.create_item({"id": f"i{n}", "pk": f"p{n % 3}"})
    await container.delete_all_items_by_partition_key("p1")
    assert sorted([item["id"] async for item in container.read_all_items()]) == [
        "i0", "i2", "i3", "i5", "i6", "i8",
    ]  # fmt: skip
    with pytest.raises(CosmosHttpResponseError):
        await container.read_item("i1", "p1")


async def test_a_database_shares_its_throughput(client: CosmosClient) -> None:
    database: DatabaseProxy = await client.create_database("sharing", offer_throughput=1_000)
    shared = await database.create_container("shared", PartitionKey("/pk"))
    own = await database.create_container("own", PartitionKey("/pk"), offer_throughput=600)
    assert (await database.get_throughput()).offer_throughput == 1_000
    assert (await own.get_throughput()).offer_throughput == 600
    await shared.create_item({"id": "a", "pk": "p"})
    await database.replace_throughput(2_000)
    assert (await database.get_throughput()).offer_throughput == 2_000
    await client.delete_database("sharing")


async def test_more_throughput_takes_more_physical_partitions(container: ContainerProxy) -> None:
    for n in range(60):
        await container.create_item({"id": f"i{n}", "pk": f"p{n}"})
    assert await ranges(container) == 4
    await container.replace_throughput(30_100)
    assert await ranges(container) == 6
    assert len([item async for item in container.read_all_items()]) == 60


async def test_a_container_tells_what_it_holds(container: ContainerProxy) -> None:
    for n in range(20):
        await container.create_item({"id": f"i{n}", "pk": f"p{n}"})
    headers: dict[str, str] = {}
    body = await container.read(
        populate_partition_key_range_statistics=True,
        populate_quota_info=True,
        response_hook=lambda latest, _: headers.update(latest),
    )
    assert sum(partition["documentCount"] for partition in body["statistics"]) == 20
    assert headers["x-ms-resource-usage"] == "documentsCount=20;"


async def test_there_are_no_conflicts(container: ContainerProxy) -> None:
    assert [conflict async for conflict in container.list_conflicts()] == []
