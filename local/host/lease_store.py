"""Leases in their container: created once, taken, renewed, advanced and given back under etags."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from local.host.feed import forget_session
from local.host.leases import FeedRange, Lease, covers, range_id
from local.host.logs import feed_log

LOCK_SECONDS = 5
"""``ttl`` of the initialization lock. The .NET processor has 30, for which nothing would start if the first
instance were killed during its first second. Shorter is safe: to create the leases twice changes nothing."""
CONFLICT_RETRIES = 5
"""How often a write is repeated after another writer came between, as in the .NET processor."""


class LeaseLostError(Exception):
    """The lease belongs to somebody else by now, or is gone; nothing may be written to it."""


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


RangeById = Callable[[str], Awaitable[FeedRange | None]]
"""Finds the range of a partition key range id; None if there never was such an id."""


class LeaseStore:
    """The lease documents of one processor (one prefix) in one container.

    ``range_by_id`` reads leases older than feed ranges: they name a partition key range by its id. Like the
    .NET processor, an owner adds the range to the lease that it takes.
    """

    def __init__(
        self,
        container: ContainerProxy,
        *,
        prefix: str,
        owner: str,
        process: str,
        range_by_id: RangeById | None = None,
    ) -> None:
        self._container = container
        self._range_by_id = range_by_id
        self.prefix = prefix
        self.owner = owner
        self.process = process

    @property
    def _lease_prefix(self) -> str:
        return f"{self.prefix}.."

    async def initialize(self, ranges: Callable[[], Any]) -> None:
        """Create one lease per feed range, once for all instances.

        ``ranges`` is called (and awaited) by the instance that wins the lock only. The marker ``.info`` says
        that all leases exist; ``.lock`` keeps the other instances waiting until then.
        """
        while not await self._exists(f"{self.prefix}.info"):
            lock = await self._try_lock()
            if lock is None:
                await asyncio.sleep(0.2)
                continue
            try:
                found = [lease.feed_range for lease in await self.list()]
                for feed_range in await ranges():
                    if not covers(found, feed_range):
                        await self.create(feed_range, None)
                await self._create_if_absent({"id": f"{self.prefix}.info"})
            finally:
                await self._delete(f"{self.prefix}.lock", lock)

    async def list(self) -> list[Lease]:
        """Read all leases of this processor."""
        items = self._container.query_items(
            "SELECT * FROM c WHERE STARTSWITH(c.id, @prefix)",
            parameters=[{"name": "@prefix", "value": self._lease_prefix}],
        )
        leases = []
        try:
            async for item in items:
                try:
                    leases.append(await self._lease(item))
                except ValueError as error:
                    feed_log.error("lease_unreadable", lease=item.get("id"), error=str(error))
        except CosmosResourceNotFoundError as error:
            forget_session(self._container, error)
            raise
        return leases

    async def create(self, feed_range: FeedRange, continuation: str | None) -> None:
        """Create the free lease of a range, unless it exists."""
        lease = Lease(
            id=f"{self._lease_prefix}{feed_range.token}",
            token=feed_range.token,
            feed_range=feed_range,
            continuation=continuation,
        )
        await self._create_if_absent(lease.to_document())

    async def acquire(self, lease: Lease) -> HeldLease:
        """Take a lease that was seen free, or is to be stolen.

        Raises
        ------
        LeaseLostError
            Another instance took it first.
        """
        seen = lease.owner, lease.process
        for _ in range(CONFLICT_RETRIES):
            try:
                written = await self.replace(lease.taken_by(self.owner, self.process, utc_now()))
                return HeldLease(self, written)
            except CosmosAccessConditionFailedError:
                current = await self.read(lease.id)
                # Its owner may have renewed or advanced it meanwhile: take that state, if it is still theirs.
                if current is None or (current.owner, current.process) != seen:
                    break
                lease = current
        raise LeaseLostError(f"the lease {lease.token} was taken by another instance first")

    async def read(self, lease_id: str) -> Lease | None:
        """Read one lease, or None if it is gone."""
        try:
            return await self._lease(await self._container.read_item(lease_id, lease_id))
        except CosmosResourceNotFoundError:
            return None

    async def replace(self, lease: Lease) -> Lease:
        """Write a lease over the version it came from; the SDK's precondition error if that changed."""
        written = await self._container.replace_item(
            lease.id, lease.to_document(), etag=lease.etag, match_condition=MatchConditions.IfNotModified
        )
        return Lease.from_document(written)

    async def _lease(self, document: Mapping[str, Any]) -> Lease:
        number = range_id(document)
        missing = None if number is None or self._range_by_id is None else await self._range_by_id(number)
        return Lease.from_document(document, missing)

    async def delete(self, lease: Lease) -> None:
        """Delete a lease whose range was split."""
        await self._delete(lease.id, None)

    async def _exists(self, item_id: str) -> bool:
        try:
            await self._container.read_item(item_id, item_id)
        except CosmosResourceNotFoundError:
            return False
        return True

    async def _try_lock(self) -> str | None:
        """Create the lock and return its etag; None while another instance has it.

        Where the container has no time to live, nothing removes the lock of an instance that died: a lock
        past its ``ttl`` is therefore taken away here.
        """
        lock_id = f"{self.prefix}.lock"
        try:
            created = await self._container.create_item({"id": lock_id, "ttl": LOCK_SECONDS})
            return str(created["_etag"])
        except CosmosResourceExistsError:
            pass
        try:
            found = await self._container.read_item(lock_id, lock_id)
        except CosmosResourceNotFoundError:
            return None
        if utc_now().timestamp() > int(found["_ts"]) + int(found.get("ttl", LOCK_SECONDS)):
            await self._delete(lock_id, str(found["_etag"]))
        return None

    async def _create_if_absent(self, document: dict[str, Any]) -> None:
        try:
            await self._container.create_item(document)
        except CosmosResourceExistsError:
            feed_log.debug("lease_document_exists", document=document["id"])

    async def _delete(self, item_id: str, etag: str | None) -> None:
        condition: dict[str, Any] = (
            {} if etag is None else {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        )
        try:
            await self._container.delete_item(item_id, item_id, **condition)
        except (CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            feed_log.debug("lease_document_gone", document=item_id)


class HeldLease:
    """A lease this process holds. Its writes are serialized and guarded by the etag of the last one."""

    def __init__(self, store: LeaseStore, lease: Lease) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self.lease = lease

    async def renew(self) -> None:
        """Write the current time into the lease; :class:`LeaseLostError` if it is no longer held."""
        await self._update(lambda lease: replace(lease, timestamp=utc_now()))

    async def checkpoint(self, continuation: str) -> None:
        """Advance the lease; :class:`LeaseLostError` if it is no longer held."""
        await self._update(lambda lease: replace(lease, continuation=continuation, timestamp=utc_now()))

    async def release(self) -> None:
        """Give the lease back, so that any instance may take it at once."""
        await self._update(lambda lease: replace(lease, owner=None, timestamp=utc_now()))

    async def _update(self, change: Callable[[Lease], Lease]) -> None:
        async with self._lock:
            for _ in range(CONFLICT_RETRIES):
                try:
                    self.lease = await self._store.replace(change(self.lease))
                    return
                except CosmosResourceNotFoundError:
                    raise LeaseLostError(f"the lease {self.lease.token} was deleted") from None
                except CosmosAccessConditionFailedError:
                    # The own write of a request that was answered too late, or another owner's.
                    current = await self._store.read(self.lease.id)
                if current is None or not current.held_by(self._store.owner, self._store.process):
                    taker = "nobody" if current is None else current.owner
                    raise LeaseLostError(f"the lease {self.lease.token} now belongs to {taker}")
                self.lease = current
            raise LeaseLostError(f"the lease {self.lease.token} changed with every attempt to write it")
