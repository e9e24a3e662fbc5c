"""The specification's ``DatabaseService``: any query, one person's data, persona configurations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from azure.cosmos.aio import DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import finish_all
from shared.containers import container
from shared.cosmos.provisioning import ProvisioningReport, apply_containers
from shared.documents.users import parse_user
from shared.errors import DocumentError, QueryError
from shared.facts import consent_fact
from shared.queries.arguments import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    days_kept,
    require_container,
    require_identifier,
    require_parameters,
    require_whole,
    since,
)
from shared.queries.optimized import OptimizedQueries
from shared.queries.personas import LIFETIME_SECONDS, PersonaCache
from shared.queries.reading import Document, read_bounded, read_partition

ANALYTICS_CONTAINERS = (
    "personalities",
    "user_analytics",
    "content_analytics",
    "daily_metrics",
    "abuse_incidents",
    "engagement_summary",
    "content_popularity",
    "system_health",
    "incidents_by_content",
)
"""The specification's list, and the container that it forgot."""

_SESSION_FIELDS = (
    "session_id",
    "start_time",
    "end_time",
    "duration_seconds",
    "last_activity",
    "status",
    "completion_reason",
    "interaction_count",
    "total_response_time_ms",
    "avg_response_time_ms",
    "user_satisfaction_rating",
    "personalities_engaged",
    "foundational_texts_accessed",
    "citation_interactions",
    "content_depth_score",
    "device_info",
    "session_quality_score",
    "engagement_indicators",
)
"""All but ``session_token``, which lets its holder in, and where the person was."""


class UserComprehensiveAnalytics(TypedDict):
    """One person's data. Personal throughout: do not log it."""

    user_profile: Document | None
    recent_sessions: list[Document]
    recent_interactions: list[Document]
    analytics_summary: Document | None


