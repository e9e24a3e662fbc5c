"""Items through the real SDK: what is stored, what is refused, and how."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import CosmosClient as SyncClient
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.address import Partition, SourceAddress
from shared.cosmos.items import find_document, find_item
from tests.cosmos_server import ServerProcess


async def test_create_read_replace_delete(container: ContainerProxy) -> None:
    created = await container.create_item({"id": "a", "pk": "p", "n": 1})
    assert created["_ts"] > 1_700_000_000
    assert (await container.read_item("a", "p"))["_etag"] == created["_etag"]
    replaced = await container.replace_item("a", {"id": "a", "pk": "p", "n": 2})
    assert replaced["_etag"] != created["_etag"]
    assert replaced["_rid"] == created["_rid"]
    await container.delete_item("a", "p")
    with pytest.raises(CosmosResourceNotFoundError):
        await container.read_item("a", "p")


async def test_the_same_id_in_another_logical_partition_is_another_item(container: ContainerProxy) -> None:
    await container.create_item({"id": "a", "pk": "p"})
    await container.create_item({"id": "a", "pk": "q"})
    with pytest.raises(CosmosResourceExistsError):
        await container.create_item({"id": "a", "pk": "p"})


async def test_a_stale_etag_is_refused(container: ContainerProxy) -> None:
    first = await container.create_item({"id": "a", "pk": "p"})
    await container.upsert_item({"id": "a", "pk": "p", "n": 1})
    for write in (
        container.replace_item(
            "a", first, etag=first["_etag"], match_condition=MatchConditions.IfNotModified
        ),
        container.delete_item("a", "p", etag=first["_etag"], match_condition=MatchConditions.IfNotModified),
    ):
        with pytest.raises(CosmosAccessConditionFailedError):
            await write


@pytest.mark.parametrize("key", [None, True, 1, 1.5, "ü", ""])
async def test_every_kind_of_partition_key(container: ContainerProxy, key: Any) -> None:
    await container.create_item({"id": "a", "pk": key})
    assert (await container.read_item("a", key))["pk"] == key


UNUSUAL = "/\\?#%.:;+&=@~'\"<>[]{}|^ \t\nü€😀aB0"


async def test_a_document_with_any_id_that_the_service_stores_is_found(container: ContainerProxy) -> None:
    random = Random(3)
    ids = {"a/b", "a\\b", "a?b", "a#b", ".", "..", "../..", "%2F", "a ", "\n", "x" * 1_023, "ü" * 511}
    ids |= {"".join(random.choices(UNUSUAL, k=random.randrange(1, 9))) for _ in range(80)}
    for unusual in sorted(ids):  # the SDK writes some of them in batches only
        await container.execute_item_batch([("upsert", ({"id": unusual, "pk": "p"},))], partition_key="p")
    for unusual in sorted(ids):
        found = await find_item(container, unusual, "p")
        assert found is not None, unusual
        assert found["id"] == unusual
        assert await find_item(container, unusual, "q") is None


@pytest.mark.parametrize("rid", [None, "of another document"])
@pytest.mark.parametrize("item_id", ["a", "."])
async def test_a_document_is_found_in_the_partition_of_any_value_or_of_none(
    container: ContainerProxy, item_id: str, rid: str | None
) -> None:
    written = [{"id": item_id, "pk": key} for key in (None, 7, 7.5, True, "", "null", "7")] + [
        {"id": item_id}
    ]
    for document in written:
        await container.upsert_item(document)
    for document in written:
        address = SourceAddress(item_id, document.get("pk", Partition.ABSENT), rid)  # type: ignore[arg-type]
        found = await find_document(container, address)
        assert found is not None
        assert {name: found[name] for name in found if name in ("id", "pk")} == document
    assert await find_document(container, SourceAddress(item_id, "none", rid)) is None


async def test_a_document_whose_address_was_rewritten_is_found_by_the_id_of_the_service(
    container: ContainerProxy,
) -> None:
    stored = await container.upsert_item(
        {"id": "2025-08-05T10:00:00.120Z", "pk": "2025-08-05T10:00:00+02:00"}
    )
    rewritten = SourceAddress("2025-08-05T10:00:00.12Z", "2025-08-05T08:00:00Z", stored["_rid"])
    found = await find_document(container, rewritten)
    assert found is not None
    assert found["_etag"] == stored["_etag"]
    assert await find_document(container, rewritten._replace(rid=None)) is None


@pytest.mark.parametrize("bad", ["", "x" * 1024])
async def test_ids_that_the_service_refuses(container: ContainerProxy, bad: str) -> None:
    with pytest.raises((CosmosHttpResponseError, ValueError)):
        await container.create_item({"id": bad, "pk": "p"})


async def test_two_megabytes_are_the_limit(container: ContainerProxy) -> None:
    await container.create_item({"id": "fits", "pk": "p", "text": "x" * 2_000_000})
    with pytest.raises(CosmosHttpResponseError) as caught:
        await container.create_item({"id": "too-large", "pk": "p", "text": "x" * 2_200_000})
    assert caught.value.status_code == 413


async def test_a_batch_is_all_or_nothing(container: ContainerProxy) -> None:
    first = await container.create_item({"id": "a", "pk": "p"})
    with pytest.raises(CosmosBatchOperationError) as caught:
        await container.execute_item_batch(
            [
                ("create", ({"id": "b", "pk": "p"},)),
                ("replace", ("a", {"id": "a", "pk": "p", "n": 1}), {"if_match_etag": '"stale"'}),
                ("create", ({"id": "c", "pk": "p"},)),
            ],
            partition_key="p",
        )
    assert (caught.value.status_code, caught.value.error_index) == (412, 1)
    assert [result["statusCode"] for result in caught.value.operation_responses] == [424, 412, 424]
    assert (await container.read_item("a", "p"))["_etag"] == first["_etag"]
    for item_id in ("b", "c"):
        with pytest.raises(CosmosResourceNotFoundError):
            await container.read_item(item_id, "p")


async def test_a_batch_of_every_operation(container: ContainerProxy) -> None:
    for name in ("r", "d", "q"):
        await container.create_item({"id": name, "pk": "p", "n": 1})
    results = await container.execute_item_batch(
        [
            ("create", ({"id": "c", "pk": "p"},)),
            ("upsert", ({"id": "u", "pk": "p"},)),
            ("replace", ("r", {"id": "r", "pk": "p", "n": 2})),
            ("read", ("r",)),
            ("patch", ("q", [{"op": "incr", "path": "/n", "value": 4}])),
            ("delete", ("d",)),
        ],
        partition_key="p",
    )
    assert [result["statusCode"] for result in results] == [201, 201, 200, 200, 200, 204]
    assert results[3]["resourceBody"]["n"] == 2
    assert results[4]["resourceBody"]["n"] == 5


async def test_a_batch_has_a_hundred_operations_at_most(container: ContainerProxy) -> None:
    operations = [("create", ({"id": f"i{n}", "pk": "p"},)) for n in range(101)]
    await container.execute_item_batch(operations[:100], partition_key="p")
    with pytest.raises(CosmosHttpResponseError) as caught:
        await container.execute_item_batch(operations, partition_key="q")
    assert caught.value.status_code == 400


async def test_a_patch_with_a_condition(container: ContainerProxy) -> None:
    await container.create_item({"id": "a", "pk": "p", "n": 1, "tags": ["x"]})
    changed = await container.patch_item(
        "a",
        "p",
        [
            {"op": "set", "path": "/n", "value": 2},
            {"op": "add", "path": "/tags/0", "value": "w"},
            {"op": "move", "from": "/tags/1", "path": "/last"},
        ],
        filter_predicate="FROM c WHERE c.n = 1",
    )
    assert (changed["n"], changed["tags"], changed["last"]) == (2, ["w"], "x")
    with pytest.raises(CosmosAccessConditionFailedError):
        await container.patch_item(
            "a", "p", [{"op": "remove", "path": "/n"}], filter_predicate="FROM c WHERE c.n = 1"
        )


async def test_an_item_that_expired_is_gone_everywhere(container: ContainerProxy) -> None:
    await container.create_item({"id": "stays", "pk": "p", "ttl": -1})
    await container.create_item({"id": "goes", "pk": "p", "ttl": 1})

    async def ids() -> set[str]:
        return {item["id"] async for item in container.query_items_change_feed(start_time="Beginning")}

    while await ids() != {"stays"}:
        pass  # ends when the second is over
    with pytest.raises(CosmosResourceNotFoundError):
        await container.read_item("goes", "p")
    await container.create_item({"id": "goes", "pk": "p"})


async def test_the_synchronous_client_is_served_as_well(
    server: ServerProcess, container: ContainerProxy
) -> None:
    with SyncClient.from_connection_string(server.connection_string) as client:
        same = client.get_database_client("tests").get_container_client(container.id)
        same.create_item({"id": "a", "pk": "p"})
        assert [item["id"] for item in same.query_items("SELECT * FROM c", partition_key="p")] == ["a"]


async def test_many_items_by_id(container: ContainerProxy) -> None:
    for n in range(20):
        await container.create_item({"id": f"i{n}", "pk": f"p{n % 7}"})
    wanted = [(f"i{n}", f"p{n % 7}") for n in range(0, 25, 2)]
    found = await container.read_items(wanted)
    assert [item["id"] for item in found] == [f"i{n}" for n in range(0, 20, 2)]


async def test_what_the_client_cannot_merge_is_refused_and_not_answered_wrongly(
    container: ContainerProxy,
) -> None:
    for n in range(8):
        await container.create_item({"id": str(n), "pk": str(n), "kind": n % 2})
    grouped = "SELECT c.kind, COUNT(1) AS n FROM c GROUP BY c.kind"
    with pytest.raises(CosmosHttpResponseError, match="GroupBy"):
        _ = [item async for item in container.query_items(grouped)]
    with pytest.raises(CosmosHttpResponseError) as caught:
        _ = [item async for item in container.query_items("SELECT VALUE SUM(c.kind) / COUNT(1) FROM c")]
    assert caught.value.status_code == 400
    one = [item async for item in container.query_items(grouped, partition_key="3")]
    assert one == [{"kind": 1, "n": 1}]
