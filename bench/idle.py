"""What the fleet costs without traffic: each timer once after traffic and once without news, and the polling.

A real host runs the timers on request, so that what they make its change feed triggers do is included. The
server books request units by client: the fleet's calls apart from the host's own, which read the feeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.freshness import PATIENCE_SECONDS
from bench.registered import feeds, longest_pause, next_due, registered_functions, runs_per_day, timers
from bench.stack_figures import IdleFigures, Polling, TimerRun
from local.admin import run_timer
from local.drain import drain_feeds
from local.host.bindings import CosmosTrigger, TimerTrigger
from local.host.lag import FeedLag
from local.processes import StackError
from local.settle import USER_AGENT as SETTLE
from local.settle import publish_due
from local.stack import Stack
from local.summary import read_charges

FLEET = frozenset({"vimarsh-fleet", "vimarsh-fleet-audit", SETTLE, f"{SETTLE}-audit"})
HOST = "vimarsh-host"
LEASES = "change_feed_leases"

EVERYTHING = "everything due"
"""All that the hourly timer does within a day, at once. It does most of it once in each half day."""
HALF_DAYS = 2.0

CLEARANCE = 45.0
"""Seconds in which no timer may come due by itself while one is measured."""
BEHIND = 5.0
"""Seconds after a timer came due until it has run."""

SECONDS_PER_HOUR = 3600

Account = dict[str, Any]
Work = Callable[[], Awaitable[object]]


async def measure_idle(stack: Stack, changes: int, window: float, silence: float) -> IdleFigures:
    """Measure on a stack whose feeds are drained and whose timers have not run yet.

    Parameters
    ----------
    changes
        How many changes the stack has processed.
    window
        Seconds over which idle polling is measured.
    silence
        Seconds between the runs after traffic and those without news. Timers look again at what was written
        in the last minutes, so shortly after traffic a run without news costs more than in an idle hour.

    Raises
    ------
    StackError
        A timer fails, or the feeds do not drain.
    """
    functions = registered_functions()
    meter = _Meter(stack, list(timers(functions).values()))

    def requested(name: str) -> Work:
        return lambda: run_timer(stack, name)

    works = {name: (trigger.expression, runs_per_day(trigger.schedule), requested(name))
             for name, trigger in timers(functions).items()}  # fmt: skip
    works[EVERYTHING] = ("in each half day", HALF_DAYS, lambda: publish_due(stack.connection))
    after = {name: await meter.units(work) for name, (_, _, work) in works.items()}
    await asyncio.sleep(silence)
    for _, _, work in works.values():  # moves the timers' positions beyond the traffic
        await meter.units(work)
    idle = {name: await meter.units(work) for name, (_, _, work) in works.items()}
    runs = [
        TimerRun(name, schedule, per_day, after[name], idle[name])
        for name, (schedule, per_day, _) in works.items()
    ]
    return IdleFigures(changes, silence, runs, await meter.polling(feeds(functions), window))


class _Meter:
    def __init__(self, stack: Stack, schedules: Sequence[TimerTrigger]) -> None:
        self._stack = stack
        self._schedules = schedules

    async def units(self, work: Work) -> float:
        """Return the request units of some work and of all that follows from it."""
        await self._quiet(CLEARANCE)
        before = await self._spent()
        await work()
        await self._drained()
        return await self._spent() - before

    async def polling(self, triggers: Mapping[str, CosmosTrigger], window: float) -> list[Polling]:
        """Return what each trigger costs while nothing changes."""
        await self._quiet(window + BEHIND)
        before = await self._accounts()
        await asyncio.sleep(window)
        after = await self._accounts()
        renewal, look = (unit_cost(before, after, LEASES, operation) for operation in ("replace", "query"))
        found = []
        for feed in await self._drained():
            trigger = triggers[feed.function]
            ranges = len(feed.leases)
            found.append(
                Polling(
                    feed.function,
                    ranges,
                    polls_per_hour=ranges * SECONDS_PER_HOUR / trigger.poll_delay,
                    units_per_poll=unit_cost(before, after, trigger.container, "change_feed"),
                    leases_per_hour=ranges * SECONDS_PER_HOUR / trigger.renew_interval * renewal
                    + SECONDS_PER_HOUR / trigger.acquire_interval * look,
                )
            )
        return found

    async def _quiet(self, seconds: float) -> None:
        """Wait until no timer comes due for some time; of those that leave so much time between two runs."""
        rare = [timer for timer in self._schedules if longest_pause(timer.schedule) > 2 * seconds]
        while (due := next_due(rare, datetime.now(UTC))) < seconds:  # noqa: ASYNC110  the host's clock
            await asyncio.sleep(due + BEHIND)
        await self._drained()

    async def _drained(self) -> tuple[FeedLag, ...]:
        result = await drain_feeds(self._stack.connection, timeout=PATIENCE_SECONDS)
        if not result.drained:
            raise StackError(f"the feeds did not drain within {PATIENCE_SECONDS:g} s")
        return result.feeds

    async def _accounts(self) -> list[Account]:
        return await read_charges(self._stack.cosmos["endpoint"], self._stack.connection)

    async def _spent(self) -> float:
        return float(sum(a["request_units"] for a in await self._accounts() if a["client"] in FLEET))


def unit_cost(before: Sequence[Account], after: Sequence[Account], container: str, operation: str) -> float:
    """Return the request units of one request of the host between two states of the books, 0 without any."""

    key = (HOST, container, operation)

    def total(accounts: Sequence[Account], figure: str) -> float:
        own = (a for a in accounts if (a["client"], a["container"], a["operation"]) == key)
        return float(sum(account[figure] for account in own))

    requests = total(after, "requests") - total(before, "requests")
    return (total(after, "request_units") - total(before, "request_units")) / requests if requests else 0.0
