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
    """The data of the dashboard. Each document contains its own age."""

    system_performance: Document
    user_engagement: list[Document]
    content_trends: Document
    timestamp: str


class ComprehensiveAdminService:
    """Data for administrators: aggregates only, no data of single people."""

    def __init__(self, database_service: DatabaseService, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.database_service = database_service
        self._clock = clock

    async def get_real_dashboard_data(self) -> DashboardData:
        """Return the newest health window, all engagement tiers and today's rankings.

        ``system_performance`` is an empty object after a day without activity, ``content_trends`` after a
        week without. ``user_engagement`` has one document per tier and month, written in the last day. It is
        the only query here that reads all partitions, because there is one partition per tier.
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
