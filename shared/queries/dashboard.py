"""The specification's ``ComprehensiveAdminService``: the dashboard, from the views."""

from __future__ import annotations

import asyncio
from typing import TypedDict

from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import finish_all
from shared.queries.database import DatabaseService
from shared.queries.reading import Document
from shared.units import iso


class DashboardData(TypedDict):
    """What the dashboard shows. Each document says itself how old it is."""

    system_performance: Document
    user_engagement: list[Document]
    content_trends: Document
    timestamp: str


class ComprehensiveAdminService:
    """Data for administrators; aggregates only, of nobody in particular."""

    def __init__(self, database_service: DatabaseService, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.database_service = database_service
        self._clock = clock

    async def get_real_dashboard_data(self) -> DashboardData:
        """Return the newest health window, all engagement tiers and today's rankings.

        ``system_performance`` and ``content_trends`` are empty objects while there is none: nothing happened
        for a day, or for a week. ``user_engagement`` has one document per tier and month, those of the last
        day; it is the one query here that asks all partitions, for there is one partition per tier.
        """
        read = self.database_service.query_documents
        health = asyncio.ensure_future(
            read(
                "system_health",
                "SELECT TOP 1 * FROM c WHERE c.metric_type = 'performance' ORDER BY c.timestamp DESC",
                partition_key="performance",
            )
        )
        engagement = asyncio.ensure_future(
            read("engagement_summary", "SELECT * FROM c ORDER BY c.last_updated DESC")
        )
        trends = asyncio.ensure_future(
            read(
                "content_popularity",
                "SELECT TOP 1 * FROM c WHERE c.time_period = 'daily' ORDER BY c.date DESC",
                partition_key="daily",
            )
        )
        await finish_all(health, engagement, trends)
        return {
            "system_performance": health.result()[0] if health.result() else {},
            "user_engagement": engagement.result(),
            "content_trends": trends.result()[0] if trends.result() else {},
            "timestamp": iso(self._clock.now()),
        }
