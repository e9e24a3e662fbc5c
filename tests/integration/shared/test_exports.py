"""Exports in real Blob Storage: files in blocks, and links that work for a time."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from local.azurite import connection_string, start_azurite
from local.ports import free_port
from shared.settings import Settings
from shared.storage.blobs import BLOCK_BYTES, BlobStore
from shared.storage.client import connect_storage


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[BlobStore]:
    port = free_port()
    child = await start_azurite(tmp_path / "azurite", port, log=tmp_path / "log", timeout=60)
    settings = Settings(ArchiveStorage=connection_string(port))  # type: ignore[call-arg]
    try:
        async with connect_storage(settings) as client:
            yield BlobStore(client.get_container_client("exports"))
    finally:
        await child.stop(grace=5)


async def fetched(link: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(link) as answer:
        return answer.status, await answer.read()


async def test_a_file_of_several_blocks_is_read_by_its_link_until_the_time_is_over(blobs: BlobStore) -> None:
    content = bytes(range(256)) * (2 * BLOCK_BYTES // 256) + b"the rest"
    now = datetime.now(UTC)
    for _ in range(2):  # the first one makes the container
        await blobs.upload("new.abc/1.zip", io.BytesIO(content), metadata={"expires": "then"})
    (stored,) = [each async for each in blobs.find("")]
    assert (stored.name, stored.size, stored.metadata) == ("new.abc/1.zip", len(content), {"expires": "then"})
    link = await blobs.link("new.abc/1.zip", now + timedelta(minutes=5))
    assert await fetched(link) == (200, content)
    signed, _, signature = link.partition("sig=")
    assert (await fetched(f"{signed}sig=A{signature}"))[0] == 403
    assert (await fetched(link.replace("1.zip", "2.zip")))[0] == 403
    assert (await fetched(signed.partition("?")[0]))[0] in (401, 403, 404, 409)
    over = await blobs.link("new.abc/1.zip", now - timedelta(minutes=1))
    assert (await fetched(over))[0] == 403
    assert await blobs.delete("new.abc/1.zip")
    assert (await fetched(link))[0] == 404
