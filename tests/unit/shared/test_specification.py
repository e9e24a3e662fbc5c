"""The specification's own sample documents, as they stand, come out as views of its shape."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS
from shared.views.fields import FIELDS
from tests.unit.shared.views.test_views import generic, paths
from tests.unit.shared.world import World

DATA = Path(__file__).parents[2] / "data"
SAMPLES: dict[str, dict[str, Any]] = json.loads((DATA / "specification_documents.json").read_text("utf-8"))
"""The samples of its source containers, with their comments taken out."""

PATHS: dict[str, list[str]] = json.loads((DATA / "specification_fields.json").read_text("utf-8"))
"""Every field of its samples of views, ``*`` where a name is data."""

SOURCES = {
    "user_profile": USERS,
    "user_session": USER_SESSIONS,
    "user_interaction": USER_INTERACTIONS,
    "abuse_incident": ABUSE_INCIDENTS,
}

IDS = {
    "user_analytics": "user_analytics_e45d45fe_202508",
    "content_analytics": "content_analytics_bhagavad_gita_202508",
    "daily_metrics": "daily_metrics_20250805",
    "engagement_summary": "engagement_summary_new_202508",
    "content_popularity": "content_popularity_daily_20250805",
    "incidents_by_content": "incidents_bhagavad_gita_202508",
    "system_health": "system_health_performance_20250805_1435",
}
"""As its samples are named, for what its source samples say."""


async def published() -> World:
    world = World(now=datetime(2025, 8, 5, 14, 44, tzinfo=UTC))
    for document_type, sample in SAMPLES.items():
        assert sample["document_type"] == document_type
        await world.ingest(sample, source=SOURCES[document_type])
    await world.publish()
    await (await world.scheduled()).publish_due()
    await (await world.health()).publish_windows()
    return world


@pytest.mark.parametrize("container", IDS)
def test_the_reference_names_every_field_of_the_specification(container: str) -> None:
    lists = {path.partition("[]")[0] for path in FIELDS[container] if "[]" in path}
    assert {path for path in PATHS[container] if path not in lists} <= FIELDS[container].keys()


@pytest.mark.parametrize("container", IDS)
async def test_the_samples_come_out_in_the_specification_s_shape(container: str) -> None:
    world = await published()
    document = world.documents(container)[IDS[container]]
    shown = {generic(path) for path in paths(document)}
    lists = {path.partition("[]")[0] for path in PATHS[container] if "[]" in path} | {"active_alerts"}
    missing = {path for path in PATHS[container] if path not in shown}
    # A list of objects without an entry shows none of its fields.
    assert not {path for path in missing if path.partition("[]")[0] not in lists}
    assert world.containers["poison_messages"].items == {}


async def test_the_samples_say_what_they_say() -> None:
    world = await published()
    month = world.documents("user_analytics")[IDS["user_analytics"]]
    assert month["user_profile"]["user_tier"] == "new"
    assert month["session_metrics"]["total_sessions"] == 1
    assert month["session_metrics"]["avg_session_duration_min"] == 8.38
    assert month["cost"]["nano_usd"] == 234 * 300 + 456 * 2500
    day = world.documents("daily_metrics")[IDS["daily_metrics"]]
    assert day["usage_statistics"]["peak_concurrent_users"] == 1
    assert day["safety_metrics"]["safety_violations"] == 1
    incidents = world.documents("incidents_by_content")[IDS["incidents_by_content"]]
    assert incidents["content_analysis"]["flagged_verses"] == ["2.47"]
    assert incidents["incident_summary"]["by_type"]["inappropriate_query"] == 1
    assert incidents["moderation_actions"]["content_blocked"] == 1
    text = world.documents("content_analytics")[IDS["content_analytics"]]
    assert text["chapter_analytics"][0]["popular_verses"] == ["2.47"]
    popular = world.documents("content_popularity")[IDS["content_popularity"]]
    assert popular["trending_content"][0]["content_id"] == "bhagavad_gita_2_47"
    assert popular["trending_content"][0]["topic"] is None  # one person asked
    health = world.documents("system_health")[IDS["system_health"]]
    assert health["health_status"] == "excellent"
