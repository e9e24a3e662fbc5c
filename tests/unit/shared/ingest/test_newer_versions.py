"""What a newer application writes: counted if it can be read, and nothing is taken back if not."""

from __future__ import annotations

from typing import Any

import pytest
import structlog.testing

from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS
from shared.fleet.wiring import Fleet
from tests.unit.shared.world import World, interaction

TIME = "2025-09-12T10:00:00Z"

COUNTED: dict[str, dict[str, Any]] = {
    USER_INTERACTIONS: interaction(1, TIME),
    USER_SESSIONS: {"id": "s1", "user_id": "ann", "start_time": TIME, "status": "completed"},
    ABUSE_INCIDENTS: {"id": "n1", "user_id": "ann", "created_at": TIME, "severity": "low"},
}
FIGURES = {
    USER_INTERACTIONS: ("usage_statistics", "total_interactions"),
    USER_SESSIONS: ("usage_statistics", "total_sessions"),
    ABUSE_INCIDENTS: ("safety_metrics", "total_abuse_reports"),
}


class Feeds:
    """A fleet that is delivered documents, each a newer version than the one before."""

    def __init__(self, fleet: Fleet, world: World) -> None:
        self._fleet = fleet
        self._world = world
        self._written = 0

    async def deliver(self, source: str, document: dict[str, Any]) -> int:
        """Deliver a document; return how many went to poison."""
        self._written += 1
        number = self._written
        stamp = {"_ts": 1_790_000_000 + number, "_lsn": number, "_etag": f'"{number}"'}
        return len((await self._fleet.ingest.ingest_batch(source, [document | stamp])).poisoned)

    async def figure(self, source: str) -> tuple[int, int]:
        """Return how many documents of a source the day counts, and how many of newer versions."""
        await self._world.publish(self._fleet.publisher)
        day = self._world.documents("daily_metrics")["daily_metrics_20250912"]
        block, name = FIGURES[source]
        return day[block][name], day["input_quality"]["newer_versions"]


@pytest.fixture
async def feeds() -> Feeds:
    world = World()
    return Feeds(await world.fleet(), world)


@pytest.mark.parametrize("source", COUNTED)
async def test_a_newer_minor_version_is_counted_and_seen(source: str, feeds: Feeds) -> None:
    newer = {"schema_version": "1.2", "mood": {"before": 2}}
    assert await feeds.deliver(source, COUNTED[source] | newer) == 0
    assert await feeds.figure(source) == (1, 1)
    assert await feeds.deliver(source, COUNTED[source]) == 0
    assert await feeds.figure(source) == (1, 0)


@pytest.mark.parametrize("source", COUNTED)
@pytest.mark.parametrize(
    "newer", [{"schema_version": "2.0"}, {"schema_version": "1.2", "id": None}, {"profile_version": "3.1"}]
)
async def test_what_was_counted_stays_when_a_newer_application_writes_it_again(
    source: str, newer: dict[str, Any], feeds: Feeds
) -> None:
    await feeds.deliver(source, COUNTED[source])
    assert await feeds.deliver(source, COUNTED[source] | newer) == 1
    assert await feeds.figure(source) == (1, 0)


async def test_an_older_version_that_arrives_after_a_newer_major_one_is_counted(feeds: Feeds) -> None:
    newer = COUNTED[USER_INTERACTIONS] | {"schema_version": "2.0"}
    assert await feeds.deliver(USER_INTERACTIONS, newer) == 1
    await feeds.deliver(USER_INTERACTIONS, COUNTED[USER_INTERACTIONS])
    assert await feeds.figure(USER_INTERACTIONS) == (1, 0)


async def test_a_newer_version_is_reported_once_for_each_source(feeds: Feeds) -> None:
    with structlog.testing.capture_logs() as logged:
        for version in ("1.2", "1.2", "1.3", "1.1", "2.0"):
            await feeds.deliver(USER_INTERACTIONS, COUNTED[USER_INTERACTIONS] | {"schema_version": version})
        await feeds.deliver(USERS, {"id": "user_ann", "user_id": "ann", "profile_version": "1.2"})
        await feeds.deliver(USERS, {"id": "user_ann", "user_id": "ann", "profile_version": "1.2"})
    reports = [entry for entry in logged if entry["event"] == "newer_schema_version"]
    assert [(entry["source"], entry["schema_version"]) for entry in reports] == [
        (USER_INTERACTIONS, "1.2"),
        (USER_INTERACTIONS, "1.3"),
        (USERS, "1.2"),
    ]
    assert {entry["log_level"] for entry in reports} == {"warning"}


async def test_dropped_scores_are_counted_while_their_document_has_them(feeds: Feeds) -> None:
    wrong = {"quality_metrics": {"safety_score": 1.2, "response_relevance": 0.5}, "rag_metadata": {
        "avg_relevance_score": "high"
    }}  # fmt: skip
    for change, dropped in ((wrong, 2), ({}, 0)):
        await feeds.deliver(USER_INTERACTIONS, COUNTED[USER_INTERACTIONS] | change)
        await feeds.figure(USER_INTERACTIONS)
        (day,) = feeds._world.documents("daily_metrics").values()
        assert day["input_quality"]["dropped_scores"] == dropped
