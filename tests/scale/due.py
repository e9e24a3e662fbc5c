"""Run what is due by a timer over and over: in the hosts by their admin calls, then as an operator does."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from bench.freshness import peak_rss
from local.admin import TimerFailedError, run_timer
from local.processes import ROOT
from local.stack import Stack
from local.summary import read_charges
from tests.scale.charges import news

LOOK_EVERY = 0.5
REFRESH = ("-m", "ops", "views", "refresh", "--json")


@dataclass(slots=True)
class DueWork:
    """What running the timers took."""

    rounds: int = 0
    """Rounds over all timers, the last of which wrote nothing new."""
    settled: bool = False
    refreshes: list[float] = field(default_factory=list)
    """Seconds of each ``fleet views refresh`` after them."""
    refresh_peak_bytes: int = 0
    """Largest resident memory of these commands."""
    failures: list[str] = field(default_factory=list)
    """Timers and commands that failed, each with why."""

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "rounds": self.rounds,
            "settled": self.settled,
            "refresh_seconds": [round(seconds, 1) for seconds in self.refreshes],
            "refresh_peak_bytes": self.refresh_peak_bytes,
            "failures": self.failures,
        }


class DueRunner:
    """Runs the timers of a stack."""

    def __init__(self, stack: Stack, timers: list[str]) -> None:
        self._stack = stack
        self._timers = timers

    async def run_round(self, work: DueWork) -> None:
        """Run each timer once, one after the other, on the hosts in turn.

        Raises
        ------
        StackError
            A host refuses.
        """
        hosts = len(self._stack.hosts)
        for position, timer in enumerate(self._timers):
            try:
                await run_timer(self._stack, timer, host=(position + work.rounds) % hosts)
            except TimerFailedError as error:
                work.failures.append(str(error))

    async def refresh(self, work: DueWork) -> None:
        """Run ``fleet views refresh`` as a process of its own."""
        started = monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *REFRESH,
            cwd=ROOT,
            env=self._stack.connection.environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        watching = asyncio.create_task(_peak(process.pid, work))
        try:
            _, errors = await process.communicate()
        finally:
            watching.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
        work.refreshes.append(monotonic() - started)
        if process.returncode != 0:
            work.failures.append(
                f"fleet views refresh ended with {process.returncode}: {errors.decode()[-500:]}"
            )

    async def written(self) -> Counter[str]:
        """Return how many writes with news the fleet has made so far, by container."""
        return news(await read_charges(self._stack.cosmos["endpoint"], self._stack.connection))


async def _peak(pid: int, work: DueWork) -> None:
    while True:
        work.refresh_peak_bytes = max(work.refresh_peak_bytes, peak_rss(pid) or 0)
        await asyncio.sleep(LOOK_EVERY)
