"""The specification's ``OptimizedQueries``, and one for a day. Each query reads one logical partition."""

from __future__ import annotations

from typing import get_args

from azure.cosmos.aio import DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.items import find_item
from shared.periods import Kind
from shared.queries.arguments import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    days_kept,
    require_continuation,
    require_day,
    require_identifier,
    require_one_of,
    require_whole,
    since,
)
from shared.queries.reading import Document, Rows, read_partition, read_rows
from shared.views import daily_metrics

PERIODS: tuple[str, ...] = get_args(Kind)
"""Periods of ``user_analytics``."""

RANKED_PERIODS = ("daily", "weekly")
"""Periods of ``content_popularity``."""

INCIDENT_PERIODS = ("monthly",)
"""Periods of ``incidents_by_content``."""


class OptimizedQueries:
    """Queries by partition key.

    Parameters
    ----------
    database
        The connected database. Session consistency is sufficient: see :func:`shared.cosmos.client.connect`.
    clock
        The clock from which "the last days" are counted back.
    """

    def __init__(self, database: DatabaseProxy, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.database = database
        self._clock = clock

    async def get_user_analytics_efficient(self, user_id: str, period: str = "monthly") -> list[Document]:
        """Return a person's newest document of ``user_analytics`` for a kind of period, in a list.

        The list is empty for a person without interactions or without consent.

        Parameters
        ----------
        period
            ``daily``, ``weekly``, ``monthly`` or ``quarterly``.

        Raises
        ------
        QueryError
            ``period`` is none of these, or ``user_id`` is no identifier.
        """
        key = require_identifier("user_id", user_id)
        return await read_partition(
            self.database,
            "user_analytics",
            "SELECT TOP 1 * FROM c WHERE c.user_id = @user_id AND c.analysis_period = @period "
            "ORDER BY c.period_start DESC",
            {"user_id": key, "period": require_one_of("period", period, PERIODS)},
            partition_key=key,
        )

    async def get_daily_metrics(self, day: str) -> Document | None:
        """Return the document of a UTC day, such as ``2025-08-05``; None if nothing was counted on it.

        The specification has no query for a day. ``ai_performance.total_cost_usd`` is what the day's
        interactions cost.

        Raises
        ------
        QueryError
            The day is no date.
        """
        key = require_day("day", day)
        container = self.database.get_container_client(daily_metrics.NAME)
        return await find_item(container, daily_metrics.document_id(key), key)

    async def get_trending_content(self, time_period: str = "daily", limit: int = 10) -> list[Document]:
        """Return the texts and passages of the latest rankings, newest first.

        Parameters
        ----------
        time_period
            ``daily`` or ``weekly``.
        limit
            Number of rankings, that is days or weeks, as in the specification's query. A ranking has at most
            ten texts and ten passages. It expires a week after its last write.

        Raises
        ------
        QueryError
            The period is none of these, or the limit is not 1 to 1,000.
        """
        key = require_one_of("time_period", time_period, RANKED_PERIODS)
        return await read_partition(
            self.database,
            "content_popularity",
            "SELECT c.top_foundational_texts, c.trending_content FROM c WHERE c.time_period = @time_period "
            "ORDER BY c.date DESC OFFSET 0 LIMIT @limit",
            {"time_period": key, "limit": require_whole("limit", limit, most=MAX_LIMIT)},
            partition_key=key,
        )

    async def get_user_interaction_history(
        self, user_id: str, days: int = 7, *, limit: int = DEFAULT_LIMIT, continuation: str | None = None
    ) -> Rows:
        """Return a person's interactions of the last days, newest first. Contains their words: do not log it.

        The specification's query has no bound. This one returns the newest ``limit`` rows. Times are compared
        as text, so documents must have them in UTC, as the web application writes them.

        Parameters
        ----------
        days
            1 to 365: interactions expire after a year.
        limit
            1 to 1,000.
        continuation
            That of rows that this method returned, to go on after them.

        Raises
        ------
        QueryError
            An argument is out of its bounds.
        """
        key = require_identifier("user_id", user_id)
        within = require_whole("days", days, most=days_kept("user_interactions"))
        return await read_rows(
            self.database,
            "user_interactions",
            "SELECT c.interaction_id, c.timestamp, c.user_query, c.response_metadata, "
            "c.user_rating FROM c WHERE c.user_id = @user_id AND c.timestamp >= @start_date "
            "ORDER BY c.timestamp DESC",
            {"user_id": key, "start_date": since(self._clock.now(), within)},
            partition_key=key,
            limit=require_whole("limit", limit, most=MAX_LIMIT),
            continuation=require_continuation(continuation),
        )

    async def get_incidents_by_content_for_admin(
        self,
        source: str,
        time_period: str = "monthly",
        *,
        limit: int = DEFAULT_LIMIT,
        continuation: str | None = None,
    ) -> Rows:
        """Return a text's incidents by month, newest first.

        Parameters
        ----------
        source
            The text's name in the views: ``bhagavad_gita``; ``unattributed`` for incidents without a text.
        time_period
            ``monthly``. The fleet publishes no other period.
        limit
            Number of months. The specification's query has no bound.
        continuation
            That of rows that this method returned, to go on after them.

        Raises
        ------
        QueryError
            An argument is out of its bounds.
        """
        key = require_identifier("source", source)
        return await read_rows(
            self.database,
            "incidents_by_content",
            "SELECT c.incident_summary, c.content_analysis, c.moderation_actions FROM c "
            "WHERE c.source = @source AND c.time_period = @time_period ORDER BY c.period_start DESC",
            {"source": key, "time_period": require_one_of("time_period", time_period, INCIDENT_PERIODS)},
            partition_key=key,
            limit=require_whole("limit", limit, most=MAX_LIMIT),
            continuation=require_continuation(continuation),
        )
