"""Whatever happens to hosts, connections and deliveries: the views equal the documents, to the integer."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from local.seed.traffic import TrafficPlan
from tests.acceptance.fleet import (
    FLEET,
    RunningFleet,
    extra_host,
    running_fleet,
    unreliable_history,
    until,
    write_reliably,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

PLAN = TrafficPlan(users=24, interactions=700, days=40, seed=11, malformed_share=0.015)
KILLS = 6
COMMITS_BETWEEN_KILLS = 25
"""Transactions that the hosts get through before one of them is killed in the middle of the next."""

FAULTS = {
    "seed": 5,
    "rules": [
        {"client": FLEET, "rate": 0.03, "status": 429, "retry_after_ms": 5},
        {"client": FLEET, "rate": 0.01, "status": 503},
        {"client": FLEET, "rate": 0.05, "latency_ms": 20},
        {"client": FLEET, "rate": 0.01, "drop": "before"},
        {"client": FLEET, "operation": "batch", "rate": 0.05, "drop": "after"},
    ],
}


async def test_views_are_right_after_kills_faults_and_corrections(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, instances=1) as fleet:
        fleet.server("PUT", "faults", FAULTS)
        writing = asyncio.create_task(write_history(fleet))
        killed = await kill_again_and_again(fleet, tmp_path, writing)
        await writing
        assert fleet.server("GET", "faults")["struck"] > 50
        fleet.server("DELETE", "faults")
        await fleet.settle()
        documents = await fleet.assert_views_are_right()
        await fleet.assert_poison_holds_the_malformed(documents)
        assert killed == KILLS
        assert len(documents) == PLAN.interactions


async def write_history(fleet: RunningFleet) -> None:
    for document in unreliable_history(PLAN):
        await write_reliably(fleet.interactions, document)


async def kill_again_and_again(fleet: RunningFleet, data: Path, writing: asyncio.Task[None]) -> int:
    killed = 0
    while killed < KILLS:
        async with extra_host(data, "victim") as process:
            await some_progress(fleet, writing)
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
    return killed


async def some_progress(fleet: RunningFleet, writing: asyncio.Task[None]) -> None:
    enough = fleet.commits() + COMMITS_BETWEEN_KILLS
    await until(lambda: writing.done() or fleet.commits() >= enough)
