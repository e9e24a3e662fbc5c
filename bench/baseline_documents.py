"""The analytics documents of the specification's processor, and what each of its handlers changes in them.

Pure: a handler reads a document, calls one of these, and writes the document back. Means are running means,
since the specification's documents (2.1 and 2.3) hold no sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

Document = dict[str, Any]
Interaction = Mapping[str, Any]

REMEMBERED = 20
"""Names that a list of interests, personas or texts holds at most."""

FULL_ENGAGEMENT = 100
"""Interactions in a month that make an engagement score of 1."""


def month_of(interaction: Interaction) -> str:
    """Return the month of an interaction, ``202508``."""
    text: str = interaction["timestamp"]
    return text[:4] + text[5:7]


def periods_of(interaction: Interaction) -> dict[str, str]:
    """Return the day, week, month and quarter of an interaction, by the specification's names for them."""
    day = date.fromisoformat(interaction["timestamp"][:10])
    year, week, _ = day.isocalendar()
    return {
        "daily": f"{day:%Y%m%d}",
        "weekly": f"{year}W{week:02d}",
        "monthly": f"{day:%Y%m}",
        "quarterly": f"{day.year}Q{(day.month + 2) // 3}",
    }


def user_document_id(user_id: str, period: str) -> str:
    """Return the specification's id."""
    return f"user_analytics_{user_id[:8]}_{period}"


def text_document_id(source: str, month: str) -> str:
    """Return the specification's id."""
    return f"content_analytics_{source}_{month}"


def health_document_id(interaction: Interaction) -> str:
    """Return the specification's id of the five minutes an interaction lies in."""
    moment = datetime.fromisoformat(interaction["timestamp"])
    return f"system_health_performance_{moment:%Y%m%d_%H}{moment.minute - moment.minute % 5:02d}"


def daily_document_id(day: str) -> str:
    """Return the specification's id."""
    return f"daily_metrics_{day.replace('-', '')}"


def new_user_document(user_id: str, kind: str, period: str) -> Document:
    """Return a person's period in which nothing has happened."""
    return {
        "id": user_document_id(user_id, period),
        "partition_key": user_id,
        "user_id": user_id,
        "document_type": "user_analytics",
        "analysis_period": kind,
        "user_profile": {
            "user_tier": "new",
            "engagement_score": 0.0,
            "primary_interests": [],
            "personality_affinity": [],
        },
        "session_metrics": {"total_sessions": 0, "peak_usage_hour": None},
        "interaction_metrics": {
            "total_interactions": 0,
            "avg_interactions_per_session": None,
            "response_satisfaction_avg": None,
            "rated_interactions": 0,
            "citation_engagement_rate": 0.0,
        },
        "content_metrics": {"foundational_texts_accessed": []},
        "quality_indicators": {"sample_size": 0},
        "calculated_at": None,
        "calculation_version": "v2.1",
        "_ttl": 7_776_000,
    }


def new_text_document(source: str, month: str) -> Document:
    """Return a text's month in which nothing has happened."""
    return {
        "id": text_document_id(source, month),
        "partition_key": source,
        "source": source,
        "document_type": "content_analytics",
        "analysis_period": "monthly",
        "usage_metrics": {"total_citations": 0},
        "performance_metrics": {"avg_relevance_score": 0.0, "user_satisfaction_avg": 0.0},
        "quality_metrics": {"rated_interactions": 0},
        "chapter_analytics": {},
        "topic_analytics": {},
        "calculated_at": None,
        "_ttl": 7_776_000,
    }


