"""What the views must show, computed from the source documents naively. Imports nothing of ``shared``.

For every published document the whole expected document is built and compared leaf by leaf, so that a field
that is wrong, missing or made up shows, whichever it is.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.differences import Near, differences

Document = dict[str, Any]

MOST_SHOWN = 40
"""Differences that one failure lists."""

PER_MILLION_USD = {
    "gemini-2.5-flash": (0.30, 2.50),
    "gemini-2.5-flash-lite": (0.10, 0.40),
    "gemini-2.0-flash": (0.10, 0.40),
    "gemini-2.5-pro": (1.25, 10.0),
}
"""Google's list prices, input and output; gemini-2.5-pro up to 200,000 input tokens."""

BLOCKS = ("cost_data", "response_metadata", "query_metadata", "quality_metrics", "rag_metadata")
OLD_BLOCKS = ("interaction_data", "context_data")

OLD_MODEL_NAMES = {"gemini-flash": "gemini-2.5-flash"}

# --- the documents ------------------------------------------------------------------------------------------


def in_todays_shape(document: Document) -> Document:
    """Rewrite an interaction from before there were versions; any other comes back as it is.

    There were two shapes: all data under ``interaction_data``, and fields with other names at the top.
    """
    if document.get("schema_version") is not None or document.get("profile_version") is not None:
        return document
    if document.get("document_type") == "interaction" or document.get("interaction_data") is not None:
        data = document.get("interaction_data") or {}
        query, answer = data.get("user_query"), data.get("response_text")
        persona, rating, usage = data.get("personality_used"), data.get("user_rating"), data
    elif document.get("context_data") is not None and "cost_data" not in document:
        data = document
        query, answer = data.get("user_input"), data.get("ai_response")
        persona, rating, usage = data.get("personality_id"), data.get("feedback_rating"), data["context_data"]
    else:
        return document
    model = OLD_MODEL_NAMES.get(usage.get("model_used"), usage.get("model_used"))
    asked, answered = usage.get("input_tokens"), usage.get("output_tokens")
    if not asked and not answered:  # nobody had counted them
        asked = answered = None
    return {
        "id": document.get("id"),
        "user_id": document.get("user_id"),
        "session_id": data.get("session_id"),
        "timestamp": document.get("timestamp"),
        "created_at": document.get("created_at"),
        "user_query": query,
        "response_text": answer,
        "response_time_ms": data.get("response_time_ms") or None,
        "response_metadata": {"personality_used": persona, "model_used": model},
        "user_rating": rating,
        "cost_data": {"input_tokens": asked, "output_tokens": answered, "model_used": model},
        **{name: document[name] for name in ("_ts",) if name in document},
    }


def is_malformed(document: object) -> bool:
    """Say whether a document breaks a rule that keeps it from being counted."""
    if not isinstance(document, dict):
        return True
    if any(not isinstance(document.get(block), dict | None) for block in (*BLOCKS, *OLD_BLOCKS)):
        return True
    document = in_todays_shape(document)
    usage = document.get("cost_data") or {}
    tokens = [usage.get("input_tokens"), usage.get("output_tokens")]
    rating, citations = document.get("user_rating"), document.get("foundational_texts_used")
    texts = [document.get("user_query") or "", document.get("response_text") or ""]
    return (
        not all(isinstance(document.get(name), str) and document[name] for name in ("id", "user_id"))
        or not all(count is None or whole_between(count, 0, 10_000_000) for count in tokens)
        or not (rating is None or whole_between(rating, 1, 5))
        or not (citations is None or isinstance(citations, list))
        or any(not isinstance(citation, dict) for citation in (citations or [])[:50])
        or any(len(text) > 262_144 for text in texts)
        or document.get("schema_version") not in (None, "1.0", "1.1")
        or has_impossible_time(document)
    )


