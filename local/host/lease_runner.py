"""The work on one held lease: read its feed, deliver, advance, renew, and give it back."""

from __future__ import annotations

import asyncio
from typing import Any

import azure.functions as func
import orjson
from azure.core.exceptions import AzureError
from azure.functions.cosmosdb import CosmosDBTriggerConverter
from azure.functions.meta import Datum

from local.host.bindings import FunctionSpec
from local.host.cosmos_source import CosmosSource
from local.host.feed import FeedPage, RangeSplitError, Start
from local.host.invoke import Invoker, wait_for
from local.host.lease_store import HeldLease, LeaseLostError, utc_now
from local.host.leases import covers
from local.host.logs import describe, feed_log

TRANSIENT = (AzureError, TimeoutError, OSError)
"""What a database that is away for a moment raises. Reading and renewing go on after it."""

MAX_BACKOFF = 10.0
"""Longest pause in seconds between two attempts to reach a database that does not answer."""

RELEASE_SECONDS = 5.0
"""How long giving back one lease may take at the end; an unreachable database must not hold the exit."""


async def _wait_or_cancel(task: asyncio.Task[None], seconds: float) -> None:
    """Let a task end what it does: a request that is cut off leaves its outcome and its connection open."""
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def decode_documents(documents: list[dict[str, Any]]) -> func.DocumentList:
    """Turn feed items into what a function receives, with the converter of the package itself."""
    datum = Datum(orjson.dumps(documents).decode(), "json")
    decoded = CosmosDBTriggerConverter.decode(datum, trigger_metadata=None)
    return func.DocumentList() if decoded is None else decoded


class LeaseRunner:
    """Reads the feed of one held lease, batch after batch."""

    def __init__(
        self, spec: FunctionSpec, source: CosmosSource, held: HeldLease, invoker: Invoker, start: Start
    ) -> None:
        self._spec = spec
        self._source = source
        self._held = held
        self._invoker = invoker
        self._lost = False
        self._ended = asyncio.Event()
        self.quit = asyncio.Event()
        """Set to end the runner: the host stops, or the lease was lost."""
        self.divided = False
        """Whether the range was split and the lease replaced by others."""
        self._start = start

    async def run(self) -> None:
        """Work until :attr:`quit` is set or the lease is lost; then give the lease back."""
        renewer = asyncio.create_task(self._renew_regularly())
        try:
            await self._pump()
        except LeaseLostError as error:
            self._report_lost(str(error))
        except RangeSplitError:
            await self._divide_if_held()
        finally:
            self._ended.set()
            try:
                await _wait_or_cancel(renewer, RELEASE_SECONDS)
            finally:
                if not self._lost and not self.divided:
                    await self._release_even_if_cancelled()

    async def _pump(self) -> None:
        position = self._held.lease.continuation
        failures = 0
        while not self.quit.is_set():
            try:
                page = await self._source.feed.read(
                    self._held.lease.feed_range, position, self._start, self._source.trigger.max_items
                )
            except TRANSIENT as error:
                failures += 1
                self._log(feed_log.warning, "feed_read_failed", attempt=failures, **describe(error))
                await wait_for(self.quit, min(MAX_BACKOFF, 0.1 * 2 ** min(failures, 10)))
                continue
            failures = 0
            if page.documents:
                if not await self._deliver(page) or not await self._advance(page.continuation):
                    return
            else:
                if self._held.lease.continuation is None:
                    # Saved at once, so that a restart does not skip what is written from here on.
                    await self._advance(page.continuation)
                await wait_for(self.quit, self._source.trigger.poll_delay)
            position = page.continuation

    async def _deliver(self, page: FeedPage) -> bool:
        return await self._invoker.deliver(
            self._spec,
            lambda: decode_documents(page.documents),
            abandon=self.quit,
            fields={
                "lease": self._held.lease.token,
                "documents": len(page.documents),
                "lag": page.pending_after,
            },
        )

    async def _advance(self, continuation: str) -> bool:
        """Move the lease on; False if the database stayed away until the end."""
        failures = 0
        while True:
            try:
                await self._held.checkpoint(continuation)
                return True
            except TRANSIENT as error:
                failures += 1
                self._log(feed_log.warning, "checkpoint_failed", attempt=failures, **describe(error))
            if await wait_for(self.quit, min(MAX_BACKOFF, 0.1 * 2 ** min(failures, 10))):
                return False

    async def _renew_regularly(self) -> None:
        trigger = self._source.trigger
        while not self._lost:
            age = (utc_now() - self._held.lease.timestamp).total_seconds()
            if await wait_for(self._ended, max(trigger.renew_interval - age, trigger.renew_interval / 4)):
                return
            if (utc_now() - self._held.lease.timestamp).total_seconds() < trigger.renew_interval / 2:
                continue  # a checkpoint has just renewed it
            try:
                await self._held.renew()
            except LeaseLostError as error:
                self._report_lost(str(error))
            except TRANSIENT as error:
                age = (utc_now() - self._held.lease.timestamp).total_seconds()
                self._log(feed_log.warning, "lease_renewal_failed", age_s=round(age, 1), **describe(error))
                if age > trigger.expiration_interval:
                    self._report_lost("it could not be renewed before it expired")

    async def _divide_if_held(self) -> None:
        """Divide the lease, unless somebody else has it by now and divides it."""
        try:
            await self._divide()
        except LeaseLostError as error:
            self._report_lost(str(error))
        except TRANSIENT as error:
            # Given back as it is; whoever takes it next finds the split as well and ends this.
            self._log(feed_log.warning, "lease_division_failed", **describe(error))

    async def _divide(self) -> None:
        """Replace the lease of a split range by one lease per new range, at the same position."""
        lease = self._held.lease
        overlaps = (lease.feed_range.intersection(found) for found in await self._source.feed.ranges())
        parts = [part for part in overlaps if part is not None]
        if len(parts) < 2 or not covers(parts, lease.feed_range):
            self._log(feed_log.warning, "lease_not_divided", parts=[part.token for part in parts])
            return
        # A ghost must not bring back, at an old position, leases that have been advanced and divided since.
        await self._held.renew()
        for part in parts:
            await self._source.store.create(part, lease.continuation)
            self._log(feed_log.info, "lease_divided", child=part.token)
        await self._source.store.delete(lease)
        self.divided = True

    async def _release_even_if_cancelled(self) -> None:
        """Give the lease back to the end: a cancellation must not leave it to expire. Bounded in time."""
        release = asyncio.ensure_future(self._release())
        try:
            await asyncio.shield(release)
        except asyncio.CancelledError:
            await release
            raise

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._held.release()
            self._log(feed_log.info, "lease_released", continuation=self._held.lease.continuation)
        except LeaseLostError as error:
            self._report_lost(str(error))
        except TRANSIENT as error:
            self._log(feed_log.warning, "lease_release_failed", **describe(error))

    def _report_lost(self, reason: str) -> None:
        if not self._lost:
            self._lost = True
            self._log(feed_log.warning, "lease_lost", reason=reason)
        self.quit.set()

    def _log(self, method: Any, event: str, **fields: Any) -> None:
        method(event, function=self._spec.name, lease=self._held.lease.token, **fields)