def add_to_text(text: Document, interaction: Interaction, citation: Mapping[str, Any]) -> None:
    """Count one citation in its text's month."""
    usage, chapters = text["usage_metrics"], text["chapter_analytics"]
    before = usage["total_citations"]
    _running_mean(text["performance_metrics"], "avg_relevance_score", before, citation.get("relevance_score"))
    usage["total_citations"] = before + 1
    chapter = chapters.setdefault(str(citation.get("chapter")), {"usage_count": 0, "verses": {}})
    chapter["usage_count"] += 1
    verse = str(citation.get("verse"))
    chapter["verses"][verse] = chapter["verses"].get(verse, 0) + 1
    topic = (interaction.get("query_metadata") or {}).get("query_category")
    if topic is not None:
        text["topic_analytics"][topic] = text["topic_analytics"].get(topic, 0) + 1
    text["calculated_at"] = interaction["timestamp"]


def new_health_document(interaction: Interaction) -> Document:
    """Return five minutes in which nothing has happened."""
    return {
        "id": health_document_id(interaction),
        "partition_key": "performance",
        "metric_type": "performance",
        "document_type": "system_health",
        "time_window_minutes": 5,
        "requests": 0,
        "performance_metrics": {"avg_response_time_ms": 0.0, "requests_per_second": 0.0, "error_rate": 0.0},
        "quality_indicators": {"user_satisfaction": 0.0, "rated_interactions": 0},
        "_ttl": 86_400,
    }


def add_to_health(health: Document, interaction: Interaction) -> None:
    """Count an interaction in its five minutes."""
    performance, before = health["performance_metrics"], health["requests"]
    _running_mean(performance, "avg_response_time_ms", before, interaction.get("response_time_ms"))
    _running_mean(performance, "error_rate", before, int(not interaction.get("response_text")))
    health["requests"] = before + 1
    performance["requests_per_second"] = health["requests"] / 300
    _add_rating(health["quality_indicators"], "user_satisfaction", interaction)


def new_daily_document(day: str) -> Document:
    """Return a day on which nothing has happened."""
    return {
        "id": daily_document_id(day),
        "partition_key": day,
        "date": day,
        "document_type": "daily_metrics",
        "system_performance": {
            "avg_response_time_ms": 0.0,
            "total_requests": 0,
            "successful_requests": 0,
            "error_rate": 0.0,
        },
        "usage_statistics": {"total_sessions": 0, "total_interactions": 0},
        "content_performance": {"total_citations": 0, "avg_citation_relevance": 0.0},
        "ai_performance": {
            "personalities_used": {},
            "model_performance": {},
            "rag_performance": {"avg_retrieval_time_ms": 0.0, "avg_chunks_retrieved": 0.0},
        },
        "quality_metrics": {"user_satisfaction_avg": 0.0, "rated_interactions": 0},
        "calculated_at": None,
        "calculation_version": "v3.0",
        "_ttl": 31_536_000,
    }


def add_usage(daily: Document, interaction: Interaction) -> None:
    """Count an interaction in its day: requests, sessions, citations, tokens, means."""
    performance, usage = daily["system_performance"], daily["usage_statistics"]
    before = usage["total_interactions"]
    usage["total_interactions"] = before + 1
    usage["total_sessions"] += _begins_session(interaction)
    performance["total_requests"] = before + 1
    performance["successful_requests"] += bool(interaction.get("response_text"))
    performance["error_rate"] = 1 - performance["successful_requests"] / performance["total_requests"]
    _running_mean(performance, "avg_response_time_ms", before, interaction.get("response_time_ms"))
    _add_citations(daily["content_performance"], interaction)
    _add_model_use(daily["ai_performance"], interaction, before)
    _add_rating(daily["quality_metrics"], "user_satisfaction_avg", interaction)
    daily["calculated_at"] = interaction["timestamp"]


def _add_citations(content: Document, interaction: Interaction) -> None:
    for citation in interaction.get("foundational_texts_used") or ():
        before = content["total_citations"]
        _running_mean(content, "avg_citation_relevance", before, citation.get("relevance_score"))
        content["total_citations"] = before + 1


