"""One container of Blob Storage: create, read, replace, list and delete blobs.

Here is the one layer that repeats a request to Blob Storage, with the numbers of the database
(:data:`~shared.cosmos.retries.REQUEST`). A write may be repeated: it is conditional, and a caller whose
answer was lost reads what is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import IO, Any, NamedTuple, TypeVar

import aiohttp
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    BlobProperties,
    BlobSasPermissions,
    ContentSettings,
    StandardBlobTier,
    UserDelegationKey,
    generate_blob_sas,
)
from azure.storage.blob.aio import BlobPrefix, ContainerClient

from shared.cosmos.charges import record_charge
from shared.cosmos.deadlines import seconds_left
from shared.cosmos.faults import FAULTS, Operation
from shared.cosmos.retries import (
    ATTEMPT_SECONDS,
    OPERATION_SECONDS,
    REQUEST,
    TRANSIENT_STATUSES,
    StorageUnavailableError,
    UnavailableError,
    jittered_pause,
    retry_after_seconds,
)
from shared.errors import ConflictError

Result = TypeVar("Result")

NO_CONTAINER = "ContainerNotFound"
BEING_DELETED = "ContainerBeingDeleted"
BLOCK_BYTES = 4 * 1024 * 1024
"""Bytes of a file that are sent, and in memory, at a time."""

CLOCK_SKEW = timedelta(minutes=5)
"""A link is valid from a moment before it is made: clocks differ."""

PAGE = 5_000
"""Blobs of one answer to a listing: the most that the service gives."""


class Stored(NamedTuple):
    """What the service says of a blob."""

    name: str
    size: int
    md5: bytes
    """MD5 of the content, computed by the service when it was written; empty if it has none."""
    metadata: Mapping[str, str]
    etag: str
    modified: datetime

    @classmethod
    def of(cls, found: BlobProperties) -> Stored:
        """Read the SDK's form."""
        md5 = bytes(found.content_settings.content_md5 or b"")
        metadata = {name.lower(): value for name, value in (found.metadata or {}).items()}
        return cls(found.name, found.size, md5, metadata, found.etag or "", found.last_modified)


class DamagedUploadError(AzureError):
    """The service stored other bytes than were sent."""


