"""People of a fleet: everything that exports and erases, over the storage and an identity that may delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from azure.cosmos.aio import DatabaseProxy

from shared.archive.store import CONTAINER as ARCHIVE
from shared.archive.store import Archive
from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import FLEET_STATE, VIEW_STATE
from shared.cosmos.client import connect
from shared.fleet.wiring import Fleet
from shared.people import exports, tombstones
from shared.people.deleted_accounts import DeletedAccounts
from shared.people.erasure import Eraser
from shared.people.export import Exporter
from shared.people.people import People
from shared.people.places import Places
from shared.people.requests import Requests
from shared.people.state import StateEraser
from shared.storage.blobs import BlobStore
from shared.storage.client import connect_storage

USER_AGENT = "vimarsh-lifecycle"


class _ArchiveOfPeople:
    """The archive, as a place from which people are erased."""

    name = "archive"

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def find(self, user_id: str) -> int:
        return len([None async for _ in self._archive.find_person(user_id)])

    async def erase(self, user_id: str) -> int:
        return (await self._archive.erase_person(user_id)).blobs


def people_of(
    fleet: Fleet,
    *,
    lifecycle_database: DatabaseProxy,
    archive_blobs: BlobStore,
    tombstone_blobs: BlobStore,
    export_blobs: BlobStore,
    clock: Clock = SYSTEM_CLOCK,
) -> People:
    """Put the parts together."""
    ring, database = fleet.settings.key_ring(), fleet.database
    requests = Requests(database.get_container_client(FLEET_STATE), ring, clock=clock)
    places = Places(database, lifecycle_database)
    archive = Archive(archive_blobs, ring)
    exporter = Exporter(places, archive, clock=clock)
    made = exports.Exports(export_blobs, exporter, requests, ring, fleet.register, clock=clock)
    copies = tombstones.TombstoneBlobs(tombstone_blobs)
    eraser = Eraser(
        requests=requests,
        register=fleet.register,
        state=StateEraser(database.get_container_client(VIEW_STATE), fleet.writer, fleet.generations),
        places=places,
        tombstones=copies,
        archive=_ArchiveOfPeople(archive),
        exports=made,
        clock=clock,
    )
    days = fleet.settings.deletion_grace_days
    return People(
        database=database,
        requests=requests,
        eraser=eraser,
        exports=made,
        exporter=exporter,
        deleted_accounts=DeletedAccounts(database, places, days, clock=clock),
        register=fleet.register,
        tombstones=copies,
        generations=fleet.generations,
        ring=ring,
        clock=clock,
    )


@asynccontextmanager
async def connected_people(fleet: Fleet) -> AsyncIterator[People]:
    """Connect to the storage, and as the identity of ``LifecycleCosmosDb__clientId``; close both at the end.

    Raises
    ------
    SettingsError
        The settings name no storage account, or an identity that is not usable.
    """
    async with AsyncExitStack() as opened:
        storage = await opened.enter_async_context(connect_storage(fleet.settings))
        lifecycle = fleet.settings.for_lifecycle()
        database = fleet.database
        if lifecycle != fleet.settings:
            client = await opened.enter_async_context(connect(lifecycle, user_agent=USER_AGENT))
            database = client.get_database_client(lifecycle.cosmos_database)
        blobs = {
            name: BlobStore(storage.get_container_client(name))
            for name in (ARCHIVE, tombstones.CONTAINER, exports.CONTAINER)
        }
        yield people_of(
            fleet,
            lifecycle_database=database,
            archive_blobs=blobs[ARCHIVE],
            tombstone_blobs=blobs[tombstones.CONTAINER],
            export_blobs=blobs[exports.CONTAINER],
        )
