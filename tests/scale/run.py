"""One run from beginning to end: start, write, drain, publish what is due, read, compare."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from azure.core.exceptions import AzureError

from bench.freshness import peak_rss
from bench.registered import registered_functions, timers
from local.drain import drain_feeds
from local.host.feed import RangeSplitError
from local.host.lag import LagMeter
from local.interrupt import run_until_signal
from local.processes import ROOT
from local.seed.database import database_writes
from local.seed.writer import SeedSummary, write_traffic
from local.stack import Stack, StackConfig, running_stack
from local.summary import read_charges
from shared.containers import CATALOGUE
from tests.scale.charges import WRITER, in_words
from tests.scale.due import DueRunner
from tests.scale.figures import compare, slim
from tests.scale.logs import HostLogs
from tests.scale.plan import ScalePlan
from tests.scale.report import ScaleReport
from tests.scale.sizes import Sizes

READER = "scale-reader"
CONCURRENT_WRITES = 32
PROGRESS_EVERY = 15.0

COMPARED = (
    "user_interactions", "user_sessions", "abuse_incidents", "users", "daily_metrics", "user_analytics",
    "engagement_summary", "content_popularity", "content_analytics", "incidents_by_content",
    "personality_vectors", "personalities",
)  # fmt: skip
"""Containers whose documents are held in memory: sources and views with an independent computation."""

SOURCES = frozenset(COMPARED[:4])

SHARDS = "FLEET_SHARDS"

Tell = Callable[[str], None]


Documents = dict[str, list[dict[str, Any]]]
"""By container."""


def scale(plan: ScalePlan, data: Path, tell: Tell) -> ScaleReport:
    """Do a run and return its report; a limit that is not kept, or the time being over, is in the report.

    Everything is stopped before the figures are compared, which leaves the processors to the comparison.

    Raises
    ------
    StackError
        The stack cannot start, or a part of it ended by itself.
    asyncio.CancelledError, KeyboardInterrupt
        A signal ended it. Its clean-up has run.
    """
    report, documents = run_until_signal(run_stack(plan, data, tell))
    tell("compare …")
    started = monotonic()
    views = {name: of for name, of in documents.items() if name not in SOURCES}
    sources = {name: documents[name] for name in SOURCES}
    report.comparison = compare(views, sources, sample=plan.sample, seed=plan.seed)
    report.stages["compare"] = monotonic() - started
    return report


async def run_stack(plan: ScalePlan, data: Path, tell: Tell) -> tuple[ScaleReport, Documents]:
    """Start a stack, push the traffic through it, measure it and read what it published.

    Raises
    ------
    StackError
        The stack cannot start, or a part of it ended by itself.
    """
    report = ScaleReport(plan)
    os.environ[SHARDS] = str(plan.shards)  # the hosts inherit it
    started = monotonic()
    async with running_stack(StackConfig(data, plan.instances)) as stack:
        report.stages["start"] = monotonic() - started
        os.environ.update(stack.settings)  # where measuring lag and the operator's commands look for them
        documents = await stack.alongside(_Run(plan, stack, report, tell).run())
    return report, documents


class _Run:
    def __init__(self, plan: ScalePlan, stack: Stack, report: ScaleReport, tell: Tell) -> None:
        self._plan = plan
        self._stack = stack
        self._report = report
        self._tell = tell
        self._deadline = monotonic() + plan.timeout

    async def run(self) -> Documents:
        """Process, measure and read; return the documents that are to be compared."""
        report = self._report
        telling = asyncio.create_task(self._tell_lag())
        try:
            async with asyncio.timeout(self._left()):
                await self._process()
        except TimeoutError:
            report.late = f"not everything was published within {self._plan.timeout:g} s"
            self._tell(report.late)
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
        self._measure_hosts()  # before the whole database is read
        report.charges = await read_charges(self._stack.cosmos["endpoint"], self._stack.connection)
        with self._stage("read"):
            return await self._read()

    async def _process(self) -> None:
        """Write, drain, and run the timers until they write nothing new."""
        report = self._report
        with self._stage("write"):
            report.written = await self._write()
        with self._stage("drain"):
            await self._drain()
        runner = DueRunner(self._stack, list(timers(registered_functions())))
        with self._stage("timers"):
            await self._run_timers(runner)
        with self._stage("fleet views refresh"):
            await self._refresh(runner)

    async def _write(self) -> SeedSummary:
        connection = self._stack.connection
        async with connection.client(WRITER) as client:
            database = client.get_database_client(connection.database)
            traffic = database_writes(self._plan.traffic())
            return await write_traffic(database, traffic, concurrency=CONCURRENT_WRITES)

    async def _drain(self) -> None:
        drained = await drain_feeds(self._stack.connection, timeout=self._left())
        self._report.lag_after_drain = {feed.function: feed.pending for feed in drained.feeds}
        if not drained.drained:
            raise TimeoutError

    async def _run_timers(self, runner: DueRunner) -> None:
        work = self._report.due
        before = await runner.written()
        while not work.settled:  # the plan's timeout ends it: more people need more rounds
            work.rounds += 1
            await runner.run_round(work)
            await self._drain()
            after = await runner.written()
            self._tell(f"timers, round {work.rounds}: wrote {in_words(after - before)}")
            work.settled, before = after == before, after

    async def _refresh(self, runner: DueRunner) -> None:
        work, before = self._report.due, await runner.written()
        work.settled = False
        while not work.settled:
            await runner.refresh(work)
            await self._drain()
            after = await runner.written()
            self._tell(f"fleet views refresh, {work.refreshes[-1]:.0f} s: wrote {in_words(after - before)}")
            work.settled, before = after == before, after

    def _measure_hosts(self) -> None:
        for host in self._stack.hosts:
            self._report.hosts[host["instance"]] = peak_rss(host["pid"])
        logs = HostLogs()
        for path in sorted(self._stack.logs.glob("host-*.log")):
            with path.open(errors="replace") as lines:
                logs.read(lines)
        self._report.logs = logs

    async def _read(self) -> Documents:
        """Measure every document of the database; return those that are compared."""
        found: Documents = {name: [] for name in COMPARED}
        connection = self._stack.connection
        async with connection.client(READER) as client:
            database = client.get_database_client(connection.database)
            for container in CATALOGUE:
                sizes = self._report.sizes.setdefault(container.name, Sizes())
                wanted = found.get(container.name)
                async for document in database.get_container_client(container.name).read_all_items():
                    sizes.add(document)
                    if wanted is not None:
                        wanted.append(slim(document))
        return found

    def _left(self) -> float:
        return max(0.0, self._deadline - monotonic())

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self._tell(f"{name} …")
        started = monotonic()
        try:
            yield
        finally:
            self._report.stages[name] = monotonic() - started

    async def _tell_lag(self) -> None:
        """Tell how much waits, and note the most that ever did."""
        most = self._report.most_pending
        async with LagMeter(ROOT) as meter:
            while True:
                await asyncio.sleep(PROGRESS_EVERY)
                try:
                    feeds = await meter.measure()
                except (AzureError, RangeSplitError) as error:
                    self._tell(f"lag unknown ({type(error).__name__})")
                    continue
                for feed in feeds:
                    most[feed.function] = max(feed.pending, most.get(feed.function, 0))
                waiting = [f"{feed.function} {feed.pending:,}" for feed in feeds if feed.pending]
                self._tell(f"waiting: {', '.join(waiting) or 'nothing'}")
