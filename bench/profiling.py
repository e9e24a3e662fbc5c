"""``--profile NAME``: one measurement under cProfile, with what it spent by container and operation."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import StringIO

from rich.console import Console
from rich.table import Table

from bench.comparison import HOURLY_BATCH, Plan, count_history, measure_segment
from bench.contenders import Contender, baseline_contender, fleet_contender
from bench.folding import measure_fold
from bench.server import Server, running_server
from bench.traffic import LiveSegments
from local.interrupt import run_until_signal
from shared.cosmos.charges import Cost

HOTTEST = 40

_TRAFFIC = ("user_interactions", "batch")
"""How the traffic is written, through the contender's own client; no contender writes to the source."""

NAMES = ("fold", "fleet-1", "fleet-100", "fleet-1000", "baseline-1", "baseline-100", "baseline-1000")
"""What can be profiled: the fold without I/O, or a contender at a batch size."""


@dataclass(frozen=True, slots=True)
class _Spent:
    changes: int
    by_operation: dict[tuple[str, str], Cost]


def profile(name: str, plan: Plan, factor: int, console: Console) -> None:
    """Profile one measurement and print the hottest functions by their own and by their total time.

    Parameters
    ----------
    name
        One of :data:`NAMES`.
    factor
        Length of the history before it.
    """
    profiler = cProfile.Profile()
    if name == "fold":
        profiler.runcall(measure_fold, plan.scale, plan.segments[1000], plan.repetitions)
    else:
        contender, _, batch = name.partition("-")
        spent = run_until_signal(_profile_contender(profiler, plan, factor, contender, int(batch)))
        console.print(_spent_table(name, spent))
    for order in ("tottime", "cumulative"):
        text = StringIO()
        pstats.Stats(profiler, stream=text).sort_stats(order).print_stats(HOTTEST)
        console.print(text.getvalue(), markup=False)


async def _profile_contender(
    profiler: cProfile.Profile, plan: Plan, factor: int, name: str, batch: int
) -> _Spent:
    async with running_server() as server:
        settings = server.settings(name)
        if name == "fleet":
            async with fleet_contender(settings) as fleet:
                return await _profile_segments(profiler, server, fleet, plan, factor, batch)
        async with baseline_contender(settings) as baseline:
            return await _profile_segments(profiler, server, baseline, plan, factor, batch)


async def _profile_segments(
    profiler: cProfile.Profile, server: Server, contender: Contender, plan: Plan, factor: int, batch: int
) -> _Spent:
    await count_history(contender, plan.scale.history(factor))
    live = LiveSegments(plan.scale)
    changes = plan.segments[batch]
    if contender.name == "baseline":
        changes = min(changes, plan.baseline_changes)
    await measure_segment(server, contender, live.next(changes), batch)
    before = await server.booked(contender.client_name)

    async def repetitions() -> None:
        for _ in range(plan.repetitions):
            await measure_segment(server, contender, live.next(changes), batch)
            if batch >= HOURLY_BATCH:
                await contender.refresh()

    await _under(profiler, repetitions)
    after = await server.booked(contender.client_name)
    return _Spent(changes * plan.repetitions, _difference(before, after))


async def _under(profiler: cProfile.Profile, work: Callable[[], Awaitable[None]]) -> None:
    profiler.enable()
    try:
        await work()
    finally:
        profiler.disable()


def _difference(
    before: dict[tuple[str, str], Cost], after: dict[tuple[str, str], Cost]
) -> dict[tuple[str, str], Cost]:
    nothing = Cost()
    return {
        key: Cost(
            charge.requests - before.get(key, nothing).requests,
            charge.request_units - before.get(key, nothing).request_units,
        )
        for key, charge in after.items()
        if charge.requests > before.get(key, nothing).requests and key != _TRAFFIC
    }


def _spent_table(name: str, spent: _Spent) -> Table:
    table = Table(
        title=f"{name}: {spent.changes:,} changes, as the server booked them",
        title_justify="left",
    )
    table.add_column("container")
    table.add_column("operation")
    for column in ("requests", "per change", "request units", "per change"):
        table.add_column(column, justify="right")
    ordered = sorted(spent.by_operation.items(), key=lambda item: -item[1].request_units)
    for (container, operation), charge in ordered:
        table.add_row(
            container,
            operation,
            f"{charge.requests:,}",
            f"{charge.requests / spent.changes:.3f}",
            f"{charge.request_units:,.0f}",
            f"{charge.request_units / spent.changes:.3f}",
        )
    return table
