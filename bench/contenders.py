"""The two contenders, each with its own database: process a batch until it is visible in the views."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from bench.baseline import BaselineProcessor, CosmosStore, MemoryStore, store_all
from bench.feed import FeedReader
from functions.views import PUBLISH_PAGE
from shared.containers import VIEW_STATE
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.client import connect
from shared.cosmos.provisioning import apply_catalogue
from shared.facts import USER_INTERACTIONS
from shared.fleet.wiring import Fleet, connected_fleet
from shared.pricing.table import list_prices
from shared.settings import Settings

HISTORY_BATCH = 1000


class BenchError(Exception):
    """A measurement would not mean what it says. The message says why."""


class Contender(Protocol):
    """A processor that maintains ``user_analytics`` and ``daily_metrics``."""

    name: str
    client_name: str
    """What the server books its requests under."""
    database: DatabaseProxy
    source: ContainerProxy
    """Its ``user_interactions``."""

    async def process_batch(self, batch: int) -> tuple[int, Cost]:
        """Process the next ``batch`` changes until they show in the views; return how many, and the cost."""

    async def refresh(self, *, everything: bool = False) -> Cost:
        """Bring up to date what lags by an hour, or everything that lags; return the cost."""

    async def count_history(self) -> None:
        """Count changes that have just been written to the source, as fast as can be."""

    async def finish_history(self) -> None:
        """Bring the views up to date with the history."""


class FleetContender:
    """The fleet: fold a batch, then publish what the feed of ``view_state`` delivers, until it is empty."""

    name = "fleet"
    client_name = "bench-fleet"

    def __init__(self, fleet: Fleet, database: DatabaseProxy) -> None:
        self.fleet = fleet
        self.database = database
        self.source = database.get_container_client(USER_INTERACTIONS)
        self._changes = FeedReader(self.source)
        self._state = FeedReader(database.get_container_client(VIEW_STATE))

    async def process_batch(self, batch: int) -> tuple[int, Cost]:
        """Fold the next page of changes and publish."""
        with measured_cost() as charge:
            documents = await self._changes.read(batch)
            report = await self.fleet.ingest.ingest_batch(USER_INTERACTIONS, documents)
            if report.counted != len(documents):
                raise BenchError(
                    f"the fleet counted {report.counted} of {len(documents)} changes,"
                    f" {len(report.poisoned)} went to poison: this traffic has no bad documents"
                )
            await self._publish()
        return len(documents), charge

    async def refresh(self, *, everything: bool = False) -> Cost:
        """Publish what the hourly timer and the health timer do; with everything, as they do twice a day.

        What this changes in ``view_state`` is published as well.
        """
        with measured_cost() as charge:
            scheduled = self.fleet.scheduled
            report = await (
                scheduled.publish_everything() if everything else scheduled.publish_due(hour=True)
            )
            await self.fleet.health.publish_windows()
            await self._publish()
        if report.poisoned or report.waiting:
            raise BenchError(f"the fleet could not refresh {report.poisoned + report.waiting} views")
        return charge

    async def _publish(self) -> None:
        while changed := await self._state.read(PUBLISH_PAGE):
            report = await self.fleet.publisher.publish(changed)
            if report.poisoned:
                raise BenchError(f"the fleet could not publish {len(report.poisoned)} views")

    async def count_history(self) -> None:
        """Fold everything in the feed."""
        while delivered := await self._changes.read(HISTORY_BATCH):
            await self.fleet.ingest.ingest_batch(USER_INTERACTIONS, delivered)

    async def finish_history(self) -> None:
        """Publish."""
        await self._publish()
        await self.refresh(everything=True)


class BaselineContender:
    """The specification's processor."""

    name = "baseline"
    client_name = "bench-baseline"

    def __init__(self, database: DatabaseProxy) -> None:
        self.database = database
        self.source = database.get_container_client(USER_INTERACTIONS)
        self.processor = BaselineProcessor(CosmosStore(database), list_prices())
        self._changes = FeedReader(self.source)
        self._history = MemoryStore()
        self._historian = BaselineProcessor(self._history, list_prices())

    async def process_batch(self, batch: int) -> tuple[int, Cost]:
        """Process the next page of changes, one by one."""
        with measured_cost() as charge:
            documents = await self._changes.read(batch)
            await self.processor.process(documents)
        if self.processor.poisoned:
            raise BenchError("the baseline failed at a change: this traffic has no bad documents")
        return len(documents), charge

    async def refresh(self, *, everything: bool = False) -> Cost:
        """Do nothing: everything is up to date with every change."""
        return Cost()

    async def count_history(self) -> None:
        """Compute the documents after these changes in memory. With requests it would last minutes."""
        while delivered := await self._changes.read(HISTORY_BATCH):
            await self._historian.process(delivered)

    async def finish_history(self) -> None:
        """Write the documents as the processor would have left them."""
        await store_all(self._history, self.database)


@asynccontextmanager
async def fleet_contender(settings: Settings) -> AsyncIterator[FleetContender]:
    """Open the fleet on a database of its own, which is created."""
    name = FleetContender.client_name
    async with connect(settings, user_agent=name) as client:
        await apply_catalogue(client, settings.cosmos_database)
        database = client.get_database_client(settings.cosmos_database)
        async with connected_fleet(settings, user_agent=name) as fleet:
            yield FleetContender(fleet, database)


@asynccontextmanager
async def baseline_contender(settings: Settings) -> AsyncIterator[BaselineContender]:
    """Open the baseline on a database of its own, which is created."""
    async with connect(settings, user_agent=BaselineContender.client_name) as client:
        await apply_catalogue(client, settings.cosmos_database)
        yield BaselineContender(client.get_database_client(settings.cosmos_database))
