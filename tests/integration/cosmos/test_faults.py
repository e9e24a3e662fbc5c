"""Faults on demand, through the SDK: broken connections, and a server that dies at a chosen point."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from tests.cosmos_server import ServerProcess, running_server


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
