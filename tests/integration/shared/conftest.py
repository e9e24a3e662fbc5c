"""A fleet on the real database server, a fresh database for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from azure.cosmos.aio import CosmosClient

from shared.cosmos.provisioning import apply_catalogue
from shared.fleet.wiring import Fleet, connected_fleet
from shared.settings import Settings
from tests.cosmos_server import ServerProcess, running_server
from tests.moved_clock import moved_clock


@pytest.fixture(scope="package", autouse=True)
def time_of_the_documents() -> Iterator[None]:
    with moved_clock():
        yield


ELSEWHERE = "FLEET_TEST_COSMOS"
"""Variable with the connection string of another account, such as Microsoft's emulator. Its clock tells the
present time, and nobody can move it."""


WITH_THE_CLOCK = ("test_damage", "test_generations", "test_migrate")
"""Modules whose tests hold only if the database lives in the time of the test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ELSEWHERE in os.environ:
        for item in items:
            if item.path.parent == Path(__file__).parent and item.path.stem in WITH_THE_CLOCK:
                item.add_marker(pytest.mark.skip(reason="needs a database whose clock a test moves"))


class OtherServer:
    """An account that is not this repository's server."""

    def __init__(self, connection_string: str) -> None:
        self.connection_string = connection_string

    def __getattr__(self, name: str) -> Any:
        pytest.skip(f"needs {name} of the local server")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess | OtherServer]:
    if ELSEWHERE in os.environ:
        yield OtherServer(os.environ[ELSEWHERE])
        return
    with running_server(tmp_path_factory.mktemp("cosmos"), partitions=2) as process:
        yield process


@pytest.fixture
async def settings(server: ServerProcess | OtherServer) -> AsyncIterator[Settings]:
    name = f"test-{uuid4().hex[:8]}"
    async with CosmosClient.from_connection_string(server.connection_string) as client:
        await apply_catalogue(client, name)
        yield Settings(
            CosmosDb=server.connection_string, COSMOS_DATABASE=name, FLEET_DOCUMENT_BACKOFF_SECONDS=0.01
        )
        if isinstance(server, OtherServer):
            await client.delete_database(name)


@pytest.fixture
async def fleet(settings: Settings) -> AsyncIterator[Fleet]:
    async with connected_fleet(settings) as connected:
        yield connected


def interaction(**change: Any) -> dict[str, Any]:
    """Return a document as the web application writes it."""
    document = {
        "id": "i1",
        "user_id": "ann",
        "session_id": "s1",
        "timestamp": "2025-08-05T14:39:15.127Z",
        "response_text": "…",
        "response_time_ms": 1000,
        "response_metadata": {"personality_used": "krishna"},
        "cost_data": {"input_tokens": 100, "output_tokens": 10, "model_used": "gemini-2.5-flash"},
    }
    return document | change


class Feed:
    """Writes documents and delivers them, as a trigger would."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.container = fleet.database.get_container_client("user_interactions")

    async def write(self, *documents: dict[str, Any]) -> None:
        for document in documents:
            await self.container.upsert_item(document)

    async def deliver(self) -> Any:
        """Deliver the whole feed, then publish all that there is."""
        feed = [item async for item in self.container.query_items_change_feed(start_time="Beginning")]
        report = await self.fleet.ingest.ingest_batch("user_interactions", feed)
        await self.publish()
        return report

    async def publish(self) -> None:
        state = self.fleet.database.get_container_client("view_state")
        await self.fleet.publisher.publish(
            [item async for item in state.query_items_change_feed(start_time="Beginning")]
        )

    async def day(self, date: str = "2025-08-05") -> dict[str, Any]:
        daily = self.fleet.database.get_container_client("daily_metrics")
        return await daily.read_item(f"daily_metrics_{date.replace('-', '')}", date)

    async def poison(self) -> list[dict[str, Any]]:
        return [row async for row in self.fleet.poison.list()]


@pytest.fixture
def feed(fleet: Fleet) -> Feed:
    return Feed(fleet)
