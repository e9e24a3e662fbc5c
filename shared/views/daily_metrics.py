"""``daily_metrics``: performance, usage, content, models and quality of one day (specification, 2.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.aggregates import churn, day
from shared.aggregates.base import PartialKey
from shared.aggregates.tally import NO_SAMPLES, Tally, group_by_display_name, quantile, ratio
from shared.builds.content import Figures
from shared.builds.graph import CONTENT, is_day
from shared.builds.rows import WINDOW_MINUTES, WindowRow
from shared.containers import container
from shared.facts.incidents import CONFIRMED, FALSE_POSITIVE
from shared.scores import data_completeness
from shared.units import MICROS, NANOS_PER_USD, NanoUSD, usd
from shared.views.alerts import THRESHOLDS, Course, alerts, courses
from shared.views.base import ClocklessView, Rendered, Schedule, Stamp, States, stamp_fields
from shared.views.fields import not_measured
from shared.views.reference import Reference

NAME = "daily_metrics"

PEAK_WINDOW_SECONDS = 60
"""The peak rate is the rate of the busiest minute. Minutes need 1,440 counters a day, seconds 86,400."""

MOST_NAMED = 100
"""Personas and models that a day names. Sources can contain any number of names; a view is one document."""

AWAITING_REVIEW = ("pending_human_review", "under_investigation")


class DailyMetrics(ClocklessView):
    """One document per UTC day. The key is the day, ``2025-08-05``."""

    name = NAME
    example = "2025-08-05"
    container = NAME
    sources = frozenset({"user_interactions", "user_sessions", "abuse_incidents"})
    facts: Mapping[str, int] = {"user_interactions": 4, "user_sessions": 3, "abuse_incidents": 2}
    uses_reference = True
    schedule = Schedule.LIVE

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        """Return the day of a changed state, or of a content that was built."""
        is_day_of = target.aggregate in (day.NAME, churn.NAME)
        is_content_of = target.aggregate == CONTENT and is_day(target.key)
        return (target.key,) if is_day_of or is_content_of else ()

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        return (PartialKey(day.NAME, key), PartialKey(churn.NAME, key))

    def contents(self, key: str) -> tuple[tuple[str, ...], ...]:
        """Return the content of the day, for the figures that no shard can count alone."""
        return ((key,),)

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        """Return the document of the day. A day on which nothing happened has none."""
        state = states.of(day.NAME, key)
        body = _document(key, state, states, stamp) if state else None
        return [Rendered(document_id(key), key, body)]


def document_id(key: str) -> str:
    """Return the id of a day's document."""
    return f"{NAME}_{key.replace('-', '')}"


def _document(key: str, state: Tally, states: States, stamp: Stamp) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": document_id(key),
        "partition_key": key,
        "date": key,
        "document_type": NAME,
        "system_performance": _system_performance(state),
        "usage_statistics": _usage_statistics(state),
        "content_performance": _content_performance(state, states.figures, states.reference),
        "ai_performance": _ai_performance(state),
        "resource_utilization": _resource_utilization(),
        "quality_metrics": _quality_metrics(state),
        "safety_metrics": _safety_metrics(state),
        "business_metrics": _business_metrics(state, states.of(churn.NAME, key)),
        "input_quality": _input_quality(state),
        "data_completeness": _completeness(state),
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }
    figures = {
        "error_rate": body["system_performance"]["error_rate"],
        "avg_response_time_ms": body["system_performance"]["avg_response_time_ms"],
        "user_satisfaction": body["quality_metrics"]["user_satisfaction_avg"],
    }
    body["alerts"] = alerts(figures, _courses(states.figures))
    return body


def _courses(built: Figures | None) -> list[Course]:
    """Return the alerts of the day's windows, as of the last build of the day."""
    windows = {} if built is None else built.windows
    rows = [
        (int(number) * WINDOW_MINUTES, WindowRow(*windows[number])) for number in sorted(windows, key=int)
    ]
    return courses(
        (minute, {threshold.figure: getattr(row, threshold.figure) for threshold in THRESHOLDS})
        for minute, row in rows
    )


