"""One soak from beginning to end: traffic and disturbances together, then calm, then the comparison."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import NoReturn

from azure.core.exceptions import AzureError

from local.connection import DEFAULT_DATABASE
from local.drain import DrainResult, drain_feeds
from local.host.feed import RangeSplitError
from local.host.lag import LagMeter
from local.processes import ROOT, StackError
from local.settle import publish_due
from local.stack import Stack
from tests.acceptance.fleet import RunningFleet
from tests.soak import checks
from tests.soak.checks import Check
from tests.soak.conductor import Conductor, Deed
from tests.soak.crew import Crew, running_crew
from tests.soak.logs import read_logs
from tests.soak.memory import LAPS
from tests.soak.plan import TRAFFIC, make_plan
from tests.soak.report import SoakReport
from tests.soak.traffic import SoakTraffic
from tests.soak.writer import RefusedError, Writer

SAMPLE_EVERY = 2.0
PROGRESS_EVERY = 10.0
LONGEST_MEASUREMENT = 8.0
DRAIN_SECONDS = 300.0
"""Seconds in which everything has to come right after the disturbances."""

JUDGED_FROM = 480.0
"""Seconds a soak must last for kills in the middle of work to be insisted on."""

SETTLED_SECONDS = 3.0
"""Seconds between the end of a lap and the look at the memory."""


@dataclass(frozen=True, slots=True)
class SoakConfig:
    """What to run."""

    data: Path
    seconds: float
    seed: int
    hosts: int
    users: int
    per_second: float


async def run_soak(config: SoakConfig, tell: Callable[[str], None]) -> SoakReport:
    """Run a soak and return its report; what fails in it is in the report.

    Raises
    ------
    StackError
        The stack cannot start.
    """
    report = SoakReport(config.seed, config.seconds)
    async with running_crew(config.data, config.hosts, config.seed) as (stack, crew):
        os.environ.update(stack.settings)  # where measuring lag looks for them
        soak = _Soak(config, stack, crew, report, tell)
        try:
            await soak.run()
        except* (StackError, RefusedError) as failures:
            report.checks.append(
                checks.verdict("the soak ran to its end", [str(one) for one in failures.exceptions])
            )
        report.series, report.starts = crew.series, crew.summary()
    # After the hosts have ended: what they log on the way out counts as well.
    report.logs = read_logs(config.data / "logs", frozen=crew.frozen_logs, killed=crew.killed)
    report.checks += [checks.check_ends(crew), checks.check_memory(crew.series, report.lap_writes)]
    report.checks += [checks.check_lost(report.logs), checks.check_logs(report.logs)]
    if config.seconds >= JUDGED_FROM:  # in a short one, no kill may hit a host at work
        report.checks.append(checks.check_cut_short(report.logs))
    return report


class _Soak:
    def __init__(
        self, config: SoakConfig, stack: Stack, crew: Crew, report: SoakReport, tell: Callable[[str], None]
    ) -> None:
        self._config = config
        self._stack = stack
        self._crew = crew
        self._report = report
        self._tell = tell

    async def run(self) -> None:
        async with self._stack.connection.client(TRAFFIC) as client:
            fleet = RunningFleet(self._stack, client.get_database_client(DEFAULT_DATABASE))
            async with asyncio.TaskGroup() as group:
                watching = [group.create_task(self._sample()), group.create_task(self._progress())]
                traffic, writer = await self._disturb(fleet)
                await self._settle(fleet)
                await self._repeat(traffic, writer)
                await self._compare(fleet)
                for task in watching:
                    task.cancel()

    async def _disturb(self, fleet: RunningFleet) -> tuple[SoakTraffic, Writer]:
        config, report = self._config, self._report
        traffic = SoakTraffic(config.users, config.seed, until=round(time() * 1000))
        writer = Writer(fleet.database, traffic, report.book, config.seed)
        conductor = Conductor(fleet, self._crew, seed=config.seed, tell=self._told)
        report.deeds = conductor.deeds
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run(config.seconds, config.per_second))
            group.create_task(conductor.run(make_plan(config.seed, config.seconds), config.seconds))
        self._crew.measuring = False
        await conductor.calm()
        report.struck = conductor.struck
        report.checks.append(checks.check_deeds(conductor))
        return traffic, writer

    async def _settle(self, fleet: RunningFleet) -> None:
        """Count everything that was written, and what hosts lost of it."""
        report = self._report
        self._tell("traffic and disturbances are over; waiting until every feed is drained and published")
        report.drained = drained = await drain_feeds(self._stack.connection, timeout=DRAIN_SECONDS)
        report.checks.append(_drained("every feed is drained and published", drained))
        report.checks.append(await checks.check_repair(fleet))
        report.checks.append(await checks.check_leases(self._crew))

    async def _repeat(self, traffic: SoakTraffic, writer: Writer) -> None:
        """Do the same work again and again, and note the memory after each time."""
        for number in range(LAPS):
            lap = traffic.lap(number)
            self._report.lap_writes = len(lap)
            await writer.write(lap)
            await drain_feeds(self._stack.connection, timeout=DRAIN_SECONDS)
            await asyncio.sleep(SETTLED_SECONDS)
            self._crew.end_lap()
            self._tell(f"lap {number + 1} of {LAPS} is over")

    async def _compare(self, fleet: RunningFleet) -> None:
        """Publish what a timer publishes, and compare."""
        async with asyncio.timeout(DRAIN_SECONDS):
            await publish_due(self._stack.connection)
        drained = await drain_feeds(self._stack.connection, timeout=DRAIN_SECONDS)
        self._report.checks.append(_drained("what refreshing wrote is drained too", drained))
        self._tell("comparing")
        self._report.checks += await checks.check_data(fleet, self._report.book)
        self._report.checks.append(await checks.check_audit(fleet))
        self._report.checks.append(await checks.check_rebuild(fleet))
        await drain_feeds(self._stack.connection, timeout=DRAIN_SECONDS)
        self._report.checks.append(await checks.check_views(fleet, "after a rebuild"))
        self._report.checks.append(await checks.check_health(fleet))  # last: it writes

    async def _sample(self) -> NoReturn:
        while True:
            self._crew.sample()
            await asyncio.sleep(SAMPLE_EVERY)

    async def _progress(self) -> NoReturn:
        async with LagMeter(ROOT) as meter:
            while True:
                await asyncio.sleep(PROGRESS_EVERY)
                lag = await measured(meter)
                report = self._report
                self._tell(
                    f"{report.book.writes:,} writes of {len(report.book.stands):,} documents,"
                    f" {len(report.deeds)} actions, lag {lag}"
                )

    def _told(self, deed: Deed) -> None:
        self._tell(deed.what)


def _drained(what: str, result: DrainResult) -> Check:
    return Check(what, result.drained, f"after {result.seconds:.1f} s" if result.drained else str(result))


async def measured(meter: LagMeter) -> str:
    """Return the lag of all feeds in words: changes that wait, by function."""
    try:
        feeds = await asyncio.wait_for(meter.measure(), LONGEST_MEASUREMENT)
    except (AzureError, RangeSplitError, TimeoutError) as error:
        return f"unknown ({type(error).__name__})"
    return ", ".join(f"{feed.function} {feed.pending}" for feed in feeds)
