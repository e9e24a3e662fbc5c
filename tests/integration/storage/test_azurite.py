"""The archive's edge on real Blob Storage: Azurite, as the laptop stack runs it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

from local.azurite import ACCOUNT_KEY, connection_string, start_azurite
from local.ports import free_port
from shared.archive.names import LONGEST_NAME, blob_name, owner_segment, parse_name
from shared.cosmos.retries import StorageUnavailableError
from shared.errors import ConflictError, SettingsError
from shared.settings import Settings
from shared.storage.blobs import BlobStore
from shared.storage.client import connect_storage
from tests.unit.shared.archive.test_archiver import ODD
from tests.unit.shared.archive.test_names import DAY


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    folder, port = tmp_path_factory.mktemp("azurite"), free_port()
    azurite = await start_azurite(folder, port, log=folder / "log", timeout=60)
    yield port
    await azurite.stop(grace=5)


@pytest.fixture
async def blobs(port: int) -> AsyncIterator[BlobStore]:
    async with connect_storage(Settings(ArchiveStorage=connection_string(port))) as client:
        yield BlobStore(client.get_container_client(f"archive-{uuid4().hex}"))


async def test_every_name_of_the_archive_is_stored_listed_and_read(blobs: BlobStore) -> None:
    assert [each async for each in blobs.find("archived/")] == []
    assert await blobs.folders("archived/") == []
    first, *others = ODD
    owned = [(first, document) for document in ODD]
    owned += [(user, ODD[n % len(ODD)]) for n, user in enumerate((*others, "y" * 2_000, None, ""))]
    names = [
        blob_name(DAY, owner_segment(user), document, version).text()
        for user, document in owned
        for version in (1, 2)
    ]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= LONGEST_NAME
    for name in names:
        assert await blobs.create(name, name.encode(), metadata={"sha256": "x"}, cold=True)
        assert not await blobs.create(name, b"other", cold=True)
    found = {each.name: each async for each in blobs.find("archived/")}
    assert list(found) == sorted(names)
    for name, stored in found.items():
        assert parse_name(name) is not None
        content = await blobs.read(name)
        assert content is not None
        assert content[0] == name.encode()
        md5 = hashlib.md5(name.encode()).digest()  # noqa: S324
        assert (stored.md5, stored.metadata, stored.size) == (md5, {"sha256": "x"}, len(name))
    assert await blobs.folders("archived/") == ["archived/2026/"]
    assert await blobs.folders("archived/2026/11/") == ["archived/2026/11/29/"]
    for user in ODD:
        segment = owner_segment(user)
        mine = [each.name async for each in blobs.find(f"archived/2026/11/29/{segment}/")]
        assert len(mine) == (2 * len(ODD) if user == first else 2)


async def test_a_blob_is_replaced_only_in_the_version_that_was_read(blobs: BlobStore) -> None:
    await blobs.replace("part", b"1", etag=None)
    first = await blobs.properties("part")
    assert first is not None
    await blobs.replace("part", b"2", etag=first.etag)
    for gone in (False, True):
        if gone:
            assert await blobs.delete("part")
            assert not await blobs.delete("part")
        with pytest.raises(ConflictError):
            await blobs.replace("part", b"3", etag=first.etag)


async def test_the_cold_tier_is_set(blobs: BlobStore) -> None:
    await blobs.create("cold", b"1", cold=True)
    properties = await blobs._container.get_blob_client("cold").get_blob_properties()
    assert properties.blob_tier == "Cold"


async def test_a_storage_that_comes_back_in_time_loses_nothing(tmp_path: Path) -> None:
    port = free_port()
    async with connect_storage(Settings(ArchiveStorage=connection_string(port))) as client:
        blobs = BlobStore(client.get_container_client("archive"))
        waiting = asyncio.create_task(blobs.create("a", b"1"))
        azurite = await start_azurite(tmp_path, port, log=tmp_path / "log", timeout=60)
        try:
            outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
            if isinstance(outcome, StorageUnavailableError):  # Azurite took longer than all attempts
                assert await blobs.create("a", b"1")
            else:
                assert outcome is True
            assert await blobs.read("a") is not None
        finally:
            await azurite.stop(grace=5)


async def test_a_wrong_key_is_told_at_once(port: int) -> None:
    wrong = connection_string(port).replace(ACCOUNT_KEY, "d3Jvbmc=")
    async with connect_storage(Settings(ArchiveStorage=wrong)) as client:
        blobs = BlobStore(client.get_container_client("archive"))
        with pytest.raises((ClientAuthenticationError, HttpResponseError)) as refused:
            await blobs.create("a", b"1")
        assert refused.value.status_code == 403
        assert blobs.requests == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "ArchiveStorage .connection string. or ArchiveStorage__blobServiceUri"),
        ({"ArchiveStorage": "x"}, "ArchiveStorage is not a connection string"),
        (
            {"ArchiveStorage__blobServiceUri": "https://a.example", "ArchiveStorage__credential": "key"},
            "ArchiveStorage__credential must be managedidentity",
        ),
    ],
)
async def test_settings_that_name_no_storage_are_told(settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        async with connect_storage(Settings(**{"ArchiveStorage": None, **settings})):
            raise AssertionError("not connected")


async def test_an_identity_is_used_without_a_key() -> None:
    named = {
        "ArchiveStorage__blobServiceUri": "https://account.blob.core.windows.net",
        "ArchiveStorage__credential": "managedidentity",
        "ArchiveStorage__clientId": "4711",
    }
    async with connect_storage(Settings(**{"ArchiveStorage": None, **named})) as client:
        assert client.url == "https://account.blob.core.windows.net/"
