"""``daily_metrics``: performance, usage, content, models and quality of one day (specification, 2.3)."""

from __future__ import annotations

import re
from typing import Any

from shared.aggregates import day
from shared.aggregates.base import PartialKey
from shared.catalogue import container
from shared.tally import Tally, named, quantile, ratio
from shared.units import MICROS, NANOS_PER_USD, NanoUSD, usd
from shared.views.base import Stamp, States, stamp_fields

NAME = "daily_metrics"

PEAK_WINDOW_SECONDS = 60
"""The peak rate is that of the busiest minute: 1,440 counters a day, where seconds would need 86,400."""

MOST_NAMED = 100
"""Personas and models that a day names: documents make up the names, and a view has to stay a document."""

NOT_MEASURED = {
    "system_performance": ("availability_percent",),
    "usage_statistics": ("avg_session_duration_min", "peak_concurrent_users"),
    "content_performance": ("foundational_texts_coverage",),
    "safety_metrics": (
        "total_abuse_reports",
        "auto_flagged_content",
        "human_reviews_required",
        "safety_violations",
        "content_moderation_accuracy",
    ),
    "business_metrics": (
        "user_retention_rate",
        "session_completion_rate",
        "feature_adoption_rate",
        "churn_rate",
        "nps_score",
    ),
}
"""Fields that interactions cannot supply."""


class DailyMetrics:
    """One document per UTC day; its key is the day, ``2025-08-05``."""

    name = NAME
    container = NAME

    def shows(self, target: PartialKey) -> tuple[str, ...]:
        """Return the day that a partial belongs to."""
        return (target.key,) if target.aggregate == day.NAME else ()

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        """Return the day's state."""
        return (PartialKey(day.NAME, key),)

    def partition(self, key: str) -> str:
        """Return the day."""
        return key

    def document_id(self, key: str) -> str:
        """Return the specification's id, ``daily_metrics_20250805``."""
        return f"daily_metrics_{key.replace('-', '')}"

    def render(self, key: str, states: States, stamp: Stamp) -> dict[str, Any]:
        """Return the specification's document for one day."""
        state = states.of(day.NAME, key)
        interactions, answered = state.total("interactions"), state.total("answered")
        known = state.total("answered#")
        citations = state.total("citations")
        return {
            "id": self.document_id(key),
            "partition_key": key,
            "date": key,
            "document_type": NAME,
            "system_performance": {
                "avg_response_time_ms": state.mean("response_ms", digits=1),
                "p95_response_time_ms": _milliseconds(state, 0.95),
                "p99_response_time_ms": _milliseconds(state, 0.99),
                "total_requests": interactions,
                "successful_requests": answered,
                "error_rate": ratio(known - answered, known),
                **_nulls("system_performance"),
            },
            "usage_statistics": {
                "active_users": state.total("active_users"),
                "new_users": state.total("new_users"),
                "total_sessions": state.total("sessions"),
                "total_interactions": interactions,
                "peak_rps": ratio(max(state.counts("minutes").values(), default=0), PEAK_WINDOW_SECONDS),
                **_nulls("usage_statistics"),
            },
            "content_performance": {
                "total_citations": citations,
                "unique_texts_accessed": len(state.counts("texts")),
                "avg_citation_relevance": state.mean("citation_relevance", MICROS),
                "content_discovery_rate": ratio(len(state.counts("passages")), citations),
                **_nulls("content_performance"),
            },
            "ai_performance": {
                "personalities_used": _personas(state),
                "model_performance": _models(state),
                "rag_performance": {
                    "avg_retrieval_time_ms": state.mean("retrieval_ms", digits=1),
                    "avg_chunks_retrieved": state.mean("chunks", digits=2),
                    "avg_relevance_score": state.mean("rag_relevance", MICROS),
                    "citation_accuracy": state.mean("citation_accuracy", MICROS),
                },
                "total_cost_usd": _dollars(sum(state.counts("model_cost").values()), _priced(state)),
                "unpriced_models": _unpriced(state),
            },
            "resource_utilization": {
                "cosmos_db": dict.fromkeys(
                    ("total_ru_consumed", "avg_ru_per_request", "storage_used_gb", "cost_usd")
                ),
                "azure_functions": dict.fromkeys(
                    ("total_executions", "avg_execution_time_ms", "total_gb_seconds", "cost_usd")
                ),
                "total_infrastructure_cost_usd": None,
            },
            "quality_metrics": {
                "user_satisfaction_avg": state.mean("rating", digits=2),
                "content_accuracy_score": state.mean("accurate"),
                "safety_score": state.mean("safety", MICROS),
                "citation_accuracy": state.mean("citation_accuracy", MICROS),
                "response_relevance": state.mean("relevance", MICROS),
            },
            "safety_metrics": _nulls("safety_metrics"),
            "business_metrics": _nulls("business_metrics"),
            "alerts": None,
            "data_completeness": None,
            **stamp_fields(stamp),
            "_ttl": container(NAME).default_ttl,
        }


