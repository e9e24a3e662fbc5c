"""The Cosmos DB trigger: share the leases of a container with the other instances, one runner for each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from local.host.balancing import select_leases_to_take
from local.host.bindings import FunctionSpec
from local.host.cosmos_source import CosmosSource, start_of
from local.host.errors import HostStartError
from local.host.feed import ContainerReplacedError, gather_all
from local.host.invoke import Invoker, wait_for
from local.host.lease_runner import TRANSIENT, LeaseRunner
from local.host.lease_store import LeaseLostError, utc_now
from local.host.leases import Lease
from local.host.logs import describe, feed_log


class CosmosListener:
    """Runs one function's Cosmos DB trigger in this instance.

    Parameters
    ----------
    reopen
        Opens the source again, when its container was deleted and created again.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        source: CosmosSource,
        invoker: Invoker,
        reopen: Callable[[], Awaitable[CosmosSource]],
    ) -> None:
        self.spec = spec
        self._source = source
        self._reopen = reopen
        self._replaced = False
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
                    if self._replaced or not await self._same_container():
                        await self._follow()
                        first = True
                    await self._balance(first_round=first)
                    first = False
                except (*TRANSIENT, HostStartError) as error:
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

    async def _same_container(self) -> bool:
        """Whether the container is the one that was opened. Where a runner reads it, the runner finds out."""
        if not self._runners:
            try:
                await self._source.feed.check()
            except ContainerReplacedError:
                return False
        return True

    async def _follow(self) -> None:
        """Change to the container that has the name now: it has leases of its own, and a beginning."""
        for runner, _ in self._runners.values():
            runner.quit.set()
        await asyncio.gather(*(task for _, task in self._runners.values()), return_exceptions=True)
        source = await self._reopen()
        await source.store.initialize(source.feed.ranges)
        self._source, self._replaced = source, False
        feed_log.warning(
            "container_replaced", function=self.spec.name, container=self._source.trigger.container
        )

    async def _balance(self, *, first_round: bool) -> None:
        store, trigger = self._source.store, self._source.trigger
        leases = await store.list()
        if not leases:  # their container was deleted and created again
            await store.initialize(self._source.feed.ranges)
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
        await gather_all(self._take(lease) for lease in wanted if lease.id not in self._runners)

    async def _take(self, lease: Lease) -> None:
        acquiring = asyncio.ensure_future(self._source.store.acquire(lease))
        try:
            held = await asyncio.shield(acquiring)
        except LeaseLostError:
            return
        except asyncio.CancelledError:
            # The request is under way; what it brings is given back, or it would stay taken until it expires.
            with suppress(LeaseLostError, *TRANSIENT):
                await (await acquiring).release()
            raise
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
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ContainerReplacedError):
            self._replaced = True
            self._wake.set()
        elif error is not None:
            feed_log.error(
                "lease_runner_failed", function=self.spec.name, lease=lease.token, **describe(error)
            )
