"""Whatever happens to hosts, connections and deliveries: the views equal the documents, to the integer."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import pytest

from local.seed.traffic import TrafficPlan
from shared.fleet.wiring import connected_fleet
from shared.ingest.sources import SOURCES
from shared.settings import Settings
from tests.acceptance.fleet import (
    FLEET,
    HOST,
    RunningFleet,
    extra_host,
    running_fleet,
    unreliable_history,
    until,
)
from tests.independent import Document

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

PLAN = TrafficPlan(users=40, interactions=900, days=40, seed=11, malformed_share=0.01)
KILLS = 6
INTERRUPTED = 4
"""Kills that must have hit an invocation; between the look at the log and the signal it may just end."""

VICTIMS_WORK = ("fold_user_interactions", "publish_views")

FAULTS = {
    "seed": 5,
    "rules": [
        {"client": FLEET, "rate": 0.03, "status": 429, "retry_after_ms": 5},
        {"client": FLEET, "rate": 0.01, "status": 503},
        {"client": FLEET, "rate": 0.05, "latency_ms": 20},
        {"client": FLEET, "rate": 0.01, "drop": "before"},
        {"client": FLEET, "operation": "batch", "rate": 0.05, "drop": "after"},
        {"client": HOST, "operation": "change_feed", "rate": 0.03, "status": 503},
        {"client": HOST, "operation": "change_feed", "rate": 0.02, "drop": "after"},
        {"client": HOST, "operation": "replace", "rate": 0.05, "status": 429, "retry_after_ms": 5},
        {"client": HOST, "operation": "replace", "rate": 0.05, "drop": "after"},
    ],
}


async def test_views_are_right_after_kills_faults_and_corrections(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, instances=1) as fleet:
        fleet.server("PUT", "faults", FAULTS)
        history = list(unreliable_history(PLAN))
        share = -(-len(history) // KILLS)
        interrupted = 0
        for number in range(KILLS):
            part = history[number * share : (number + 1) * share]
            interrupted += await write_and_kill_in_the_middle(fleet, tmp_path, part, number)
        assert fleet.server("GET", "faults")["struck"] > 100
        fleet.server("DELETE", "faults")
        # A host of the same name takes up at once what the last victim left, rather than when it expires.
        async with extra_host(tmp_path, "victim", tmp_path / "survivor.log"):
            await fleet.drain()
            documents = await fleet.assert_views_are_right()
            await fleet.assert_poison_holds_the_malformed(documents)
            await assert_nothing_is_left_to_repair(fleet)
        assert interrupted >= INTERRUPTED
        assert len(documents) == PLAN.interactions


async def write_and_kill_in_the_middle(
    fleet: RunningFleet, data: Path, part: list[Document], number: int
) -> bool:
    """Write while two hosts work, and kill one of them; return whether that cut an invocation short."""
    function = VICTIMS_WORK[number % 2]
    async with extra_host(data, "victim", data / f"victim-{number}.log") as victim:
        enough = fleet.commits() + 2 * number  # each time at another point of the work
        writing = asyncio.create_task(write_history(fleet, part))
        await until(lambda: fleet.commits() >= enough and victim.is_working_on(function))
        await victim.kill()
        await writing
        return victim.is_working_on(function)


async def write_history(fleet: RunningFleet, documents: list[Document]) -> None:
    remaining = iter(documents)
    # Several at a time and yet in order of a document's own versions: those of one person stay together.
    while some := list(islice(remaining, 40)):
        lanes: dict[object, list[Document]] = {}
        for document in some:
            lanes.setdefault(repr(document.get("user_id")), []).append(document)
        await asyncio.gather(*(fleet.write(lane) for lane in lanes.values()))


async def assert_nothing_is_left_to_repair(fleet: RunningFleet) -> None:
    """A killed host loses nothing, so the auditor finds everything counted and published."""
    async with connected_fleet(Settings(**fleet.stack.settings)) as audit:
        reports = await audit.auditor.audit_all(delay_seconds=0)
    assert {report.feed: report.repaired for report in reports} == dict.fromkeys([*SOURCES, "view_state"], 0)
