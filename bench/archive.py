"""The archive against archiving one document after the other, on the same storage in the same run."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.storage.blob import ContainerSasPermissions, StandardBlobTier, generate_container_sas
from azure.storage.blob.aio import ContainerClient

from bench.archive_figures import ArchiveFigures
from bench.contenders import BenchError
from bench.server import Server, running_server
from local.azurite import connection_string, start_azurite
from local.ports import free_port
from shared.archive.store import CONCURRENCY
from shared.clock import Clock
from shared.concurrency import batched, for_each
from shared.containers import container
from shared.cosmos.provisioning import apply_catalogue
from shared.fleet.archive import connected_archive
from shared.fleet.wiring import connected_fleet

CONTAINER = "user_interactions"
DATABASE = "archive"


class LaterClock(Clock):
    """Is ahead by so much that what was written today is due."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=(container(CONTAINER).archive_after or 0) + 1)


async def measure_archive(documents: int, alone: int, progress: Callable[[str], None]) -> ArchiveFigures:
    """Archive documents with the fleet, and some of them one after the other."""
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(running_server())
        directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="fleet-bench-")))
        port = free_port()
        azurite = await start_azurite(directory, port, log=directory / "log", timeout=30.0)
        opened.push_async_callback(azurite.stop, 5.0)
        progress(f"archive: {documents:,} documents are written")
        client = await opened.enter_async_context(
            CosmosClient.from_connection_string(server.connection_string)
        )
        await apply_catalogue(client, DATABASE)
        database = client.get_database_client(DATABASE)
        await _write(database, documents)
        progress("archive: one document after the other")
        one_by_one = await _one_by_one(database, port, alone)
        progress("archive: the storage alone")
        storage_alone = await _storage_alone(port, documents)
        progress("archive: the fleet")
        return await _with_the_fleet(server, port, documents, one_by_one, storage_alone)


async def _write(database: DatabaseProxy, documents: int) -> None:
    source = database.get_container_client(CONTAINER)
    for some in batched(range(documents), 1_000):
        await for_each(some, lambda number: source.upsert_item(_document(number)), max_concurrency=32)


def _document(number: int) -> dict[str, Any]:
    return {
        "id": f"interaction_{number}",
        "user_id": f"user_{number % 300}",
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "user_query": "What is my duty? " * 10,
        "response_text": "Do your duty without attachment. " * 60,
    }


async def _one_by_one(database: DatabaseProxy, port: int, documents: int) -> float:
    """Do what the specification sketches: for each document, upload it, and read it back to be sure."""
    source = database.get_container_client(CONTAINER)
    async with ContainerClient.from_connection_string(connection_string(port), "alone") as storage:
        await storage.create_container()
        began, done = time.perf_counter(), 0
        async for document in source.query_items("SELECT * FROM c", max_item_count=100):
            day, user = document["timestamp"][:10].replace("-", "/"), document["user_id"]
            blob = storage.get_blob_client(f"archived/{day}/{user}/{document['id']}.json")
            content = json.dumps(document).encode()
            await blob.upload_blob(content, standard_blob_tier=StandardBlobTier.COLD)
            stored = await (await blob.download_blob()).readall()
            if hashlib.sha256(stored).digest() != hashlib.sha256(content).digest():
                raise BenchError("a blob is not what was uploaded")
            done += 1
            if done == documents:
                break
        return done / (time.perf_counter() - began)


async def _storage_alone(port: int, documents: int) -> float:
    """Upload as many blobs of the same content by plain requests, as many at once as the fleet does."""
    client = ContainerClient.from_connection_string(connection_string(port), "plain")
    async with client as storage, aiohttp.ClientSession() as http:
        await storage.create_container()
        signature = generate_container_sas(
            str(storage.account_name),
            storage.container_name,
            account_key=storage.credential.account_key,
            permission=ContainerSasPermissions(create=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-access-tier": StandardBlobTier.COLD.value}

        async def upload(number: int) -> None:
            address = f"{storage.url}/{number}.json?{signature}"
            content = json.dumps(_document(number)).encode()
            async with http.put(address, data=content, headers=headers) as answer:
                if answer.status != HTTPStatus.CREATED:
                    raise BenchError(f"the storage answered {answer.status} to a plain upload")

        began = time.perf_counter()
        await for_each(range(documents), upload, max_concurrency=CONCURRENCY)
        seconds = time.perf_counter() - began
        await storage.delete_container()  # the fleet begins with a storage as empty as this was
        return documents / seconds


async def _with_the_fleet(
    server: Server, port: int, documents: int, one_by_one: float, storage_alone: float
) -> ArchiveFigures:
    settings = server.settings(DATABASE).model_copy(
        update={"archive_connection_string": connection_string(port)}
    )
    async with (
        connected_fleet(settings) as fleet,
        connected_archive(fleet, clock=LaterClock()) as archive,
    ):
        began = time.perf_counter()
        reports = await archive.archiver.run()
        seconds = time.perf_counter() - began
        archived = sum(each.outcome.archived for each in reports)
        if archived != documents:
            raise BenchError(f"{archived:,} of {documents:,} documents were archived")
        requests = sum(each.cost.requests for each in reports)
        units = sum(each.cost.request_units for each in reports)
        idle = await archive.archiver.run()
        return ArchiveFigures(
            documents,
            archived / seconds,
            one_by_one,
            storage_alone,
            requests / archived,
            units / archived,
            sum(each.cost.requests for each in idle),
            sum(each.cost.request_units for each in idle),
        )
