"""The Cosmos DB trigger: share the leases of a container, read their feeds, deliver, advance."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import azure.functions as func
import orjson
from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey
from azure.functions.cosmosdb import CosmosDBTriggerConverter
from azure.functions.meta import Datum

from local.host.balancing import select_leases_to_take
from local.host.bindings import CosmosTrigger, FunctionSpec
from local.host.connections import Connections
from local.host.errors import HostStartError
from local.host.feed import ChangeFeed, FeedPage, RangeSplitError, Start
from local.host.invoke import Invoker, wait_for
from local.host.lease_store import HeldLease, LeaseLostError, LeaseStore, utc_now
from local.host.leases import Lease, lease_prefix
from local.host.logs import describe, feed_log

TRANSIENT = (AzureError, TimeoutError, OSError)
"""What a database that is away for a moment raises. Reading and renewing go on after it."""

MAX_BACKOFF = 10.0
"""Longest pause in seconds between two attempts to reach a database that does not answer."""

RELEASE_SECONDS = 5.0
"""How long giving back one lease may take at the end; an unreachable database must not hold the exit."""


def decode_documents(documents: list[dict[str, Any]]) -> func.DocumentList:
    """Turn feed items into what a function receives, with the converter of the package itself."""
    datum = Datum(orjson.dumps(documents).decode(), "json")
    decoded = CosmosDBTriggerConverter.decode(datum, trigger_metadata=None)
    return func.DocumentList() if decoded is None else decoded


class CosmosSource:
    """What a trigger monitors and where its leases are: opened and checked once, also for measuring lag."""

    def __init__(self, function: str, trigger: CosmosTrigger, feed: ChangeFeed, store: LeaseStore) -> None:
        self.function = function
        self.trigger = trigger
        self.feed = feed
        self.store = store

    @classmethod
    async def open(
        cls, spec: FunctionSpec, connections: Connections, *, owner: str, process: str, create: bool
    ) -> CosmosSource:
        """Find both containers.

        Raises
        ------
        HostStartError
            One of them is missing or cannot be used; with ``create`` a missing lease container is made if
            the trigger asks for it.
        """
        trigger = spec.trigger
        if not isinstance(trigger, CosmosTrigger):
            raise TypeError(f"{spec.name} has no Cosmos DB trigger")
        asked_by = f"database {trigger.database_attribute!r} of function {spec.name}"
        monitored, properties = await connections.container(
            trigger.connection, trigger.database, trigger.container, asked_by=asked_by
        )
        if create and trigger.create_lease_container:
            await _create_lease_container(spec.name, trigger, connections)
        leases, lease_properties = await connections.container(
            trigger.lease_connection,
            trigger.lease_database,
            trigger.lease_container,
            asked_by=f"lease container of function {spec.name}",
        )
        if lease_properties["partitionKey"]["paths"] != ["/id"]:
            raise HostStartError(
                f"The lease container '{trigger.lease_container}' of function {spec.name} is partitioned by "
                f"{lease_properties['partitionKey']['paths']}; it must be /id."
            )
        client = await connections.client(trigger.connection)
        database = await client.get_database_client(trigger.database).read()
        prefix = lease_prefix(
            trigger.lease_prefix, connections.host(trigger.connection), database["_rid"], properties["_rid"]
        )
        return cls(
            spec.name,
            trigger,
            ChangeFeed(monitored, str(properties["_rid"])),
            LeaseStore(leases, prefix=prefix, owner=owner, process=process),
        )


async def _create_lease_container(function: str, trigger: CosmosTrigger, connections: Connections) -> None:
    client = await connections.client(trigger.lease_connection)
    try:
        await client.get_database_client(trigger.lease_database).create_container_if_not_exists(
            trigger.lease_container, PartitionKey("/id")
        )
    except AzureError as error:
        raise HostStartError(
            f"The lease container '{trigger.lease_container}' of function {function} cannot be created in "
            f"the database '{trigger.lease_database}': {type(error).__name__}: {str(error)[:200]}"
        ) from error


class CosmosListener:
    """Runs one function's Cosmos DB trigger in this instance."""

    def __init__(self, spec: FunctionSpec, source: CosmosSource, invoker: Invoker) -> None:
        self.spec = spec
        self._source = source
        self._invoker = invoker
        self._runners: dict[str, tuple[LeaseRunner, asyncio.Task[None]]] = {}
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._spread = random.Random()
        self._start = start_of(source.trigger, utc_now())

    async def prepare(self) -> None:
        """Create the leases if this is the first instance ever."""
        await self._source.store.initialize(self._source.feed.ranges)

    async def run(self) -> None:
        """Take leases and hand each to a runner, until :meth:`stop`; then wait for the runners."""
        first = True
        try:
            while not self._stop.is_set():
                try:
                    await self._balance(first_round=first)
                    first = False
                except TRANSIENT as error:
                    feed_log.warning("balancing_failed", function=self.spec.name, **describe(error))
                # A little jitter keeps instances that started together from moving in step.
                interval = self._source.trigger.acquire_interval * self._spread.uniform(0.9, 1.1)
                await wait_for(self._wake, interval)
                self._wake.clear()
            await asyncio.gather(*(task for _, task in self._runners.values()), return_exceptions=True)
        finally:
            for _, task in self._runners.values():
                task.cancel()
            await asyncio.gather(*(task for _, task in self._runners.values()), return_exceptions=True)

    def stop(self) -> None:
        """Read no more; what is in flight may end. :meth:`run` returns when it has."""
        self._stop.set()
        self._wake.set()
        for runner, _ in self._runners.values():
            runner.quit.set()

    @property
    def lease_count(self) -> int:
        """Leases that this instance works on."""
        return len(self._runners)

    async def _balance(self, *, first_round: bool) -> None:
        store, trigger = self._source.store, self._source.trigger
        leases = await store.list()
        wanted = select_leases_to_take(
            leases,
            owner=store.owner,
            process=store.process,
            now=utc_now(),
            expiration=trigger.expiration_interval,
            first_round=first_round,
        )
        # Held by this process with no runner: giving it back failed. It is taken up again.
        wanted += [
            lease
            for lease in leases
            if lease.held_by(store.owner, store.process) and lease.id not in self._runners
        ]
        await asyncio.gather(*(self._take(lease) for lease in wanted if lease.id not in self._runners))

    async def _take(self, lease: Lease) -> None:
        try:
            held = await self._source.store.acquire(lease)
        except LeaseLostError:
            return
        if self._stop.is_set():
            await held.release()
            return
        feed_log.info(
            "lease_acquired",
            function=self.spec.name,
            lease=lease.token,
            previous_owner=lease.owner,
            continuation=lease.continuation,
        )
        runner = LeaseRunner(self.spec, self._source, held, self._invoker, self._start)
        task = asyncio.create_task(runner.run(), name=f"{self.spec.name} {lease.token}")
        self._runners[lease.id] = (runner, task)
        task.add_done_callback(lambda done: self._ended(lease, done))

    def _ended(self, lease: Lease, task: asyncio.Task[None]) -> None:
        runner, _ = self._runners.pop(lease.id)
        if runner.divided:
            self._wake.set()  # the parts of a split range are there to be taken
        if not task.cancelled() and (error := task.exception()) is not None:
            feed_log.error(
                "lease_runner_failed", function=self.spec.name, lease=lease.token, **describe(error)
            )


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
            await self._divide()
        finally:
            renewer.cancel()
            await asyncio.gather(renewer, return_exceptions=True)
            if not self._lost and not self.divided:
                await self._release()

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
            await asyncio.sleep(max(trigger.renew_interval - age, trigger.renew_interval / 4))
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

    async def _divide(self) -> None:
        """Replace the lease of a split range by one lease per new range, at the same position."""
        lease = self._held.lease
        for found in await self._source.feed.ranges():
            part = lease.feed_range.intersection(found)
            if part is not None and part != lease.feed_range:
                await self._source.store.create(part, lease.continuation)
                self._log(feed_log.info, "lease_divided", child=part.token)
        await self._source.store.delete(lease)
        self.divided = True

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


def start_of(trigger: CosmosTrigger, now: datetime) -> Start:
    """Return where a lease without a position begins.

    "From now" is a second ago, as in the .NET processor: the header has whole seconds and is exclusive.
    """
    if trigger.start_from_beginning:
        return "Beginning"
    if trigger.start_from_time is not None:
        return trigger.start_from_time
    return now - timedelta(seconds=1)