def _system_performance(state: Tally) -> dict[str, Any]:
    answered, known = state.total("answered"), state.samples("answered")
    return {
        "avg_response_time_ms": state.mean("response_ms", digits=1),
        "p95_response_time_ms": _milliseconds(state, 0.95),
        "p99_response_time_ms": _milliseconds(state, 0.99),
        "total_requests": state.total("interactions"),
        "successful_requests": answered,
        "error_rate": ratio(known - answered, known),
        **not_measured(NAME, "system_performance"),
    }


def _usage_statistics(state: Tally) -> dict[str, Any]:
    return {
        "active_users": state.total("active_users"),
        "new_users": state.total("new_users"),
        "total_sessions": state.total("sessions"),
        "total_interactions": state.total("interactions"),
        "peak_rps": ratio(max(state.counts("minutes").values(), default=0), PEAK_WINDOW_SECONDS),
        "avg_session_duration_min": state.mean("session_seconds", 60, digits=2),
        "peak_concurrent_users": _peak(state.counts("open")),
    }


def _content_performance(state: Tally, built: Figures | None, reference: Reference) -> dict[str, Any]:
    known = reference.texts.keys()
    return {
        "total_citations": state.total("citations"),
        "unique_texts_accessed": len(state.counts("texts")),
        "avg_citation_relevance": state.mean("citation_relevance", MICROS),
        "content_discovery_rate": None if built is None else ratio(built.passages, built.citations),
        "foundational_texts_coverage": ratio(len(known & state.counts("texts").keys()), len(known)),
    }


def _ai_performance(state: Tally) -> dict[str, Any]:
    return {
        "personalities_used": _personas(state),
        "model_performance": _models(state),
        "rag_performance": {
            "avg_retrieval_time_ms": state.mean("retrieval_ms", digits=1),
            "avg_chunks_retrieved": state.mean("chunks", digits=2),
            "avg_relevance_score": state.mean("rag_relevance", MICROS),
            "citation_accuracy": state.mean("citation_accuracy", MICROS),
        },
        "token_totals_differ": state.total("totals_differ"),
        "total_cost_usd": _dollars(
            sum(cost.total for cost in state.means_by("model_cost").values()), _priced(state)
        ),
        "unpriced_models": _unpriced(state),
    }


def _resource_utilization() -> dict[str, Any]:
    return {
        "cosmos_db": not_measured(NAME, "resource_utilization.cosmos_db"),
        "azure_functions": not_measured(NAME, "resource_utilization.azure_functions"),
        "total_infrastructure_cost_usd": None,
    }


def _quality_metrics(state: Tally) -> dict[str, Any]:
    return {
        "user_satisfaction_avg": state.mean("rating", digits=2),
        "content_accuracy_score": state.mean("accurate"),
        "safety_score": state.mean("safety", MICROS),
        "citation_accuracy": state.mean("citation_accuracy", MICROS),
        "response_relevance": state.mean("relevance", MICROS),
        "helpful_share": state.mean("helpful"),
        "relevant_share": state.mean("relevant"),
        "well_cited_share": state.mean("well_cited"),
        "session_satisfaction_avg": state.mean("session_rating", MICROS, digits=2),
        "session_quality_avg": state.mean("session_quality", MICROS),
    }


def _safety_metrics(state: Tally) -> dict[str, Any]:
    return {
        "total_abuse_reports": state.total("incidents"),
        "auto_flagged_content": state.total("incidents_automatic"),
        "human_reviews_required": state.sum_over("incident_reviews", AWAITING_REVIEW),
        "safety_violations": state.counts("incident_decisions").get(CONFIRMED, 0),
        "content_moderation_accuracy": _moderation_accuracy(state),
        "filtered_answers": state.total("filtered"),
    }


def _business_metrics(state: Tally, people: Tally) -> dict[str, Any]:
    active_users, outcomes = state.total("active_users"), state.counts("session_outcomes")
    return {
        "user_retention_rate": ratio(active_users - state.total("new_users"), active_users),
        "session_completion_rate": ratio(outcomes.get("completed", 0), sum(outcomes.values())),
        "churn_rate": ratio(people.total(churn.LEFT), people.total(churn.PRESENT)),
        **not_measured(NAME, "business_metrics"),
    }


def _input_quality(state: Tally) -> dict[str, Any]:
    return {
        "dropped_scores": state.total("dropped_scores"),
        "newer_versions": state.total("newer_versions"),
    }


