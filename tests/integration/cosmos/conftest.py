"""A server for all tests of this folder, and a container for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy

from tests.cosmos_server import ServerProcess, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("cosmos")) as process:
        yield process


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[CosmosClient]:
    async with CosmosClient.from_connection_string(
        server.connection_string, user_agent_suffix="tests"
    ) as connected:
        yield connected


@pytest.fixture
async def database(client: CosmosClient) -> DatabaseProxy:
    return await client.create_database_if_not_exists("tests")


@pytest.fixture
async def container(database: DatabaseProxy) -> ContainerProxy:
    return await database.create_container(uuid4().hex, PartitionKey("/pk"), default_ttl=-1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"