class BlobStore:
    """A container of blobs. It is created with its first blob; until then it is empty.

    Every method raises :class:`StorageUnavailableError` if the service did not answer in time, through all
    retries, and ``HttpResponseError`` if it refuses.
    """

    def __init__(self, container: ContainerClient) -> None:
        self._container = container
        self.requests = 0
        """Requests so far, with those that were repeated."""

    async def create(
        self, name: str, content: bytes, *, metadata: Mapping[str, str] | None = None, cold: bool = False
    ) -> bool:
        """Store a blob, unless there is one of this name. The service compares the MD5 of what it got.

        Returns
        -------
        Whether the blob was stored. False: there is one of this name, maybe by an attempt whose answer was
        lost.
        """
        try:
            await self._upload(name, content, metadata, cold=cold, overwrite=False)
        except ResourceExistsError:
            return False
        return True

    async def replace(
        self, name: str, content: bytes, *, metadata: Mapping[str, str] | None = None, etag: str | None
    ) -> None:
        """Store a blob in place of the one with this etag; in place of any, or none, if the etag is None.

        Raises
        ------
        ConflictError
            The blob was changed or deleted.
        """
        condition: dict[str, Any] = (
            {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        )
        try:
            await self._upload(name, content, metadata, overwrite=True, **condition)
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise ConflictError("a blob changed after it was read") from error

    async def _upload(
        self,
        name: str,
        content: bytes,
        metadata: Mapping[str, str] | None,
        *,
        cold: bool = False,
        **options: Any,
    ) -> None:
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        blob = self._container.get_blob_client(name)

        async def upload() -> Mapping[str, Any]:
            return await blob.upload_blob(
                content,
                metadata=dict(metadata or {}),
                standard_blob_tier=StandardBlobTier.COLD if cold else None,
                content_settings=ContentSettings(content_type="application/json"),
                headers={"Content-MD5": b64encode(md5).decode()},
                **options,
            )

        try:
            answer = await self._patiently("put", upload)
        except ResourceNotFoundError as error:
            if _code(error) != NO_CONTAINER or "etag" in options:
                raise
            await self._create_container()
            answer = await self._patiently("put", upload)
        if bytes(answer["content_md5"] or b"") != md5:
            raise DamagedUploadError("archive storage answered another MD5 than that of the content sent")

    async def upload(self, name: str, file: IO[bytes], *, metadata: Mapping[str, str]) -> None:
        """Store a file as a blob, in place of any of this name: in blocks, of which few are in memory."""
        blob = self._container.get_blob_client(name)
        blocks: list[str] = []
        while block := file.read(BLOCK_BYTES):
            block_id = f"{len(blocks):08d}"
            try:
                await self._patiently("put", partial(blob.stage_block, block_id, block))
            except ResourceNotFoundError as error:
                if _code(error) != NO_CONTAINER:
                    raise
                await self._create_container()
                await self._patiently("put", partial(blob.stage_block, block_id, block))
            blocks.append(block_id)
        commit = partial(blob.commit_block_list, blocks, metadata=dict(metadata))  # type: ignore[arg-type]
        await self._patiently("put", commit)

    async def link(self, name: str, until: datetime) -> str:
        """Return an address with which anybody may read a blob until a time.

        It is signed with the account's key or, for an identity, with a key that the service delegates for
        seven days at most. The latter was not tried: Azurite knows identities only over TLS.
        """
        blob = self._container.get_blob_client(name)
        start = datetime.now(UTC) - CLOCK_SKEW
        key = getattr(blob.credential, "account_key", None)
        delegated: UserDelegationKey | None = None
        if key is None:
            service = self._container._get_blob_service_client()
            get_key = partial(service.get_user_delegation_key, start, until)
            delegated = await self._patiently("get_user_delegation_key", get_key)
        signature = generate_blob_sas(
            account_name=blob.account_name or "",
            container_name=blob.container_name,
            blob_name=name,
            account_key=key,
            user_delegation_key=delegated,
            permission=BlobSasPermissions(read=True),
            start=start,
            expiry=until,
        )
        return f"{blob.url}?{signature}"

    async def _create_container(self) -> None:
        async def create() -> None:
            try:
                await self._container.create_container()
            except ResourceExistsError as error:
                if _code(error) == BEING_DELETED:
                    raise

        await self._patiently("create_container", create)

    async def properties(self, name: str) -> Stored | None:
        """Return what the service says of a blob, None if there is none."""
        blob = self._container.get_blob_client(name)
        try:
            return Stored.of(await self._patiently("head", blob.get_blob_properties))
        except ResourceNotFoundError:
            return None

    async def read(self, name: str) -> tuple[bytes, Stored] | None:
        """Return the content of a blob and what the service says of it, None if there is none."""
        blob = self._container.get_blob_client(name)

        async def download() -> tuple[bytes, Stored]:
            stream = await blob.download_blob(max_concurrency=1)
            return await stream.readall(), Stored.of(stream.properties)

        try:
            return await self._patiently("get", download)
        except ResourceNotFoundError:
            return None

    async def delete(self, name: str) -> bool:
        """Delete a blob; return whether there was one."""
        blob = self._container.get_blob_client(name)
        try:
            await self._patiently("delete", blob.delete_blob)
        except ResourceNotFoundError:
            return False
        return True

    async def find(self, prefix: str) -> AsyncIterator[Stored]:
        """Yield the blobs whose names begin with a prefix, with their metadata, by name."""
        found = self._container.list_blobs(
            name_starts_with=prefix, include=["metadata"], results_per_page=PAGE
        )
        async for page in self._pages(found.by_page):
            for each in page:
                if isinstance(each, BlobProperties):
                    yield Stored.of(each)

    async def folders(self, prefix: str) -> list[str]:
        """Return the names below a prefix up to the next ``/``, which they end with."""
        found = self._container.walk_blobs(name_starts_with=prefix, delimiter="/")
        return [
            each.name
            async for page in self._pages(found.by_page)
            for each in page
            if isinstance(each, BlobPrefix)
        ]

    async def _pages(
        self, by_page: Callable[..., AsyncIterator[Any]]
    ) -> AsyncIterator[Sequence[BlobProperties | BlobPrefix]]:
        """Yield the pages of a listing. A page that fails is asked for again."""
        token: str | None = None
        while True:

            async def one(token: str | None = token) -> tuple[list[Any], str | None]:
                pages = by_page(continuation_token=token)
                async for page in pages:
                    return [each async for each in page], getattr(pages, "continuation_token", None)
                return [], None

            try:
                page, token = await self._patiently("list", one)
            except ResourceNotFoundError as error:
                if _code(error) != NO_CONTAINER:
                    raise
                return
            yield page
            if not token:
                return

    async def _patiently(self, name: str, send: Callable[[], Awaitable[Result]]) -> Result:
        """Send a request, and repeat it while it fails in a way that may pass."""
        clock = asyncio.get_running_loop().time
        began, attempt = clock(), 0
        operation = Operation("archive storage", name)
        while True:
            attempt += 1
            left = min(began + OPERATION_SECONDS - clock(), seconds_left())
            if left <= 0:
                raise StorageUnavailableError(f"{operation}: there was no time left")
            self.requests += 1
            record_charge({})
            try:
                async with asyncio.timeout(min(left, ATTEMPT_SECONDS)):
                    return await send()
            except (AzureError, TimeoutError, OSError, aiohttp.ClientError) as error:
                fault = _fault_of(error)
                if fault is None:
                    raise
                FAULTS.record(operation, fault)
                pause = _requested_pause(error) + jittered_pause(REQUEST, attempt)
                left = min(began + OPERATION_SECONDS - clock(), seconds_left())
                if pause >= left or not REQUEST.allows(attempt + 1):
                    raise StorageUnavailableError(
                        f"{operation}: {fault}, after {attempt} attempts in {clock() - began:.1f} s"
                    ) from error
            await asyncio.sleep(pause)


def _fault_of(error: BaseException) -> str | None:
    """Return why an attempt failed, None if the service's answer stays the same."""
    if isinstance(error, DamagedUploadError | UnavailableError):
        return None
    if isinstance(error, IncompleteReadError):
        return "connection lost"
    if not isinstance(error, HttpResponseError):
        return "no answer" if isinstance(error, TimeoutError) else "no connection"
    if error.status_code in TRANSIENT_STATUSES or _code(error) == BEING_DELETED:
        return str(error.status_code)
    return None


def _code(error: BaseException) -> str | None:
    """Return the service's name for an error, None if it gave none."""
    return getattr(error, "error_code", None)


def _requested_pause(error: BaseException) -> float:
    response = getattr(error, "response", None)
    return retry_after_seconds(response.headers) if response is not None else 0.0
