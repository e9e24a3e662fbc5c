"""A database and an archive in memory, with a clock that a test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from azure.cosmos.aio import CosmosClient, DatabaseProxy

from shared.archive.archiver import Archiver
from shared.archive.restore import Restorer
from shared.archive.store import Archive, ErasedAmong
from shared.archive.verify import Verifier
from shared.containers import ARCHIVED, DAY, FLEET_STATE, container
from shared.ledger.generations import Generations
from shared.privacy.keyring import KeyRing
from shared.settings import Settings
from tests.cosmos_in_process import DATABASE, ENDPOINT, KEY, InProcessCosmos, InProcessTransport
from tests.fake_blobs import FakeBlobs
from tests.fake_clock import FakeClock
from tests.sample_keys import HASH_KEYS

NOW = 1_764_400_000.0
RING = KeyRing.parse(HASH_KEYS)
SETTINGS = Settings()


class World:
    """What an archiver works on."""

    def __init__(self, cosmos: InProcessCosmos, blobs: FakeBlobs) -> None:
        self.cosmos = cosmos
        self.blobs = blobs
        self.time = NOW
        self.clock = FakeClock(lambda: self.time)
        self.archive = Archive(blobs, RING)
        self.database: DatabaseProxy
        self.clients: AsyncExitStack
        self.erased: set[str] = set()

    async def reconnect(self) -> None:
        """Connect a new client, as a new process does."""
        client = CosmosClient(ENDPOINT, KEY, transport=InProcessTransport(self.cosmos.app))
        await self.clients.enter_async_context(client)
        self.database = await client.create_database_if_not_exists(DATABASE)

    async def erased_among(self, users: Any) -> set[str]:
        return self.erased & set(users)

    def archiver(self, erased_among: ErasedAmong | None = None) -> Archiver:
        """Return a new archiver, as of a new process."""
        state = self.database.get_container_client(FLEET_STATE)
        return Archiver(
            database=self.database,
            progress=state,
            archive=self.archive,
            generations=Generations(state, SETTINGS, outputs=[], clock=self.clock),
            erased_among=erased_among or self.erased_among,
            clock=self.clock,
        )

    def restorer(self) -> Restorer:
        return Restorer(
            database=self.database, archive=self.archive, erased_among=self.erased_among, clock=self.clock
        )

    def verifier(self) -> Verifier:
        return Verifier(self.archive)

    async def write(self, name: str, *documents: dict[str, Any], age_days: float = 0.0) -> None:
        """Write documents as if some days ago."""
        now, self.time = self.time, self.time - age_days * DAY
        of = self.database.get_container_client(name)
        path = container(name).partition_key.removeprefix("/")
        for document in documents:
            await of.execute_item_batch([("upsert", (document,))], partition_key=document[path])
        self.time = now

    async def all_of(self, name: str) -> list[dict[str, Any]]:
        """Return the documents of a container that are not expired."""
        of = self.database.get_container_client(name)
        return [dict(item) async for item in of.query_items("SELECT * FROM c")]

    def names(self) -> list[str]:
        """Return the names of archived blobs."""
        return sorted(name for name in self.blobs.blobs if name.startswith("archived/"))


@asynccontextmanager
async def world(partitions: int = 3, sources: Iterable[str] = ARCHIVED) -> AsyncIterator[World]:
    """Make a world with empty containers: of sources, and of the fleet's progress."""
    made: list[World] = []
    cosmos = InProcessCosmos(lambda: made[0].time if made else NOW, partitions=partitions)
    made.append(World(cosmos, FakeBlobs(lambda: made[0].time)))
    try:
        with cosmos.at_its_time():
            async with AsyncExitStack() as made[0].clients:
                await made[0].reconnect()
                await cosmos.create(made[0].database, map(container, (*sources, FLEET_STATE)))
                yield made[0]
    finally:
        cosmos.close()


def interaction(number: int, user: str = "ann", **more: Any) -> dict[str, Any]:
    """Return an interaction."""
    return {
        "id": f"i{number}",
        "user_id": user,
        "timestamp": "2025-03-01T10:00:00Z",
        "user_query": f"Question {number}?",
        **more,
    }
