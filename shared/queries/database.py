"""The specification's ``DatabaseService``: general queries, one person's data, persona configurations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from azure.cosmos.aio import DatabaseProxy

from shared.address import Partition
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import finish_all
from shared.containers import container
from shared.cosmos.items import find_item
from shared.cosmos.provisioning import ProvisioningReport, apply_containers
from shared.documents.users import ids_without_owner, owner_of, parse_user
from shared.errors import DocumentError, QueryError
from shared.facts import consent_fact
from shared.ledger.accounts import MAX_ACCOUNTS
from shared.queries.arguments import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    days_kept,
    require_container,
    require_continuation,
    require_identifier,
    require_parameters,
    require_whole,
    since,
)
from shared.queries.optimized import OptimizedQueries
from shared.queries.personas import LIFETIME_SECONDS, PersonaCache
from shared.queries.reading import Document, Rows, read_bounded, read_partition, read_rows

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
"""The specification's list, plus the container that it omits."""

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
"""All fields except ``session_token``, which grants access, and the person's location."""


class UserComprehensiveAnalytics(TypedDict):
    """One person's data. All of it is personal: do not log it."""

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
        Seconds for which a persona's configuration is cached.
    clock
        The clock for the time of day and for lifetimes.
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

        Without ``partition_key`` the query reads every physical partition. The text of the query comes from
        the program. Values from any other source go into ``parameters``, never into the text.

        Parameters
        ----------
        parameters
            ``[{"name": "@user_id", "value": "…"}]``.
        partition_key
            The logical partition to query. The specification's method has no such parameter.
        limit
            Maximum number of rows that the caller accepts, 1 to 1,000.

        Raises
        ------
        QueryError
            An argument is out of its bounds.
        TooManyRowsError
            More than ``limit`` rows match.
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
        """Create missing containers of :data:`ANALYTICS_CONTAINERS`, with the properties in the catalogue.

        Needs the account's key, or a role of the control plane. Data plane roles may not create containers.
        """
        return await apply_containers(self.database, [container(name) for name in ANALYTICS_CONTAINERS])

    async def get_personality_config(self, personality_id: str) -> Document | None:
        """Return the configuration of an active persona, None if there is none. Cached.

        The result is cached for the lifetime, five minutes by default. The absence of a configuration is
        cached for 15 s. After :meth:`forget_personality_config` the next call reads it again. If the
        persona's partition has several active versions, the result is the one written last.

        Raises
        ------
        QueryError
            ``personality_id`` is no identifier.
        """
        return await self._personas.get(require_identifier("personality_id", personality_id))

    def forget_personality_config(self, personality_id: str) -> None:
        """Drop a persona's configuration from this process's cache. The next call reads it again."""
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
        found = await self._accounts_with_user_id(key, 1)
        return found[0] if found else await self._account_without_user_id(key)

    async def _accounts(self, user_id: str) -> list[Document]:
        """Return the accounts of a person that decide about consent, those with a ``user_id`` first."""
        found = await self._accounts_with_user_id(user_id, MAX_ACCOUNTS)
        older = await self._account_without_user_id(user_id)
        return found if older is None else [*found, older]

    async def _accounts_with_user_id(self, user_id: str, limit: int) -> list[Document]:
        return await read_partition(
            self.database,
            "users",
            "SELECT TOP @limit * FROM c WHERE c.user_id = @user_id",
            {"user_id": user_id, "limit": limit},
            partition_key=user_id,
        )

    async def _account_without_user_id(self, user_id: str) -> Document | None:
        """Return an account from before 1.0 that has no ``user_id``, and therefore no partition key."""
        users = self.database.get_container_client("users")
        for document_id in ids_without_owner(user_id):
            found = await find_item(users, document_id, Partition.ABSENT)
            if found is not None and owner_of(found) == user_id:
                return found
        return None

    async def get_user_sessions(
        self, user_id: str, days: int = 30, *, limit: int = DEFAULT_LIMIT, continuation: str | None = None
    ) -> Rows:
        """Return a person's sessions that began in the last days, newest first, without their tokens.

        Parameters
        ----------
        days
            1 to 90: sessions expire after 90 days.
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
        within = require_whole("days", days, most=days_kept("user_sessions"))
        fields = ", ".join(f"c.{field}" for field in _SESSION_FIELDS)
        return await read_rows(
            self.database,
            "user_sessions",
            f"SELECT {fields} FROM c WHERE c.user_id = @user_id "  # noqa: S608 - constants
            "AND c.start_time >= @start_date ORDER BY c.start_time DESC",
            {"user_id": key, "start_date": since(self._clock.now(), within)},
            partition_key=key,
            limit=require_whole("limit", limit, most=MAX_LIMIT),
            continuation=require_continuation(continuation),
        )

    async def get_user_interactions(
        self, user_id: str, days: int = 7, *, limit: int = DEFAULT_LIMIT, continuation: str | None = None
    ) -> Rows:
        """Return the same as :meth:`OptimizedQueries.get_user_interaction_history`."""
        return await self.optimized.get_user_interaction_history(
            user_id, days, limit=limit, continuation=continuation
        )

    async def get_user_analytics(self, user_id: str, period: str = "monthly") -> Document | None:
        """Return a person's newest document of ``user_analytics`` for a kind of period, None without one."""
        found = await self.optimized.get_user_analytics_efficient(user_id, period)
        return found[0] if found else None

    async def get_user_comprehensive_analytics(self, user_id: str) -> UserComprehensiveAnalytics:
        """Return a person's account, sessions of 30 days, interactions of 7, and analytics of the month.

        Four queries run concurrently, each in the person's own partition, and reads of accounts without
        ``user_id``. Each returns at most 100 rows. The summary is None for a person one of whose accounts
        refuses analytics, even while an earlier document still exists.

        Raises
        ------
        QueryError
            ``user_id`` is no identifier.
        """
        key = require_identifier("user_id", user_id)
        accounts = asyncio.ensure_future(self._accounts(key))
        sessions = asyncio.ensure_future(self.get_user_sessions(key, days=30))
        interactions = asyncio.ensure_future(self.get_user_interactions(key, days=7))
        analytics = asyncio.ensure_future(self.get_user_analytics(key, period="monthly"))
        await finish_all(accounts, sessions, interactions, analytics)
        return {
            "user_profile": next(iter(accounts.result()), None),
            "recent_sessions": sessions.result(),
            "recent_interactions": interactions.result(),
            "analytics_summary": None
            if any(map(_refuses_analytics, accounts.result()))
            else analytics.result(),
        }


def _refuses_analytics(account: Document) -> bool:
    """Return whether an account refuses analytics, in any schema version, or whether it is unreadable."""
    try:
        return consent_fact(parse_user(account)).refused
    except DocumentError:
        return True