class DatabaseService:
    """Reads for the web application.

    Parameters
    ----------
    database
        The connected database.
    persona_lifetime
        Seconds for which a persona's configuration is used before it is read again.
    clock
        The time of day, and what lifetimes are measured with.
    """

    def __init__(
        self,
        database: DatabaseProxy,
        *,
        persona_lifetime: float = LIFETIME_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.database = database
        self.optimized = OptimizedQueries(database, clock=clock)
        self._clock = clock
        self._personas = PersonaCache(self._read_personality, lifetime=persona_lifetime, clock=clock)

    async def query_documents(
        self,
        container_name: str,
        query: str,
        parameters: Sequence[Mapping[str, Any]] | None = None,
        *,
        partition_key: str | None = None,
        limit: int = MAX_LIMIT,
    ) -> list[Document]:
        """Return all rows of a query on any container of the catalogue.

        Without ``partition_key`` every physical partition is asked. The query's text is the program's own;
        values that come from elsewhere go into ``parameters``, never into the text.

        Parameters
        ----------
        parameters
            ``[{"name": "@user_id", "value": "…"}]``.
        partition_key
            The logical partition to ask; the specification's method has no such parameter.
        limit
            How many rows the caller can take, 1 to 1,000.

        Raises
        ------
        QueryError
            An argument is out of its bounds.
        TooManyRowsError
            More rows match.
        """
        name = require_container(container_name)
        if not isinstance(query, str) or not query.strip():
            raise QueryError("query", "is not the text of a query")
        return await read_bounded(
            self.database,
            name,
            query,
            require_parameters(parameters),
            partition_key=None
            if partition_key is None
            else require_identifier("partition_key", partition_key),
            limit=require_whole("limit", limit, most=MAX_LIMIT),
        )

    async def create_analytics_containers(self) -> ProvisioningReport:
        """Create those of :data:`ANALYTICS_CONTAINERS` that are missing, each as the catalogue describes it.

        Needs the account's key, or a role of the control plane: roles for data may not create containers.
        """
        return await apply_containers(self.database, [container(name) for name in ANALYTICS_CONTAINERS])

    async def get_personality_config(self, personality_id: str) -> Document | None:
        """Return the configuration of an active persona, None if there is none. Cached.

        A change is seen within the lifetime, five minutes unless set otherwise; that there is none is
        believed for 15 s. :meth:`forget_personality_config` makes it at once. Of several active versions in
        the persona's partition it is the one written last.

        Raises
        ------
        QueryError
            ``personality_id`` is no identifier.
        """
        return await self._personas.get(require_identifier("personality_id", personality_id))

    def forget_personality_config(self, personality_id: str) -> None:
        """Read a persona's configuration again when it is next asked for, in this process."""
        self._personas.forget(personality_id)

    async def _read_personality(self, personality_id: str) -> Document | None:
        found = await read_partition(
            self.database,
            "personalities",
            "SELECT TOP 1 * FROM c WHERE c.personality_id = @personality_id AND c.is_active = true "
            "ORDER BY c._ts DESC",
            {"personality_id": personality_id},
            partition_key=personality_id,
        )
        return found[0] if found else None

    async def get_user_profile(self, user_id: str) -> Document | None:
        """Return a person's account, None if there is none.

        Raises
        ------
        QueryError
            ``user_id`` is no identifier.
        """
        key = require_identifier("user_id", user_id)
        found = await read_partition(
            self.database,
            "users",
            "SELECT TOP 1 * FROM c WHERE c.user_id = @user_id",
            {"user_id": key},
            partition_key=key,
        )
        return found[0] if found else None

    async def get_user_sessions(
        self, user_id: str, days: int = 30, *, limit: int = DEFAULT_LIMIT
    ) -> list[Document]:
        """Return a person's sessions that began in the last days, the newest first; never their tokens.

        Parameters
        ----------
        days
            1 to 90: sessions are kept for 90 days.
        limit
            1 to 1,000.

        Raises
        ------
        QueryError
            An argument is out of its bounds.
        """
        key = require_identifier("user_id", user_id)
        within = require_whole("days", days, most=days_kept("user_sessions"))
        fields = ", ".join(f"c.{field}" for field in _SESSION_FIELDS)
        return await read_partition(
            self.database,
            "user_sessions",
            f"SELECT TOP @limit {fields} FROM c WHERE c.user_id = @user_id "  # noqa: S608 - constants
            "AND c.start_time >= @start_date ORDER BY c.start_time DESC",
            {
                "limit": require_whole("limit", limit, most=MAX_LIMIT),
                "user_id": key,
                "start_date": since(self._clock.now(), within),
            },
            partition_key=key,
        )

    async def get_user_interactions(
        self, user_id: str, days: int = 7, *, limit: int = DEFAULT_LIMIT
    ) -> list[Document]:
        """Return the same as :meth:`OptimizedQueries.get_user_interaction_history`."""
        return await self.optimized.get_user_interaction_history(user_id, days, limit=limit)

    async def get_user_analytics(self, user_id: str, period: str = "monthly") -> Document | None:
        """Return a person's newest document of ``user_analytics`` for a kind of period, None without one."""
        found = await self.optimized.get_user_analytics_efficient(user_id, period)
        return found[0] if found else None

    async def get_user_comprehensive_analytics(self, user_id: str) -> UserComprehensiveAnalytics:
        """Return a person's account, sessions of 30 days, interactions of 7, and analytics of the month.

        Four queries at once, each within the person's own partition; at most 100 rows of each. The summary is
        None for a person who refuses analytics, also while a document from before is still there.

        Raises
        ------
        QueryError
            ``user_id`` is no identifier.
        """
        key = require_identifier("user_id", user_id)
        profile = asyncio.ensure_future(self.get_user_profile(key))
        sessions = asyncio.ensure_future(self.get_user_sessions(key, days=30))
        interactions = asyncio.ensure_future(self.get_user_interactions(key, days=7))
        analytics = asyncio.ensure_future(self.get_user_analytics(key, period="monthly"))
        await finish_all(profile, sessions, interactions, analytics)
        return {
            "user_profile": profile.result(),
            "recent_sessions": sessions.result(),
            "recent_interactions": interactions.result(),
            "analytics_summary": None if _refuses_analytics(profile.result()) else analytics.result(),
        }


def _refuses_analytics(profile: Document | None) -> bool:
    """Say whether an account refuses, in any version of its schema, or says nothing that can be read."""
    if profile is None:
        return False
    try:
        return consent_fact(parse_user(profile)).refused
    except DocumentError:
        return True
