"""Wait until everything written has been processed, and published by the change feed of ``view_state``.

It looks where every feed ends now, and waits until all leases are beyond that. A lease advances only after
its invocation has ended; so what was written before has been processed then. But processing a feed can write
into the container behind another one (sources → ``view_state`` → views). Hence it does so in rounds, each to
the ends that the feeds have at its beginning:

- If the ends are still the same after a round, nothing was written meanwhile. What the round waited for wrote
  before the round ended, so that was processed too. Nothing is left, but for an invocation that goes on
  although its lease expired, whose batch another host has processed.
- Under traffic, one round for each monitored container: by the n-th round, what was written before the first
  one has been processed n steps downstream. What is written meanwhile is not waited for, so that it ends. A
  document that is written again meanwhile counts as written then: the feed has its latest version only.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from time import monotonic
from typing import Any

from azure.core.exceptions import AzureError

from local.connection import Connection
from local.host.feed import ContainerReplacedError, RangeSplitError
from local.host.lag import FeedEnds, FeedLag, LagMeter
from local.processes import ROOT
from terminal.output import print_json, print_table, say
from terminal.tables import Table, number, whole

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two measurements. The pause grows while nothing changes. It is at least as long as the last
measurement took, up to the longest pause, which leaves the processors to the hosts."""


@dataclass(frozen=True, slots=True)
class DrainResult:
    """The last measurement of a wait."""

    drained: bool
    feeds: tuple[FeedLag, ...]
    seconds: float
    """How long the wait took."""
    error: str | None = None
    """Why the last measurement, or the publication between two waits, failed, if it did."""

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "drained": self.drained,
            "seconds": round(self.seconds, 3),
            "error": self.error,
            "feeds": [
                {
                    "function": feed.function,
                    "container": feed.container,
                    "drained": feed.drained,
                    "pending": feed.pending,
                    "leases": len(feed.leases),
                    "ranges_without_lease": len(feed.uncovered),
                }
                for feed in self.feeds
            ],
        }


async def drain_feeds(connection: Connection, *, timeout: float) -> DrainResult:
    """Wait until every feed is drained and what came of it is published, ``timeout`` seconds at most.

    The last measurement may end after the timeout; there is always at least one.

    Raises
    ------
    local.host.errors.HostStartError
        The function app or its settings are not usable.
    """
    os.environ.update(connection.settings)  # where the function app looks for them
    async with LagMeter(ROOT) as meter:
        return await drain_with(meter, timeout=timeout)


async def drain_with(meter: LagMeter, *, timeout: float) -> DrainResult:
    """Wait as :func:`drain_feeds` does, with a meter that is open."""
    started = monotonic()
    feeds: tuple[FeedLag, ...] = ()
    ends: FeedEnds | None = None
    rounds, pause = 0, SHORTEST_PAUSE
    while True:
        began = monotonic()
        measured: tuple[FeedLag, ...] = ()
        error: str | None = None
        later: FeedEnds | None = None
        try:
            ends = await meter.ends() if ends is None else ends
            measured = tuple(await meter.measure(ends))
            if measured and all(feed.drained for feed in measured):
                if rounds + 1 >= rounds_needed(measured):
                    return DrainResult(True, measured, monotonic() - started)
                later = await meter.ends()
        except AzureError as failure:  # the database may be back at the next measurement
            error = f"{type(failure).__name__}: {failure.message}"
        except (RangeSplitError, ContainerReplacedError) as failure:
            # The next measurement sees the parts of a range, the next command the new container.
            error = f"{type(failure).__name__}: {failure}"
        if later is not None:
            if later == ends:
                return DrainResult(True, measured, monotonic() - started)
            rounds += 1
            feeds, ends, pause = measured, later, SHORTEST_PAUSE
            continue
        if monotonic() - started >= timeout:
            return DrainResult(False, measured or feeds, monotonic() - started, error)
        pause = SHORTEST_PAUSE if _progress(feeds, measured) else min(pause * 1.5, LONGEST_PAUSE)
        feeds = measured or feeds
        await asyncio.sleep(max(pause, min(monotonic() - began, LONGEST_PAUSE)))


def rounds_needed(feeds: tuple[FeedLag, ...]) -> int:
    """Return how many rounds follow everything to its end under traffic: the longest possible chain."""
    return len({(feed.database, feed.container) for feed in feeds})


def _progress(before: tuple[FeedLag, ...], after: tuple[FeedLag, ...]) -> bool:
    return [feed.pending for feed in before] != [feed.pending for feed in after]


def print_lag(result: DrainResult, *, as_json: bool) -> None:
    """Print the lag per feed to standard output."""
    if as_json:
        print_json(result.as_json(), indent=None)
        return
    if result.drained:
        say(f"Every feed is drained and every view published ({result.seconds:.1f} s).")
        return
    if not result.feeds:
        say(f"Nothing was waited for: {result.error}")
        return
    table = Table(
        whole("function"),
        number("pending"),
        number("leases"),
        number("no lease"),
        "state",
        whole("feed of", detail=True),
        title=f"Not settled after {result.seconds:.1f} s; pending documents are an estimate",
    )
    for feed in result.feeds:
        state = "drained" if feed.drained else _why(feed)
        numbers = feed.pending, len(feed.leases), len(feed.uncovered)
        table.add(feed.function, *numbers, state, feed.container)
    print_table(table)
    if result.error:
        say(f"The last attempt failed: {result.error}")


def _why(feed: FeedLag) -> str:
    if feed.uncovered:
        return "no host has started on it"
    if all(not lease.owner for lease in feed.leases):
        return "no host works on it"
    return "behind"
