"""The archive of a fleet: everything that its functions and commands call, over one storage connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.archive.archiver import Archiver
from shared.archive.counting import ArchiveCounter
from shared.archive.restore import Restorer
from shared.archive.store import CONTAINER, Archive
from shared.archive.verify import Verifier
from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import FLEET_STATE
from shared.fleet.wiring import Fleet
from shared.storage.blobs import BlobStore
from shared.storage.client import connect_storage


class FleetArchive:
    """The parts of the archive, put together. Nobody who is erased is archived or restored."""

    def __init__(self, fleet: Fleet, blobs: BlobStore, *, clock: Clock = SYSTEM_CLOCK) -> None:
        erased_among = fleet.register.erased_among
        self.blobs = blobs
        self.archive = Archive(blobs, fleet.settings.key_ring())
        self.archiver = Archiver(
            database=fleet.database,
            progress=fleet.database.get_container_client(FLEET_STATE),
            archive=self.archive,
            generations=fleet.generations,
            erased_among=erased_among,
            clock=clock,
        )
        self.verifier = Verifier(self.archive)
        self.counter = ArchiveCounter(
            archive=self.archive,
            ingest=fleet.ingest,
            retention=fleet.retention,
            erased_among=erased_among,
            clock=clock,
        )
        self.restorer = Restorer(
            database=fleet.database, archive=self.archive, erased_among=erased_among, clock=clock
        )


@asynccontextmanager
async def connected_archive(fleet: Fleet, *, clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[FleetArchive]:
    """Connect a fleet to the storage of its settings; close the connection at the end.

    Raises
    ------
    SettingsError
        The settings name no storage account, or not as they should.
    """
    async with connect_storage(fleet.settings) as client:
        blobs = BlobStore(client.get_container_client(CONTAINER))
        yield FleetArchive(fleet, blobs, clock=clock)
