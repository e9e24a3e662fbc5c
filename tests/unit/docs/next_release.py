"""Runs in a copy of the project that has ``avg_query_length``, on the state that the release before left.

``python -m tests.unit.docs.next_release STATE`` prints the figures after each step as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.facts import USER_INTERACTIONS
from shared.settings import Settings
from tests.independent.days import expected_days
from tests.independent.sources import good
from tests.unit.shared.delivery import Document, Instance
from tests.unit.shared.world import SHARDS, World, interaction

DEPLOYED = datetime(2025, 9, 16, 14, 47, tzinfo=UTC)


def asked(number: int, timestamp: str, length: int) -> Document:
    """Return an interaction whose document says how long its question is."""
    return interaction(number, timestamp, query_metadata={"query_category": "duty", "query_length": length})


BEFORE = (
    asked(1, "2025-09-14T10:00:00Z", 10),
    asked(2, "2025-09-14T11:00:00Z", 30),
    asked(3, "2025-09-15T10:00:00Z", 100),
)
"""What the release before counts."""

AFTER = (
    asked(4, "2025-09-15T11:00:00Z", 50),  # of the day before, but written after the deployment
    asked(5, "2025-09-16T09:00:00Z", 40),
    asked(6, "2025-09-16T10:00:00Z", 60),
)


def save(world: World, path: Path) -> None:
    """Store all containers of a world."""
    stored = {name: list(container.items.items()) for name, container in world.containers.items()}
    path.write_text(json.dumps(stored), encoding="utf-8")


def load(path: Path) -> World:
    """Return a world with the stored containers, a day later."""
    world = World(now=DEPLOYED)
    world.writes = len(BEFORE)
    for name, items in json.loads(path.read_text(encoding="utf-8")).items():
        world.containers[name].items |= {tuple(key): item for key, item in items}
    return world


def figures(world: World) -> dict[str, Any]:
    """Return interactions and the new figure by day. Documents of the release before do not have it."""
    blocks = {d["date"]: d["usage_statistics"] for d in world.documents("daily_metrics").values()}
    return {day: [b["total_interactions"], b.get("avg_query_length")] for day, b in sorted(blocks.items())}


async def steps(path: Path) -> dict[str, Any]:
    """Go through what the page says follows the deployment; return the figures after each step."""
    world, found = load(path), dict[str, Any]()
    await world.ingest(*AFTER)
    await world.publish()
    found["deployed"] = figures(world)
    report = await (await world.rebuilder()).rebuild(["daily_metrics"])
    found["outdated"] = sorted(report.outdated)
    found["rebuilt"] = figures(world)
    world.now += timedelta(hours=1)
    world.settings = Settings(FLEET_SHARDS=SHARDS, FLEET_GENERATION=2)
    world.folding, world.writes = Instance(world.state, generation=2), 0
    fleet = await world.fleet()
    await world.ingest(*BEFORE, *AFTER)
    await fleet.generations.complete()
    await world.publish(fleet.publisher)
    found["counted again"] = figures(world)
    again = await fleet.rebuilder.rebuild(["daily_metrics"])
    found["outdated after that"] = again.outdated
    expected = expected_days(good({USER_INTERACTIONS: [*BEFORE, *AFTER]}))
    found["independent"] = {
        day: document["usage_statistics"]["avg_query_length"].value for day, document in expected.items()
    }
    return found


if __name__ == "__main__":
    json.dump(asyncio.run(steps(Path(sys.argv[1]))), sys.stdout)