def field_key(model: str) -> str:
    """Return a model's name as the specification writes it as a field: ``gemini_2_5_flash``."""
    return re.sub(r"[^A-Za-z0-9]+", "_", model)


def _nulls(block: str) -> dict[str, None]:
    return dict.fromkeys(NOT_MEASURED[block])


def _milliseconds(state: Tally, q: float) -> float | None:
    value = quantile(state.counts("response_ms_histogram"), q)
    return None if value is None else round(value, 1)


def _personas(state: Tally) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "requests": state.over("persona_requests", personas),
            "satisfaction": state.mean_over("persona_rating", personas, digits=2),
            "response_time": state.mean_over("persona_ms", personas, digits=1),
        }
        for name, personas in named(state.counts("persona_requests"), MOST_NAMED).items()
    }


def _models(state: Tally) -> dict[str, dict[str, Any]]:
    # Two spellings of one model share a field: "gemini-2.5-flash" and "gemini_2_5_flash".
    groups = named(state.counts("model_requests"), MOST_NAMED, field_key)
    return {name: _model(state, models) for name, models in groups.items()}


def _model(state: Tally, models: list[str]) -> dict[str, Any]:
    requests, unmeasured = state.over("model_requests", models), state.over("model_unmeasured", models)
    priced, cost = state.over("model_cost#", models), state.over("model_cost", models)
    return {
        "requests": requests,
        "avg_tokens_input": state.mean_over("model_tokens_in", models, digits=2),
        "avg_tokens_output": state.mean_over("model_tokens_out", models, digits=2),
        "total_tokens_input": _measured(state, "model_tokens_in", models),
        "total_tokens_output": _measured(state, "model_tokens_out", models),
        "cost_usd": _dollars(cost, priced),
        "cost_nano_usd": cost if priced else None,
        "unpriced_requests": requests - priced - unmeasured,
        "unmeasured_requests": unmeasured,
        "quality_score": state.mean_over("model_relevance", models, MICROS),
    }


def _measured(state: Tally, name: str, keys: list[str]) -> int | None:
    return state.over(name, keys) if state.over(f"{name}#", keys) else None


def _priced(state: Tally) -> int:
    return sum(state.counts("model_cost#").values())


def _dollars(amount: int, priced: int) -> float | None:
    """An amount with nothing priced behind it is not zero but unknown."""
    return round(usd(NanoUSD(amount)), len(str(NANOS_PER_USD)) - 1) if priced else None


def _unpriced(state: Tally) -> dict[str, int]:
    priced, unmeasured = state.counts("model_cost#"), state.counts("model_unmeasured")
    unpriced = {
        model: requests - priced.get(model, 0) - unmeasured.get(model, 0)
        for model, requests in state.counts("model_requests").items()
    }
    unpriced = {model: requests for model, requests in unpriced.items() if requests}
    return {
        name: sum(unpriced[model] for model in models) for name, models in named(unpriced, MOST_NAMED).items()
    }