def _moderation_accuracy(state: Tally) -> float | None:
    """Return the share of incidents, detected automatically and decided, that were no false positives."""
    decided = sum(state.counts("automatic_decisions").values())
    return ratio(decided - state.counts("automatic_decisions").get(FALSE_POSITIVE, 0), decided)


def _peak(turns: Mapping[str, int]) -> int | None:
    """Return the maximum of concurrently open sessions; None if no session states how long it was open."""
    if not turns:
        return None
    peak = now = 0
    for minute in sorted(turns, key=int):
        now += turns[minute]
        peak = max(peak, now)
    return peak


def _completeness(state: Tally) -> float | None:
    """Return the share of the document's inputs that the interactions contain.

    The inputs are the time, the tokens, the answer and the rating of each interaction.
    """
    interactions = state.total("interactions")
    unmeasured = sum(state.counts("model_unmeasured").values())
    given = (
        interactions
        - unmeasured
        + state.samples("response_ms")
        + state.samples("answered")
        + state.samples("rating")
    )
    return data_completeness(given=given, expected=4 * interactions)


def field_key(model: str) -> str:
    """Return the name of a model's field in the specification's form: ``gemini_2_5_flash``."""
    return re.sub(r"[/\-]", "_", model)


def _milliseconds(state: Tally, q: float) -> float | None:
    value = quantile(state.counts("response_ms_histogram"), q)
    return None if value is None else round(value, 1)


def _personas(state: Tally) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "requests": state.sum_over("persona_requests", personas),
            "satisfaction": state.mean_over("persona_rating", personas, digits=2),
            "response_time": state.mean_over("persona_ms", personas, digits=1),
        }
        for name, personas in group_by_display_name(state.counts("persona_requests"), MOST_NAMED).items()
    }


def _models(state: Tally) -> dict[str, dict[str, Any]]:
    groups = group_by_display_name(state.counts("model_requests"), MOST_NAMED, field_key)
    return {name: _model(state, models) for name, models in groups.items()}


def _model(state: Tally, models: list[str]) -> dict[str, Any]:
    requests, unmeasured = (
        state.sum_over("model_requests", models),
        state.sum_over("model_unmeasured", models),
    )
    cost, priced = state.over("model_cost", models)
    return {
        "requests": requests,
        "avg_tokens_input": state.mean_over("model_tokens_in", models, digits=2),
        "avg_tokens_output": state.mean_over("model_tokens_out", models, digits=2),
        "total_tokens_input": _measured(state, "model_tokens_in", models),
        "total_tokens_output": _measured(state, "model_tokens_out", models),
        "total_tokens_cached": state.sum_over("model_tokens_cached", models),
        "total_tokens_thinking": state.sum_over("model_tokens_thinking", models),
        "cost_usd": _dollars(cost, priced),
        "cost_nano_usd": cost if priced else None,
        "inexact_requests": state.sum_over("model_inexact", models),
        "unpriced_requests": requests - priced - unmeasured,
        "unmeasured_requests": unmeasured,
        "quality_score": state.mean_over("model_relevance", models, MICROS),
    }


def _measured(state: Tally, name: str, keys: list[str]) -> int | None:
    total, samples = state.over(name, keys)
    return total if samples else None


def _priced(state: Tally) -> int:
    return sum(cost.samples for cost in state.means_by("model_cost").values())


def _dollars(amount: int, priced: int) -> float | None:
    """Return None if no interaction was priced: the amount is unknown then, and not 0."""
    return round(usd(NanoUSD(amount)), len(str(NANOS_PER_USD)) - 1) if priced else None


def _unpriced(state: Tally) -> dict[str, int]:
    costs, unmeasured = state.means_by("model_cost"), state.counts("model_unmeasured")
    unpriced = {
        model: requests - costs.get(model, NO_SAMPLES).samples - unmeasured.get(model, 0)
        for model, requests in state.counts("model_requests").items()
    }
    unpriced = {model: requests for model, requests in unpriced.items() if requests}
    return {
        name: sum(unpriced[model] for model in models)
        for name, models in group_by_display_name(unpriced, MOST_NAMED).items()
    }
