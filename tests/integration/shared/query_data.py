"""What the tests of the queries read: two people, persona versions, and views as the fleet publishes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from azure.cosmos.aio import DatabaseProxy

NOW = datetime(2025, 8, 5, 14, 39, 15, 500_000, tzinfo=UTC)

ANN, BEN, CID, DOT = (f"e45d45fe-{name}" for name in ("ann", "ben", "cid", "dot"))

Documents = dict[str, list[dict[str, Any]]]


def text(moment: datetime) -> str:
    """Write a moment as the web application does, in milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def interaction(name: str, user_id: str, timestamp: str) -> dict[str, Any]:
    return {
        "id": f"interaction_{name}",
        "user_id": user_id,
        "interaction_id": name,
        "timestamp": timestamp,
        "user_query": f"question {name}",
        "response_text": "never asked for",
        "response_metadata": {"personality_used": "krishna"},
        "user_rating": 5,
    }


def session(name: str, user_id: str, began: datetime) -> dict[str, Any]:
    return {
        "id": f"session_{name}",
        "user_id": user_id,
        "session_id": f"session_{name}",
        "session_token": "secret-token",
        "location_context": {"ip_hash": "hash-of-an-address"},
        "start_time": text(began),
        "status": "completed",
    }


def _analytics(user_id: str, period: str, start: str) -> dict[str, Any]:
    return {
        "id": f"user_analytics_{user_id}_{period}_{start}",
        "user_id": user_id,
        "analysis_period": period,
        "period_start": f"{start}T00:00:00Z",
    }


def _popularity(kind: str, date: str) -> dict[str, Any]:
    return {
        "id": f"content_popularity_{kind}_{date}",
        "time_period": kind,
        "date": date,
        "top_foundational_texts": [{"source": f"{kind} {date}"}],
        "trending_content": [],
        "data_points": 1,
    }


def _incidents(source: str, month: str) -> dict[str, Any]:
    return {
        "id": f"incidents_{source}_{month}",
        "source": source,
        "time_period": "monthly",
        "period_start": f"{month}-01T00:00:00Z",
        "incident_summary": {"total_incidents": int(month[-1])},
        "content_analysis": {},
        "moderation_actions": {},
        "trend_analysis": {},
    }


def _account(user_id: str, **consent: Any) -> dict[str, Any]:
    return {"id": f"user_{user_id}", "user_id": user_id, "name": user_id, **consent}


def _health(kind: str, at: str) -> dict[str, Any]:
    return {"id": f"system_health_{kind}_{at}", "metric_type": kind, "timestamp": f"2025-08-05T{at}:00Z"}


def _tier(tier: str, updated: str) -> dict[str, Any]:
    return {
        "id": f"engagement_summary_{tier}_202508",
        "engagement_tier": tier,
        "last_updated": f"2025-08-05T{updated}:00Z",
    }


def documents() -> Documents:
    """Return the documents by container."""
    week = NOW - timedelta(days=7)
    return {
        "users": [
            _account(ANN, privacy_settings={"analytics_consent": True}),
            _account(BEN, privacy_settings={"analytics_consent": False}),
            _account(CID, analytics_consent=False),
            _account(DOT, privacy_settings={"analytics_consent": "no"}),
        ],
        "user_sessions": [
            session("new", ANN, NOW - timedelta(days=1)),
            session("older", ANN, NOW - timedelta(days=29)),
            session("too-old", ANN, NOW - timedelta(days=31)),
            session("bens", BEN, NOW),
        ],
        "user_interactions": [
            interaction("newest", ANN, text(NOW)),
            interaction("in-the-first-second", ANN, text(week.replace(microsecond=100_000))),
            interaction("without-fraction", ANN, f"{week:%Y-%m-%dT%H:%M:%S}Z"),
            interaction("too-old", ANN, text(week - timedelta(seconds=1))),
            interaction("bens", BEN, text(NOW)),
        ],
        "user_analytics": [
            *(_analytics(ANN, "monthly", start) for start in ("2025-06-01", "2025-08-01", "2025-07-01")),
            _analytics(ANN, "daily", "2025-08-05"),
            *(_analytics(person, "monthly", "2025-08-01") for person in (BEN, CID, DOT)),
        ],
        "content_popularity": [
            *(_popularity("daily", f"2025-08-0{day}") for day in (3, 5, 4)),
            _popularity("weekly", "2025-08-04"),
        ],
        "incidents_by_content": [
            *(_incidents("bhagavad_gita", month) for month in ("2025-07", "2025-08")),
            _incidents("upanishads", "2025-08"),
        ],
        "system_health": [
            _health("performance", "14:30"),
            _health("performance", "14:35"),
            _health("safety", "14:40"),
        ],
        "engagement_summary": [
            _tier(tier, updated)
            for tier, updated in (
                ("new", "10:00"),
                ("casual", "14:00"),
                ("engaged", "12:00"),
                ("power_user", "13:00"),
                ("churned", "11:00"),
            )
        ],
        "personalities": [
            {"id": "krishna", "personality_id": "krishna", "is_active": True, "temperature": 0.7},
            {"id": "krishna_draft", "personality_id": "krishna", "is_active": False, "temperature": 2},
            {"id": "socrates", "personality_id": "socrates", "is_active": False},
        ],
    }


async def write(database: DatabaseProxy, data: Documents) -> None:
    """Write documents, by container."""
    for name, items in data.items():
        container = database.get_container_client(name)
        for item in items:
            await container.upsert_item(item)