def whole_between(value: object, least: int, most: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return least <= value <= most and value == int(value)


def has_impossible_time(document: Document) -> bool:
    moment = moment_of(document)
    if moment is None or not 2000 <= moment.year < 2100:
        return True
    return "_ts" in document and moment > datetime.fromtimestamp(document["_ts"], UTC) + timedelta(days=1)


def moment_of(document: Document) -> datetime | None:
    text = document["timestamp"] if document.get("timestamp") is not None else document.get("created_at")
    try:
        moment = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def at(document: Document) -> datetime:
    moment = moment_of(document)
    assert moment is not None
    return moment


def day_of(document: Document) -> str:
    return f"{at(document):%Y-%m-%d}"


def is_answered(document: Document) -> bool | None:
    """Say whether there is an answer, None where neither a text nor a length tells."""
    text = document.get("response_text")
    length = (document.get("response_metadata") or {}).get("response_length")
    if text is None and length is None:
        return None
    return (len(text) if text is not None else length) > 0


def model_of(document: Document) -> str:
    usage, response = document.get("cost_data") or {}, document.get("response_metadata") or {}
    return usage.get("model_used") or response.get("model_used") or "unknown"


def persona_of(document: Document) -> str:
    return (document.get("response_metadata") or {}).get("personality_used") or "unknown"


def tokens(document: Document, name: str) -> int | None:
    count = (document.get("cost_data") or {}).get(name)
    return None if count is None else int(count)


def has_tokens(document: Document) -> bool:
    return tokens(document, "input_tokens") is not None and tokens(document, "output_tokens") is not None


def cost_of(document: Document) -> int | None:
    """Nano-dollars: dollars per million tokens are thousands of nano-dollars per token."""
    price = PER_MILLION_USD.get(model_of(document))
    tokens_in, tokens_out = tokens(document, "input_tokens"), tokens(document, "output_tokens")
    if price is None or tokens_in is None or tokens_out is None:
        return None
    if model_of(document) == "gemini-2.5-pro" and tokens_in > 200_000:
        price = (2.50, 15.0)
    per_in, per_out = (round(dollars * 1000) for dollars in price)
    return tokens_in * per_in + tokens_out * per_out


def unpriced(documents: Iterable[Document]) -> list[Document]:
    """The interactions that lack nothing but a price."""
    return [d for d in documents if has_tokens(d) and cost_of(d) is None]


def unmeasured(documents: Iterable[Document]) -> int:
    """How many interactions do not say how many tokens they took."""
    return sum(not has_tokens(document) for document in documents)


def costs_of(documents: Iterable[Document]) -> list[int]:
    """The costs of the interactions that have a price."""
    return [cost for document in documents if (cost := cost_of(document)) is not None]


def citations_of(documents: Iterable[Document]) -> list[Document]:
    """All citations, of each interaction the first 50."""
    return [c for document in documents for c in (document.get("foundational_texts_used") or [])[:50]]


def passage_of(citation: Document) -> tuple[str | None, ...]:
    parts = (citation.get("source"), citation.get("chapter"), citation.get("verse"))
    return tuple(None if part is None else str(part) for part in parts)


def measured(documents: Iterable[Document], *path: str) -> list[float]:
    """Return the values at a path, where there are any."""
    found = []
    for document in documents:
        value: Any = document
        for name in path:
            value = (value or {}).get(name)
        if value is not None:
            found.append(float(value))
    return found


# --- arithmetic ---------------------------------------------------------------------------------------------


def rounded(value: float | None, digits: int) -> Near | None:
    """A value that is shown with so many digits after the point."""
    return None if value is None else Near(value, 0.5001 * 10**-digits + 1e-12)


def mean(values: Sequence[float], digits: int) -> Near | None:
    return rounded(math.fsum(values) / len(values), digits) if values else None


def part_of(part: float, whole: float, digits: int = 4) -> Near | None:
    return rounded(part / whole, digits) if whole else None


def nearest_rank(values: Sequence[float], q: float) -> Near | None:
    """The exact quantile, which is shown within one per cent and then rounded to a tenth."""
    if not values:
        return None
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    return Near(exact, exact * 0.01 + 0.0501)


def most_frequent(counts: Mapping[Any, int], k: int) -> list[Any]:
    """The k that occur most; of those that occur equally often, the first by name."""
    return sorted(counts, key=lambda key: (-counts[key], key))[:k]


def most_frequent_one(values: Iterable[Any]) -> Any:
    return next(iter(most_frequent(Counter(values), 1)), None)


def grouped(documents: Iterable[Document], key: Callable[[Document], Any]) -> dict[Any, list[Document]]:
    groups: dict[Any, list[Document]] = defaultdict(list)
    for document in documents:
        groups[key(document)].append(document)
    return groups


def named(documents: list[Document], name_of: Callable[[Document], str]) -> dict[str, list[Document]]:
    """Group under the 100 names that occur most; whatever has another name comes under "other"."""
    often = most_frequent(Counter(map(name_of, documents)), 100)
    return grouped(documents, lambda d: name_of(d) if name_of(d) in often else "other")


def nothing(*names: str) -> dict[str, None]:
    """Fields that interactions do not supply."""
    return dict.fromkeys(names)


def dollars(costs: Sequence[int]) -> Near | None:
    return Near(sum(costs) / 1e9, 1e-9) if costs else None


# --- one day ------------------------------------------------------------------------------------------------


def expected_day(day: str, documents: list[Document], new_users: int) -> Document:
    """Build the document of ``daily_metrics`` for one day."""
    answers = [answered for d in documents if (answered := is_answered(d)) is not None]
    times = measured(documents, "response_time_ms")
    sessions = {(d["user_id"], d["session_id"]) for d in documents if d.get("session_id") is not None}
    minutes = Counter(f"{at(d):%H:%M}" for d in documents)
    return {
        "id": "daily_metrics_" + day.replace("-", ""),
        "partition_key": day,
        "date": day,
        "document_type": "daily_metrics",
        "system_performance": {
            "avg_response_time_ms": mean(times, 1),
            "p95_response_time_ms": nearest_rank(times, 0.95),
            "p99_response_time_ms": nearest_rank(times, 0.99),
            "total_requests": len(documents),
            "successful_requests": answers.count(True),
            "error_rate": part_of(answers.count(False), len(answers)),
            "availability_percent": None,
        },
        "usage_statistics": {
            "active_users": len({d["user_id"] for d in documents}),
            "new_users": new_users,
            "total_sessions": len(sessions),
            "total_interactions": len(documents),
            "peak_rps": rounded(max(minutes.values(), default=0) / 60, 4),
            **nothing("avg_session_duration_min", "peak_concurrent_users"),
        },
        "content_performance": expected_content(documents),
        "ai_performance": expected_ai(documents),
        "resource_utilization": {
            "cosmos_db": nothing("total_ru_consumed", "avg_ru_per_request", "storage_used_gb", "cost_usd"),
            "azure_functions": nothing(
                "total_executions", "avg_execution_time_ms", "total_gb_seconds", "cost_usd"
            ),
            "total_infrastructure_cost_usd": None,
        },
        "quality_metrics": {
            "user_satisfaction_avg": mean(measured(documents, "user_rating"), 2),
            "content_accuracy_score": mean(measured(documents, "user_feedback", "accurate"), 4),
            "safety_score": mean(measured(documents, "quality_metrics", "safety_score"), 4),
            "citation_accuracy": mean(measured(documents, "quality_metrics", "citation_accuracy"), 4),
            "response_relevance": mean(measured(documents, "quality_metrics", "response_relevance"), 4),
        },
        "safety_metrics": nothing(
            "total_abuse_reports",
            "auto_flagged_content",
            "human_reviews_required",
            "safety_violations",
            "content_moderation_accuracy",
        ),
        "business_metrics": nothing(
            "user_retention_rate",
            "session_completion_rate",
            "feature_adoption_rate",
            "churn_rate",
            "nps_score",
        ),
        **nothing("alerts", "data_completeness"),
    }


def expected_content(documents: list[Document]) -> Document:
    citations = citations_of(documents)
    return {
        "total_citations": len(citations),
        "unique_texts_accessed": len({citation.get("source") for citation in citations}),
        "avg_citation_relevance": mean(measured(citations, "relevance_score"), 4),
        "content_discovery_rate": part_of(len(set(map(passage_of, citations))), len(citations)),
        "foundational_texts_coverage": None,
    }


def expected_ai(documents: list[Document]) -> Document:
    return {
        "personalities_used": {
            persona: {
                "requests": len(own),
                "satisfaction": mean(measured(own, "user_rating"), 2),
                "response_time": mean(measured(own, "response_time_ms"), 1),
            }
            for persona, own in named(documents, persona_of).items()
        },
        "model_performance": {
            name: expected_model(own)
            for name, own in named(
                documents, lambda d: model_of(d).replace("-", "_").replace(".", "_")
            ).items()
        },
        "rag_performance": {
            "avg_retrieval_time_ms": mean(
                measured(documents, "processing_stages", "content_retrieval_ms"), 1
            ),
            "avg_chunks_retrieved": mean(measured(documents, "rag_metadata", "chunks_retrieved"), 2),
            "avg_relevance_score": mean(measured(documents, "rag_metadata", "avg_relevance_score"), 4),
            "citation_accuracy": mean(measured(documents, "quality_metrics", "citation_accuracy"), 4),
        },
        "total_cost_usd": dollars(costs_of(documents)),
        "unpriced_models": {model: len(own) for model, own in named(unpriced(documents), model_of).items()},
    }


def expected_model(documents: list[Document]) -> Document:
    costs = costs_of(documents)
    tokens_in = [n for d in documents if (n := tokens(d, "input_tokens")) is not None]
    tokens_out = [n for d in documents if (n := tokens(d, "output_tokens")) is not None]
    return {
        "requests": len(documents),
        "avg_tokens_input": mean(tokens_in, 2),
        "avg_tokens_output": mean(tokens_out, 2),
        "total_tokens_input": sum(tokens_in) if tokens_in else None,
        "total_tokens_output": sum(tokens_out) if tokens_out else None,
        "cost_usd": dollars(costs),
        "cost_nano_usd": sum(costs) if costs else None,
        "unpriced_requests": len(unpriced(documents)),
        "unmeasured_requests": unmeasured(documents),
        "quality_score": mean(measured(documents, "quality_metrics", "response_relevance"), 4),
    }


# --- one person's month -------------------------------------------------------------------------------------


def expected_month(user: str, month: str, documents: list[Document]) -> Document:
    """Build the document of ``user_analytics`` for one person and month, ``2025-08``."""
    start = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    following = (start + timedelta(days=31)).replace(day=1)
    costs = costs_of(documents)
    return {
        "id": f"user_analytics_{user[:8]}_{month.replace('-', '')}",
        "partition_key": user,
        "user_id": user,
        "document_type": "user_analytics",
        "analysis_period": "monthly",
        "period_start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "period_end": f"{following - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}",
        **expected_conversation(documents),
        "content_metrics": expected_reading(documents),
        "behavioral_insights": {
            "peak_engagement_time": most_frequent_one(map(daytime_of, documents)),
            **nothing("usage_pattern", "session_triggers", "response_preferences", "learning_progression"),
        },
        "predictions": nothing(
            "churn_risk_score",
            "lifetime_value_estimate",
            "next_session_probability",
            "upgrade_propensity",
            "content_recommendation_confidence",
        ),
        "cost": {
            "nano_usd": sum(costs) if costs else None,
            "unpriced_interactions": len(unpriced(documents)),
            "unmeasured_interactions": unmeasured(documents),
        },
        "quality_indicators": {
            "sample_size": len(documents),
            "statistical_significance": len(documents) >= 30,
            **nothing("data_completeness", "calculation_confidence"),
        },
        "next_calculation_due": None,
    }


def expected_conversation(documents: list[Document]) -> Document:
    in_sessions = [d for d in documents if d.get("session_id") is not None]
    sessions = {d["session_id"] for d in in_sessions}
    days = sorted({at(d).date() for d in documents})
    gaps = len(sessions) - 1
    categories = measured_words(documents, "query_category")
    levels = {"low": 0.0, "medium": 0.5, "high": 1.0}
    complexity = [levels[word] for word in measured_words(documents, "query_complexity") if word in levels]
    cited = [d for d in documents if d.get("foundational_texts_used")]
    return {
        "user_profile": {
            "primary_interests": most_frequent(Counter(categories), 5),
            "personality_affinity": most_frequent(Counter(map(persona_of, documents)), 5),
            **nothing("user_tier", "engagement_score", "expertise_level"),
        },
        "session_metrics": {
            "total_sessions": len(sessions),
            "peak_usage_hour": most_frequent_one(at(d).hour for d in documents),
            "session_frequency_days": rounded((days[-1] - days[0]).days / gaps, 2) if gaps > 0 else None,
            **nothing("avg_session_duration_min", "session_completion_rate", "preferred_session_length"),
        },
        "interaction_metrics": {
            "total_interactions": len(documents),
            "avg_interactions_per_session": part_of(len(in_sessions), len(sessions), 2),
            "query_complexity_avg": mean(complexity, 4),
            "response_satisfaction_avg": mean(measured(documents, "user_rating"), 2),
            "citation_engagement_rate": part_of(len(cited), len(documents)),
        },
    }


def expected_reading(documents: list[Document]) -> Document:
    citations = citations_of(documents)
    passages = len(set(map(passage_of, citations)))
    sources = Counter(c.get("source") or "unknown" for c in citations)
    return {
        "foundational_texts_accessed": sorted(most_frequent(sources, 100)),
        "content_discovery_rate": part_of(passages, len(citations)),
        # Shown as 1 minus the rounded rate, so rounded like it.
        "content_retention_rate": part_of(len(citations) - passages, len(citations)),
        **nothing("content_depth_score", "favorite_content_types"),
    }


def measured_words(documents: Iterable[Document], name: str) -> list[str]:
    words = ((d.get("query_metadata") or {}).get(name) for d in documents)
    return [word for word in words if word is not None]


def daytime_of(document: Document) -> str:
    hour = at(document).hour
    if 5 <= hour < 12:
        return "morning"
    if 12 <= hour < 17:
        return "afternoon"
    return "evening" if 17 <= hour < 22 else "night"


# --- comparison ---------------------------------------------------------------------------------------------


def assert_views_equal(
    daily: Iterable[Document], users: Iterable[Document], documents: list[Document]
) -> None:
    """Compare both published containers with what the documents give, field by field.

    A day or month from which every document was moved away is published as one without activity.
    """
    good = [in_todays_shape(document) for document in documents if not is_malformed(document)]
    found = [
        *differences_by_day({shown["date"]: shown for shown in daily}, good),
        *differences_by_month(
            {(shown["user_id"], shown["period_start"][:7]): shown for shown in users}, good
        ),
    ]
    listed = "\n".join(found[:MOST_SHOWN])
    assert not found, f"{len(found)} differences, from {len(good)} good documents:\n{listed}"


def differences_by_day(shown: Mapping[str, Document], documents: list[Document]) -> Iterator[str]:
    first_days = Counter(min(map(day_of, own)) for own in grouped(documents, lambda d: d["user_id"]).values())
    days = grouped(documents, day_of)
    for day in sorted(shown.keys() | days.keys()):
        expected = expected_day(day, days.get(day, []), first_days[day])
        yield from differences(f"daily_metrics {day}", shown.get(day), expected)


def differences_by_month(
    shown: Mapping[tuple[str, str], Document], documents: list[Document]
) -> Iterator[str]:
    months = grouped(documents, lambda d: (d["user_id"], f"{at(d):%Y-%m}"))
    for user, month in sorted(shown.keys() | months.keys()):
        expected = expected_month(user, month, months.get((user, month), []))
        yield from differences(f"user_analytics {user} {month}", shown.get((user, month)), expected)
