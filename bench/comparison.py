"""Measure fleet against baseline: the same segments of traffic, one after the other, on one server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bench.contenders import BenchError, Contender, baseline_contender, fleet_contender
from bench.figures import Cell, Comparison, HalfDay, HistoryLevel, Sample
from bench.server import Server
from bench.traffic import LiveSegments, Scale, distinct_people, history_chunks, store
from shared.cosmos.charges import Cost

HISTORY_CHUNK = 2_000

WARM_UP_CHANGES = 200
"""Enough for connections and caches; the history has warmed up the rest."""

HOURLY_BATCH = 1_000
"""Batch size from which a segment represents an hour of traffic. Hourly views are refreshed once after it."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes
    ----------
    segments
        Changes of one repetition by batch size: whole batches, and enough of them for a steady time.
    baseline_changes
        Maximum changes of a segment for the baseline. It processes them strictly one after the other, so more
        changes need more time, but the cost per change is the same.
    repetitions
        Measured repetitions per batch size; a shorter one before them is not measured.
    """

    scale: Scale
    segments: dict[int, int]
    baseline_changes: int
    repetitions: int
    factors: tuple[int, ...] = (1, 10)


async def measure_level(server: Server, plan: Plan, factor: int, progress: Progress) -> HistoryLevel:
    """Measure all batch sizes after a history of ``factor`` times the plan's length, in fresh databases."""
    async with AsyncExitStack() as stack:
        baseline = await stack.enter_async_context(baseline_contender(server.settings(f"baseline-{factor}")))
        fleet = await stack.enter_async_context(fleet_contender(server.settings(f"fleet-{factor}")))
        contenders: list[Contender] = [baseline, fleet]
        interactions = 0
        for contender in contenders:
            progress(f"history ×{factor}: {contender.name}")
            interactions = await count_history(contender, plan.scale, factor)
        live = LiveSegments(plan.scale)
        comparisons = []
        for batch, changes in plan.segments.items():
            progress(f"history ×{factor}: batches of {batch:,}")
            comparisons.append(await _compare(server, contenders, live, plan, batch, changes))
        progress(f"history ×{factor}: what is refreshed twice a day")
        cost = await fleet.refresh(everything=True)
    return HistoryLevel(factor, interactions, tuple(comparisons), HalfDay(live.taken, cost))


async def count_history(contender: Contender, scale: Scale, factor: int) -> int:
    """Write a history and have it counted; return how many interactions it has."""
    plan = scale.history(factor)
    for chunk in history_chunks(plan, HISTORY_CHUNK):
        await store(contender.source, chunk)
        await contender.count_history()
    await contender.finish_history()
    return plan.interactions


async def _compare(
    server: Server,
    contenders: Sequence[Contender],
    live: LiveSegments,
    plan: Plan,
    batch: int,
    changes: int,
) -> Comparison:
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    people: list[float] = []
    for repetition in range(plan.repetitions + 1):
        segment = live.next(changes if repetition else min(changes, WARM_UP_CHANGES))
        parts = {"fleet": segment, "baseline": segment[: plan.baseline_changes]}
        # The contenders alternate in both orders, so that neither always runs on the warmer machine.
        for contender in contenders if repetition % 2 else reversed(contenders):
            sample = await measure_segment(server, contender, parts[contender.name], batch)
            if repetition:  # the first one warms up
                samples[contender.name].append(sample)
        if repetition:
            people += [distinct_people(segment[start : start + batch]) for start in range(0, changes, batch)]
    return Comparison(
        batch,
        sum(people) / len(people),
        fleet=Cell(tuple(samples["fleet"])),
        baseline=Cell(tuple(samples["baseline"])),
    )


async def measure_segment(
    server: Server, contender: Contender, segment: Sequence[dict[str, Any]], batch: int
) -> Sample:
    """Write a segment, then measure how a contender processes it in batches.

    Raises
    ------
    BenchError
        The feed delivered something else than the segment.
    """
    await store(contender.source, segment)
    before = await server.charged(contender.client_name)
    charge, taken = Cost(), 0
    started = time.perf_counter()
    while taken < len(segment):
        count, cost = await contender.process_batch(batch)
        if not count:
            raise BenchError(f"the feed ended after {taken} of {len(segment)} changes")
        taken += count
        charge.requests += cost.requests
        charge.request_units += cost.request_units
    if batch >= HOURLY_BATCH:
        cost = await contender.refresh()
        charge.requests += cost.requests
        charge.request_units += cost.request_units
    seconds = time.perf_counter() - started
    if taken != len(segment):
        raise BenchError(f"the feed delivered {taken} changes, {len(segment)} were written")
    after = await server.charged(contender.client_name)
    booked = Cost(after.requests - before.requests, after.request_units - before.request_units)
    return Sample(taken, seconds, charge, booked)
