"""A database server for the module's tests, a fresh database and a recorder for each test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy

from local.host.lag import LagMeter
from local.host.runner import Host, HostConfig
from tests.cosmos_server import ServerProcess, running_server
from tests.integration.host import recorder as recording
from tests.integration.host.recorder import Recorder
from tests.unit.local.host.apps import write_app

PARTITIONS = 4
EXPIRATION = 1.5
"""Seconds after which the leases of the test triggers expire."""

TRIGGER = """
from tests.cosmos_server import ServerProcess, running_server
from tests.integration.host import recorder

@app.cosmos_db_trigger(
    arg_name="documents", connection="HostTestDb", database_name="%HOST_TEST_DATABASE%",
    container_name="items", lease_container_name="leases", start_from_beginning=True,
    feed_poll_delay=20, lease_acquire_interval=100, lease_expiration_interval={expiration},
    lease_renew_interval=300, max_items_per_invocation=10{options}
)
{decorators}
async def {name}(documents: func.DocumentList, context: func.Context) -> None:
    await recorder.current.handle("{name}", documents, context)
"""


def trigger(
    name: str = "work", options: str = "", decorators: str = "", expiration: float = EXPIRATION
) -> str:
    """Return the code of a trigger whose invocations go to the recorder."""
    return TRIGGER.format(
        name=name,
        options=f", {options}" if options else "",
        decorators=decorators,
        expiration=round(expiration * 1000),
    )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A database server with several physical partitions per container."""
    with running_server(tmp_path_factory.mktemp("cosmos"), partitions=PARTITIONS) as running:
        yield running


@pytest.fixture
def account(server: ServerProcess) -> str:
    """The server's connection string."""
    return server.connection_string


@dataclass(frozen=True, slots=True)
class Database:
    """A database of its own for one test."""

    name: str
    proxy: DatabaseProxy
    items: ContainerProxy
    leases: ContainerProxy

    async def write(self, *ids: str, **properties: Any) -> None:
        """Upsert documents."""
        await asyncio.gather(*(self.items.upsert_item({"id": one, **properties}) for one in ids))

    async def lease_documents(self) -> list[dict[str, Any]]:
        """Return the lease documents, without ``.info``, ``.lock`` and timers."""
        found = [item async for item in self.leases.query_items("SELECT * FROM c")]
        return sorted((item for item in found if "LeaseToken" in item), key=lambda item: str(item["id"]))

    async def owners(self) -> list[str | None]:
        """Return who holds each lease."""
        return [document["Owner"] for document in await self.lease_documents()]


@pytest.fixture
async def database(account: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    name = f"host-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("HostTestDb", account)
    monkeypatch.setenv("HOST_TEST_DATABASE", name)
    async with CosmosClient.from_connection_string(account) as client:
        proxy = await client.create_database_if_not_exists(name)
        items = await proxy.create_container_if_not_exists("items", PartitionKey("/id"))
        leases = await proxy.create_container_if_not_exists("leases", PartitionKey("/id"))
        yield Database(name, proxy, items, leases)
        await client.delete_database(name)


@pytest.fixture
def recorder() -> Recorder:
    return recording.reset()


AppWriter = Callable[..., Path]


@pytest.fixture
def app(tmp_path: Path) -> AppWriter:
    def write(*code: str, host_json: dict[str, Any] | None = None) -> Path:
        return write_app(tmp_path, "\n".join(dedent(part) for part in code), host_json)

    return write


@asynccontextmanager
async def hosting(folder: Path, instance: str = "one", **options: Any) -> AsyncIterator[Host]:
    """Run a host in this process for the length of a block."""
    host = Host(HostConfig(folder, instance, **options))
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Ask again and again until ``condition`` holds; the test fails if it does not within ``seconds``."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - it asks a server, which raises no event
            await asyncio.sleep(0.02)


async def drained(folder: Path) -> None:
    """Wait until every feed of the app is drained, as ``settle`` does."""
    async with LagMeter(folder) as meter:

        async def is_drained() -> bool:
            return all(lag.drained for lag in await meter.measure())

        await until(is_drained)


async def balanced(database: Database, *hosts: Host) -> None:
    """Wait until every lease is held, evenly, and every host works on exactly what it holds.

    A host that lost a lease to another notices only when it writes to it: until then both read it, and what
    changes meanwhile is delivered twice, as on the platform.
    """

    async def is_so() -> bool:
        owners = await database.owners()
        counts = [owners.count(str(host.status()["id"])) for host in hosts]
        working = [sum(found["leases"] for found in host.status()["triggers"]) for host in hosts]
        return (
            bool(owners)
            and sum(counts) == len(owners)
            and max(counts) - min(counts) <= 1
            and working == counts
        )

    await until(is_so)
