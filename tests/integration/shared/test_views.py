"""All sources and views on a real database: folded, published, refreshed and rebuilt through the SDK."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.__main__ import cli
from shared.clock import SYSTEM_CLOCK
from shared.facts import ABUSE_INCIDENTS, USER_SESSIONS, USERS
from shared.fleet.wiring import Fleet
from shared.queries import OptimizedQueries
from shared.settings import Settings
from tests.integration.shared.conftest import Feed, interaction

CITATION = {"source": "bhagavad_gita", "chapter": "2", "verse": "47", "relevance_score": 0.92}


async def published(fleet: Fleet, container: str) -> dict[str, dict[str, Any]]:
    return {
        item["id"]: item async for item in fleet.database.get_container_client(container).read_all_items()
    }


async def test_texts_and_people_of_any_script_have_documents_of_their_own(feed: Feed) -> None:
    fleet, now = feed.fleet, SYSTEM_CLOCK.now().replace(microsecond=0)
    at, month = now.isoformat(), f"{now:%Y%m}"
    vectors = fleet.database.get_container_client("personality_vectors")
    texts = {"गीता": "कृष्ण", "論語": "孔子"}
    for number, (text, persona) in enumerate(texts.items()):
        partition = f"{persona}::{text}"
        said = {
            "personality_id": persona, "source": text, "chapter": "१", "content_category": "chapter",
            "english_translation": "…", "detailed_explanation": "…" if number else "",
            "topic_tags": ["duty"], "validation": {"expert_reviewed": True, "accuracy_score": 0.98},
        }  # fmt: skip
        await vectors.create_item({"id": f"{persona}_{text}_१", "partition_key": partition, **said})
        await feed.write(
            interaction(
                id=f"interaction_{number}", user_id=f"{persona}@例え", timestamp=at,
                foundational_texts_used=[{"source": text, "chapter": "१"}],
                response_metadata={"personality_used": persona, "model_used": f"{text}模型"}, cost_data=None,
            )
        )  # fmt: skip
        incident = {
            "id": f"n{number}", "user_id": f"{persona}@例え", "created_at": at,
            "interaction_id": f"interaction_{number}", "_ts": int(now.timestamp()), "_etag": "1",
        }  # fmt: skip
        await fleet.ingest.ingest_batch(ABUSE_INCIDENTS, [incident])
    await feed.deliver()
    report = await fleet.scheduled.publish_due()
    assert (report.poisoned, report.usage) == (0, 2)
    for text, persona in texts.items():
        for container, name in (
            ("content_analytics", "content_analytics"),
            ("incidents_by_content", "incidents"),
        ):
            items = fleet.database.get_container_client(container)
            shown = await items.read_item(f"{name}_{text}_{month}", text)
            assert shown["source"] == text
        shown = await fleet.database.get_container_client("content_analytics").read_item(
            f"content_analytics_{text}_{month}", text
        )
        assert shown["content_overview"]["content_completeness"] == (text == "論語")
        assert shown["content_overview"]["translation_quality"] == 0.98
        assert shown["topic_analytics"]["primary_topics"][0]["topic"] == "duty"
        passage = await vectors.read_item(f"{persona}_{text}_१", f"{persona}::{text}")
        assert passage["usage_metrics"]["citation_count"] == 1
        found = await OptimizedQueries(fleet.database).get_incidents_by_content_for_admin(text)
        assert [incidents["incident_summary"]["total_incidents"] for incidents in found] == [1]
    performance = (await feed.day(f"{now:%Y-%m-%d}"))["ai_performance"]
    assert performance["personalities_used"].keys() == set(texts.values())
    assert performance["model_performance"].keys() == {f"{text}模型" for text in texts}
    assert len(await published(fleet, "user_analytics")) == 8


async def test_every_view_is_published_from_every_source(feed: Feed, settings: Settings) -> None:
    fleet, now = feed.fleet, SYSTEM_CLOCK.now().replace(microsecond=0)
    at, month = now.isoformat(), f"{now:%Y%m}"
    cited = interaction(id="interaction_1", timestamp=at, foundational_texts_used=[CITATION], user_rating=5)
    await feed.write(cited, interaction(id="interaction_2", user_id="bob", timestamp=at))
    written = {"_ts": int(now.timestamp()), "_etag": "1"}
    incident = {"id": "n1", "user_id": "ann", "created_at": at, "interaction_id": "interaction_1"}
    await fleet.ingest.ingest_batch(ABUSE_INCIDENTS, [incident | written])
    await fleet.ingest.ingest_batch(
        USER_SESSIONS,
        [
            {
                "id": "s1", "user_id": "ann", "start_time": (now - timedelta(minutes=8)).isoformat(),
                "end_time": at, "status": "completed", **written,
            }
        ],
    )  # fmt: skip
    refusal = {"id": "u", "user_id": "bob", "privacy_settings": {"analytics_consent": False}}
    await fleet.ingest.ingest_batch(USERS, [refusal | written])
    await feed.deliver()
    report = await fleet.scheduled.publish_due()
    assert report.poisoned == 0
    await fleet.health.publish_windows()

    assert (await published(fleet, "user_analytics")).keys() >= {f"user_analytics_ann_{month}"}
    assert not any("bob" in name for name in await published(fleet, "user_analytics"))
    periods = {
        document["analysis_period"] for document in (await published(fleet, "user_analytics")).values()
    }
    assert periods == {"daily", "weekly", "monthly", "quarterly"}
    daily = await feed.day(f"{now:%Y-%m-%d}")
    assert daily["usage_statistics"]["active_users"] == 2
    assert daily["safety_metrics"]["total_abuse_reports"] == 1
    incidents = await published(fleet, "incidents_by_content")
    assert incidents[f"incidents_bhagavad_gita_{month}"]["incident_summary"]["total_incidents"] == 1
    assert f"incidents_unattributed_{month}" not in incidents
    texts = await published(fleet, "content_analytics")
    assert texts[f"content_analytics_bhagavad_gita_{month}"]["usage_metrics"]["total_citations"] == 1
    popular = await published(fleet, "content_popularity")
    assert popular[f"content_popularity_daily_{now:%Y%m%d}"]["data_points"] == 2
    tiers = await published(fleet, "engagement_summary")
    assert tiers[f"engagement_summary_new_{month}"]["user_count"] == 1
    assert any(
        name.startswith("system_health_performance") for name in await published(fleet, "system_health")
    )
    assert (await fleet.scheduled.publish_due()).published == 0

    before = {name: await published(fleet, name) for name in ("daily_metrics", "engagement_summary")}
    rebuilt = await fleet.rebuilder.rebuild([])
    assert (rebuilt.corrected, rebuilt.unfinished, rebuilt.poisoned) == (0, [], 0)
    assert rebuilt.shards == settings.shards
    for name, documents in before.items():
        after = await published(fleet, name)
        assert {key: value | dict.fromkeys(("_etag", "_ts")) for key, value in after.items()} == {
            key: value | dict.fromkeys(("_etag", "_ts")) for key, value in documents.items()
        }


async def test_operators_list_refresh_and_rebuild(
    feed: Feed, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await feed.write(interaction())
    await feed.deliver()
    monkeypatch.setenv("CosmosDb", settings.cosmos_connection_string or "")
    monkeypatch.setenv("COSMOS_DATABASE", settings.cosmos_database)

    async def ops(*command: str) -> Any:
        result = await asyncio.to_thread(CliRunner().invoke, cli, ["views", *command, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    rows = {row["view"]: row for row in await ops("list")}
    assert rows["daily_metrics"] == {
        "view": "daily_metrics", "container": "daily_metrics", "published": "live", "complete": True,
        "held_back": None,
    }  # fmt: skip
    assert rows["content_analytics"]["published"] == "daily"
    assert (await ops("refresh"))["views"]["published"] > 3
    rebuilt = await ops("rebuild", "daily_metrics")
    assert (rebuilt["views"], rebuilt["corrected"], rebuilt["published"]) == (["daily_metrics"], 0, 1)
    refused = await asyncio.to_thread(CliRunner().invoke, cli, ["views", "rebuild", "nothing"])
    assert (refused.exit_code, "'nothing' is not a view" in refused.stderr) == (1, True)
