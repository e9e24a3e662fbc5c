"""Measure fleet against baseline: the same segments of traffic, one after the other, on one server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from bench.contenders import BenchError, Contender, FleetContender, baseline_contender, fleet_contender
from bench.figures import Cell, Comparison, HistoryLevel, PeopleLevel, Sample, Scheduled, ScheduledWork
from bench.server import Server
from bench.traffic import LiveSegments, Scale, distinct_people, history_chunks, store
from local.seed.traffic import TrafficPlan
from shared.cosmos.charges import Cost

HISTORY_CHUNK = 2_000

WARM_UP_CHANGES = 200
"""Enough for connections and caches; the history has warmed up the rest."""

HOURLY_BATCH = 1_000
"""Batch size from which a segment stands for an hour of traffic. The hourly timer's work follows it."""

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
    """Lengths of the history, the shortest first."""
    more_people: int = 10
    """How many times as many people have a history when the fleet is measured with many."""


async def measure_level(server: Server, plan: Plan, factor: int, progress: Progress) -> HistoryLevel:
    """Measure all batch sizes after a history of ``factor`` times the plan's length, in fresh databases."""
    async with AsyncExitStack() as stack:
        baseline = await stack.enter_async_context(baseline_contender(server.settings(f"baseline-{factor}")))
        fleet = await stack.enter_async_context(fleet_contender(server.settings(f"fleet-{factor}")))
        history = plan.scale.history(factor)
        for contender in (baseline, fleet):
            progress(f"history ×{factor}: {contender.name}")
            await count_history(contender, history)
        run = _LevelRun(server, plan, fleet, (baseline,))
        comparisons = []
        for batch in plan.segments:
            progress(f"history ×{factor}: batches of {batch:,}")
            cells, people = await run.measure(batch)
            comparisons.append(Comparison(batch, people, cells[fleet.name], cells[baseline.name]))
        progress(f"history ×{factor}: what is published twice a day")
        return HistoryLevel(factor, history.interactions, tuple(comparisons), await run.scheduled())


async def measure_people(server: Server, plan: Plan, progress: Progress) -> PeopleLevel:
    """Measure the fleet with the same live traffic, after a history of more people of whom it is a part."""
    scale = plan.scale
    more = replace(
        scale,
        people=scale.people * plan.more_people,
        interactions_per_day=scale.interactions_per_day * plan.more_people,
    )
    async with fleet_contender(server.settings("fleet-people")) as fleet:
        progress(f"{more.people:,} people: history")
        await count_history(fleet, more.history())
        run = _LevelRun(server, plan, fleet, ())
        cells = {}
        for batch in plan.segments:
            progress(f"{more.people:,} people: batches of {batch:,}")
            found, _ = await run.measure(batch)
            cells[batch] = found[fleet.name]
        return PeopleLevel(more.people, more.history().interactions, cells, await run.scheduled())


async def count_history(contender: Contender, plan: TrafficPlan) -> None:
    """Write a history and have it counted."""
    for chunk in history_chunks(plan, HISTORY_CHUNK):
        await store(contender.source, chunk)
        await contender.count_history()
    await contender.finish_history()


class _LevelRun:
    """The live traffic of one level, given to the fleet and the others in the same segments."""

    def __init__(
        self, server: Server, plan: Plan, fleet: FleetContender, others: Sequence[Contender]
    ) -> None:
        self._server = server
        self._plan = plan
        self._fleet = fleet
        self._contenders: list[Contender] = [*others, fleet]
        self._live = LiveSegments(plan.scale)
        self._hours: list[Scheduled] = []

    async def measure(self, batch: int) -> tuple[dict[str, Cell], float]:
        """Measure one batch size; return a cell for each contender, and the mean of people in a batch."""
        plan = self._plan
        changes = plan.segments[batch]
        samples: dict[str, list[Sample]] = {contender.name: [] for contender in self._contenders}
        people: list[float] = []
        for repetition in range(plan.repetitions + 1):
            segment = self._live.next(changes if repetition else min(changes, WARM_UP_CHANGES))
            # The contenders alternate in both orders, so that neither always runs on the warmer machine.
            for contender in self._contenders if repetition % 2 else reversed(self._contenders):
                part = segment if contender is self._fleet else segment[: plan.baseline_changes]
                sample = await measure_segment(self._server, contender, part, batch)
                if repetition:  # the first one warms up
                    samples[contender.name].append(sample)
            if batch >= HOURLY_BATCH:
                hour = Scheduled(len(segment), await self._fleet.refresh())
                self._hours += [hour] if repetition else []
            if repetition:
                people += [distinct_people(segment[at : at + batch]) for at in range(0, changes, batch)]
        return {name: Cell(tuple(of)) for name, of in samples.items()}, sum(people) / len(people)

    async def scheduled(self) -> ScheduledWork:
        """Publish everything that is due within half a day; return that and the hours so far."""
        half_day = await self._fleet.refresh(everything=True)
        hours = Cost()
        for hour in self._hours:
            hours.requests += hour.charge.requests
            hours.request_units += hour.charge.request_units
            hours.seconds += hour.charge.seconds
        changes = sum(hour.changes for hour in self._hours)
        return ScheduledWork(Scheduled(changes, hours), Scheduled(self._live.taken, half_day))


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
    seconds = time.perf_counter() - started
    if taken != len(segment):
        raise BenchError(f"the feed delivered {taken} changes, {len(segment)} were written")
    after = await server.charged(contender.client_name)
    booked = Cost(after.requests - before.requests, after.request_units - before.request_units)
    return Sample(taken, seconds, charge, booked)
