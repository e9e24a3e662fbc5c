"""The queries find what the fleet publishes: the same containers, keys and fields on both sides."""

from __future__ import annotations

from shared.clock import SYSTEM_CLOCK
from shared.fleet.wiring import Fleet
from shared.queries import ComprehensiveAdminService, DatabaseService
from tests.integration.shared.conftest import Feed, interaction
from tests.integration.shared.query_data import text


async def test_what_the_fleet_publishes_is_found(fleet: Fleet, feed: Feed) -> None:
    asked = SYSTEM_CLOCK.now()
    cited = [{"source": "bhagavad_gita", "chapter": "2", "verse": "47", "relevance_score": 0.9}]
    moment = text(asked)
    await feed.write(interaction(timestamp=moment, interaction_id="i1", foundational_texts_used=cited))
    await fleet.database.get_container_client("abuse_incidents").upsert_item(
        {
            "id": "abuse_incident_1",
            "user_id": "ann",
            "interaction_id": "i1",
            "incident_type": "spam",
            "severity": "low",
            "created_at": moment,
        }
    )
    await feed.deliver()
    incidents = fleet.database.get_container_client("abuse_incidents")
    changes = [item async for item in incidents.query_items_change_feed(start_time="Beginning")]
    await fleet.ingest.ingest_batch("abuse_incidents", changes)
    await feed.publish()
    await fleet.scheduled.publish_due()
    await fleet.health.publish_windows()

    service = DatabaseService(fleet.database)
    analytics = await service.get_user_analytics("ann")
    trending = await service.optimized.get_trending_content()
    moderated = await service.optimized.get_incidents_by_content_for_admin("bhagavad_gita")
    texts = await service.query_documents(
        "content_analytics",
        "SELECT TOP 3 c.period_start, c.usage_metrics FROM c "
        "WHERE c.source = @source AND c.analysis_period = @period ORDER BY c.period_start DESC",
        [{"name": "@source", "value": "bhagavad_gita"}, {"name": "@period", "value": "monthly"}],
        partition_key="bhagavad_gita",
    )
    dashboard = await ComprehensiveAdminService(service).get_real_dashboard_data()

    assert analytics is not None
    assert analytics["interaction_metrics"]["total_interactions"] == 1
    assert trending[0]["top_foundational_texts"][0]["source"] == "bhagavad_gita"
    assert trending[0]["trending_content"][0]["content_id"] == "bhagavad_gita_2_47"
    assert moderated[0]["incident_summary"]["total_incidents"] == 1
    assert [row["usage_metrics"]["total_citations"] for row in texts] == [1]
    assert dashboard["system_performance"]["timestamp"] <= moment
    assert dashboard["content_trends"]["date"] == f"{asked:%Y-%m-%d}"
    assert {tier["engagement_tier"] for tier in dashboard["user_engagement"]} == {
        "new",
        "casual",
        "engaged",
        "power_user",
        "churned",
    }
