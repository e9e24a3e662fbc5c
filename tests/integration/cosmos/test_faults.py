"""Faults on demand, through the SDK: broken connections, and a server that dies at a chosen point."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError

from tests.cosmos_server import STOP_SECONDS, ServerProcess, running_server


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


async def _container(client: CosmosClient) -> ContainerProxy:
    database = await client.create_database_if_not_exists("d")
    return await database.create_container_if_not_exists("c", PartitionKey("/pk"))


def _client(server: ServerProcess, **options: Any) -> CosmosClient:
    return CosmosClient.from_connection_string(server.connection_string, **options)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_dropped_connection_is_reset_and_the_server_says_nothing_of_it(
    data: Path, moment: str
) -> None:
    log = data.parent / "log"
    with log.open("w") as sink, running_server(data, log=sink) as server:
        async with _client(server, retry_total=0, retry_connect=0, retry_read=0) as client:
            container = await _container(client)
            server.local("PUT", "faults", {"rules": [{"operation": "create", "rate": 1, "drop": moment}]})
            with pytest.raises(AzureError) as caught:
                await container.create_item({"id": "a", "pk": "p"})
            assert any(isinstance(cause, ConnectionResetError) for cause in _causes(caught.value))
            assert server.local("GET", "faults")["struck"] >= 1
            server.local("DELETE", "faults")
            found = [item["id"] async for item in container.read_all_items()]
            assert found == ([] if moment == "before" else ["a"])
        server.stop()
    assert log.read_text() == ""


def test_what_libraries_log_is_a_line_of_the_log(data: Path) -> None:
    log = data.parent / "log"
    with log.open("w") as sink, running_server(data, log=sink) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert connection.recv(1_000).startswith(b"HTTP/1.1 400")
        server.stop()
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["logger"] == "uvicorn.error"


async def test_a_rule_strikes_the_nth_request_and_no_other(data: Path) -> None:
    rule = {"operation": "create", "rate": 1, "status": 408, "skip": 2, "times": 1}
    with running_server(data) as server:
        async with _client(server, retry_total=0) as client:
            container = await _container(client)
            server.local(
                "PUT", "faults", {"rules": [rule, {"operation": "delete", "rate": 1, "drop": "after"}]}
            )
            for name in "ab":
                await container.create_item({"id": name, "pk": "p"})
            with pytest.raises(
                CosmosHttpResponseError
            ) as caught:  # the SDK does not repeat a write after 408
                await container.create_item({"id": "c", "pk": "p"})
            assert caught.value.status_code == 408
            for name in "cd":
                await container.create_item({"id": name, "pk": "p"})
            assert server.local("GET", "faults") == {
                "struck": 1,
                "rules": [{"matched": 5, "struck": 1}, {"matched": 0, "struck": 0}],
            }


def _operations(name: str) -> list[tuple[str, tuple[dict[str, Any]]]]:
    return [("create", ({"id": f"{name}-{n}", "pk": "p", "text": "x" * 100_000},)) for n in range(10)]


@pytest.mark.parametrize(("moment", "visible"), [("before", False), ("inside", False), ("after", True)])
async def test_a_batch_in_which_the_server_dies_is_there_as_a_whole_or_not_at_all(
    data: Path, moment: str, visible: bool
) -> None:
    rule = {"operation": "batch", "container": "c", "rate": 1, "crash": moment, "skip": 1}
    with running_server(data) as server:
        async with _client(server, retry_total=0, retry_connect=0, retry_read=0) as client:
            container = await _container(client)
            server.local("PUT", "faults", {"rules": [rule]})
            await container.execute_item_batch(_operations("spared"), partition_key="p")
            with pytest.raises(AzureError):
                await container.execute_item_batch(_operations("struck"), partition_key="p")
        assert server.process.wait(STOP_SECONDS) == -signal.SIGKILL
    with running_server(data) as server:
        async with _client(server) as client:
            container = await _container(client)
            found = {
                item["id"] async for item in container.query_items("SELECT c.id FROM c", partition_key="p")
            }
            names = ["spared", "struck"] if visible else ["spared"]
            assert found == {f"{name}-{n}" for name in names for n in range(10)}
            feed = container.query_items_change_feed(partition_key="p", start_time="Beginning")
            assert len([item async for item in feed]) == len(found)
            await container.execute_item_batch(_operations("later"), partition_key="p")


async def test_a_transaction_that_commits_nothing_does_not_crash_inside(data: Path) -> None:
    with running_server(data) as server:
        async with _client(server) as client:
            container = await _container(client)
            await container.create_item({"id": "a", "pk": "p"})
            rule = {"operation": "create", "rate": 1, "crash": "inside"}
            server.local("PUT", "faults", {"rules": [rule]})
            with pytest.raises(CosmosResourceExistsError):
                await container.create_item({"id": "a", "pk": "p"})
            await container.upsert_item({"id": "a", "pk": "p"})
            server.local("DELETE", "faults")
            await container.create_item({"id": "b", "pk": "p"})
