"""An identity may do what its token says, and nothing that needs the key or Azure Resource Manager."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from local.cosmos.rights import AAD_FORBIDDEN, READ_METADATA
from tests.cosmos_in_process import DATABASE, ENDPOINT, InProcessCosmos, InProcessTransport
from tests.fleet_in_process import Token, ask_server

CONTAINERS = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers"
ITEM = {"id": "1", "kind": "a"}

Call = Callable[[ContainerProxy], Awaitable[Any]]


async def rows(found: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in found]


CALLS: dict[str, tuple[str, Call]] = {
    "create": ("items/create", lambda it: it.create_item({"id": "2", "kind": "a"})),
    "upsert": ("items/upsert", lambda it: it.upsert_item(ITEM)),
    "read": ("items/read", lambda it: it.read_item("1", "a")),
    "replace": ("items/replace", lambda it: it.replace_item("1", ITEM)),
    "patch": ("items/replace", lambda it: it.patch_item("1", "a", [{"op": "set", "path": "/n", "value": 1}])),
    "delete": ("items/delete", lambda it: it.delete_item("1", "a")),
    "query": ("executeQuery", lambda it: rows(it.query_items("SELECT * FROM c ORDER BY c.kind"))),
    "feed": ("readChangeFeed", lambda it: rows(it.query_items_change_feed(start_time="Beginning"))),
    "batch": ("items/upsert", lambda it: it.execute_item_batch([("upsert", (ITEM,))], partition_key="a")),
}
ACTIONS = sorted({action for action, _ in CALLS.values()})


@pytest.fixture
async def cosmos() -> AsyncIterator[InProcessCosmos]:
    server = InProcessCosmos(time.time)
    async with server.client() as database:
        container = await database.create_container("things", PartitionKey("/kind"))
        await container.create_item(ITEM)
    yield server
    server.close()


async def as_identity(cosmos: InProcessCosmos, *actions: str) -> DatabaseProxy:
    rights = {"": [READ_METADATA], "things": [f"{CONTAINERS}/{action}" for action in actions]}
    await ask_server(cosmos, "PUT", "rights", {"tokens": {"ann": rights}})
    client = CosmosClient(ENDPOINT, Token("ann"), transport=InProcessTransport(cosmos.app))
    return client.get_database_client(DATABASE)


@pytest.mark.parametrize("name", CALLS)
async def test_each_operation_needs_its_action_and_no_other(cosmos: InProcessCosmos, name: str) -> None:
    needed, call = CALLS[name]
    database = await as_identity(cosmos, *(action for action in ACTIONS if action != needed))
    with pytest.raises(CosmosHttpResponseError) as refused:
        await call(database.get_container_client("things"))
    assert (refused.value.status_code, refused.value.sub_status) == (403, AAD_FORBIDDEN)
    assert f"[{CONTAINERS}/{needed}]" in str(refused.value)
    books = await ask_server(cosmos, "GET", "rights")
    assert books["refused"]["ann"] == {"things": [f"{CONTAINERS}/{needed}"]}
    database = await as_identity(cosmos, needed)
    await call(database.get_container_client("things"))
    books = await ask_server(cosmos, "GET", "rights")
    assert books["refused"] == {}
    assert books["used"]["ann"]["things"] == [f"{CONTAINERS}/{needed}"]


MANAGEMENT: dict[str, Callable[[DatabaseProxy], Awaitable[Any]]] = {
    "create a container": lambda it: it.create_container("more", PartitionKey("/kind")),
    "change a container": lambda it: it.replace_container("things", PartitionKey("/kind"), default_ttl=9),
    "delete a container": lambda it: it.delete_container("things"),
    "read its throughput": lambda it: it.get_container_client("things").get_throughput(),
    "delete a partition": lambda it: it.get_container_client("things").delete_all_items_by_partition_key("a"),
}


@pytest.mark.parametrize("name", MANAGEMENT)
async def test_no_identity_manages_containers(cosmos: InProcessCosmos, name: str) -> None:
    database = await as_identity(cosmos, *ACTIONS)
    with pytest.raises(CosmosHttpResponseError) as refused:
        await MANAGEMENT[name](database)
    assert refused.value.status_code == 403


async def test_a_token_that_the_server_does_not_know_is_refused(cosmos: InProcessCosmos) -> None:
    client = CosmosClient(ENDPOINT, Token("eve"), transport=InProcessTransport(cosmos.app))
    with pytest.raises(CosmosHttpResponseError) as refused:
        await client.get_database_client(DATABASE).get_container_client("things").read_item("1", "a")
    assert refused.value.status_code == 401


async def test_rights_of_another_form_are_refused(cosmos: InProcessCosmos) -> None:
    with pytest.raises(AssertionError, match="tokens"):
        await ask_server(cosmos, "PUT", "rights", {"tokens": ["ann"]})
