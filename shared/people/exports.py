"""Exports as blobs, with links that expire. They are deleted when their time is over."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import ErasureError
from shared.ledger.people_register import PeopleRegister
from shared.people.export import Exporter
from shared.people.requests import Kind, Request, Requests
from shared.privacy.keyring import KeyRing
from shared.storage.blobs import BlobStore
from shared.units import iso

CONTAINER = "exports"

LIFETIME = timedelta(days=7)
"""How long an export exists. A link that is signed for an identity lives no longer either."""

LINK_LIFETIME = timedelta(hours=24)
"""How long a link works. Another one may be made as long as the export exists."""

EXPIRES = "expires"
"""Metadata of a blob: when it is to be deleted."""

_log = structlog.get_logger(__name__)


class Exports:
    """The exports in Blob Storage: ``{keyed hash of the person}/{request}.zip``."""

    name = "exports"

    def __init__(
        self,
        blobs: BlobStore,
        exporter: Exporter,
        requests: Requests,
        ring: KeyRing,
        register: PeopleRegister,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._blobs = blobs
        self._exporter = exporter
        self._requests = requests
        self._ring = ring
        self._register = register
        self._clock = clock

    async def make(self, request: Request) -> Request:
        """Write the export that a request asks for, and end the request. It may be repeated.

        A person who is erased meanwhile has an export of what is left: the erasure may have looked for
        exports before this one was there.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, StorageUnavailableError
            A service did not answer.
        """
        if request.user_id is None:
            return request
        name = f"{request.person}/{request.id}.zip"
        expires = iso(self._clock.now() + LIFETIME)
        while True:
            was_erased = await self._register.is_erased(request.user_id)
            with tempfile.TemporaryFile() as file:
                report = await self._exporter.write(request.user_id, file)
                file.seek(0)
                await self._blobs.upload(name, file, metadata={EXPIRES: expires})
            if was_erased or not await self._register.is_erased(request.user_id):
                break
            await self._blobs.delete(name)
        ended = self._requests.ended(replace(request.counted(report.documents), target=name))
        _log.info("person_exported", request=request.id, documents=report.total)
        return await self._requests.update(request.id, lambda _: ended)

    async def link(self, request: Request) -> str:
        """Return an address from which the export can be read for :data:`LINK_LIFETIME`.

        Raises
        ------
        ErasureError
            The export is not made yet, or was deleted.
        """
        if request.target is None or await self._blobs.properties(request.target) is None:
            raise ErasureError(f"The export {request.id} does not exist: it is not made yet, or was deleted.")
        return await self._blobs.link(request.target, self._clock.now() + LINK_LIFETIME)

    async def delete_expired(self) -> int:
        """Delete the exports whose time is over; return their number."""
        now, deleted = self._clock.now(), 0
        async for blob in self._blobs.find(""):
            expires = blob.metadata.get(EXPIRES)
            if expires is None or datetime.fromisoformat(expires) <= now:
                deleted += await self._blobs.delete(blob.name)
        if deleted:
            _log.info("exports_deleted", exports=deleted)
        return deleted

    async def find(self, user_id: str) -> int:
        """Return how many exports there are of a person."""
        return len([None for name in self._prefixes(user_id) async for _ in self._blobs.find(name)])

    async def erase(self, user_id: str) -> int:
        """Delete all exports of a person; return how many there were. End requests for others.

        A request for an export has the id of the person as long as it runs.
        """
        people = {hashed.name for hashed in self._ring.candidates(user_id)}
        async for request in self._requests.running():
            if request.kind is Kind.EXPORT and request.person in people:
                await self._requests.update(request.id, self._requests.ended)
        names = [blob.name for name in self._prefixes(user_id) async for blob in self._blobs.find(name)]
        return sum([await self._blobs.delete(name) for name in names])

    def _prefixes(self, user_id: str) -> list[str]:
        return [f"{hashed.name}/" for hashed in self._ring.candidates(user_id)]