def _add_model_use(ai: Document, interaction: Interaction, before: int) -> None:
    cost_data = interaction.get("cost_data") or {}
    response = interaction.get("response_metadata") or {}
    model = _field(cost_data.get("model_used") or response.get("model_used"))
    use = ai["model_performance"].setdefault(model, _new_model())
    use["total_tokens_input"] += cost_data.get("input_tokens", 0)
    use["total_tokens_output"] += cost_data.get("output_tokens", 0)
    use["requests"] += 1
    persona = ai["personalities_used"].setdefault(
        response.get("personality_used") or "unknown", {"requests": 0, "response_time": 0.0}
    )
    _running_mean(persona, "response_time", persona["requests"], interaction.get("response_time_ms"))
    persona["requests"] += 1
    rag, stages = interaction.get("rag_metadata") or {}, interaction.get("processing_stages") or {}
    _running_mean(ai["rag_performance"], "avg_chunks_retrieved", before, rag.get("chunks_retrieved"))
    _running_mean(ai["rag_performance"], "avg_retrieval_time_ms", before, stages.get("content_retrieval_ms"))


def add_cost(daily: Document, model: str | None, cost_usd: float) -> None:
    """Add what one interaction cost to its model's day."""
    use = daily["ai_performance"]["model_performance"].setdefault(_field(model), _new_model())
    use["cost_usd"] += cost_usd


def _new_model() -> Document:
    return {"requests": 0, "total_tokens_input": 0, "total_tokens_output": 0, "cost_usd": 0.0}


def set_engagement(user: Document, _: Interaction) -> None:
    """Recompute a person's engagement score and tier from what has been counted."""
    interactions = user["interaction_metrics"]["total_interactions"]
    profile = user["user_profile"]
    profile["engagement_score"] = min(1.0, interactions / FULL_ENGAGEMENT)
    profile["user_tier"] = "new" if interactions < 2 else "casual" if interactions < 20 else "engaged"


def add_to_session(user: Document, interaction: Interaction) -> None:
    """Count an interaction in its person's month, and its session with the first of them."""
    sessions, metrics = user["session_metrics"], user["interaction_metrics"]
    sessions["total_sessions"] += _begins_session(interaction)
    sessions["peak_usage_hour"] = int(interaction["timestamp"][11:13])
    cited = bool(interaction.get("foundational_texts_used"))
    _running_mean(metrics, "citation_engagement_rate", metrics["total_interactions"], int(cited))
    metrics["total_interactions"] += 1
    if sessions["total_sessions"]:
        metrics["avg_interactions_per_session"] = metrics["total_interactions"] / sessions["total_sessions"]
    _add_rating(metrics, "response_satisfaction_avg", interaction)
    user["quality_indicators"]["sample_size"] = metrics["total_interactions"]
    user["calculated_at"] = interaction["timestamp"]


def add_preferences(user: Document, interaction: Interaction) -> None:
    """Note persona, category and texts of an interaction in its person's month."""
    profile, content = user["user_profile"], user["content_metrics"]
    response, query = interaction.get("response_metadata") or {}, interaction.get("query_metadata") or {}
    _remember(profile["personality_affinity"], response.get("personality_used"))
    _remember(profile["primary_interests"], query.get("query_category"))
    for citation in interaction.get("foundational_texts_used") or ():
        _remember(content["foundational_texts_accessed"], citation.get("source"))


def _begins_session(interaction: Interaction) -> int:
    return int(interaction.get("sequence_number") == 1)


def _add_rating(metrics: Document, name: str, interaction: Interaction) -> None:
    rating = interaction.get("user_rating")
    if rating is not None:
        _running_mean(metrics, name, metrics["rated_interactions"], rating)
        metrics["rated_interactions"] += 1


def _running_mean(into: Document, name: str, before: int, value: float | None) -> None:
    if value is not None:
        mean = into[name] or 0.0
        into[name] = mean + (value - mean) / (before + 1)


def _remember(names: list[str], name: str | None) -> None:
    if name is not None and name not in names and len(names) < REMEMBERED:
        names.append(name)


def _field(model: str | None) -> str:
    return (model or "unknown").replace("-", "_").replace(".", "_")
