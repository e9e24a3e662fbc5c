"""``daily_metrics``, from ``docs/fields.md``."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, timedelta

from tests.differences import Near, Text
from tests.independent.arithmetic import (
    dollars,
    grouped,
    mean,
    named,
    nearest_rank,
    nothing,
    part_of,
    rounded,
)
from tests.independent.input import is_of_newer_version
from tests.independent.interactions import (
    Document,
    all_citations_of,
    at,
    bill,
    citations_of,
    costs_of,
    day_of,
    has_tokens,
    inexact,
    is_answered,
    measured,
    model_of,
    passage_of,
    persona_of,
    source_of,
    tokens,
    unmeasured,
    unpriced,
)
from tests.independent.reference import known_texts
from tests.independent.sources import (
    ENDED,
    Sources,
    decision_of,
    noticed,
    seconds_of,
    session_id_of,
    start_of,
    until_of,
)


def expected_days(sources: Sources, today: date = date.max) -> dict[str, Document]:
    """Build ``daily_metrics`` of every day on which anything happened."""
    days = grouped(sources.interactions, day_of).keys()
    opened = {f"{start_of(session):%Y-%m-%d}" for session in sources.sessions}
    closed = {f"{end:%Y-%m-%d}" for session in sources.sessions if (end := until_of(session)) is not None}
    reported = {f"{noticed(incident):%Y-%m-%d}" for incident in sources.incidents}
    return {day: expected_day(day, sources, today) for day in days | opened | closed | reported}


def expected_day(day: str, sources: Sources, today: date = date.max) -> Document:
    """Build the document of ``daily_metrics`` for one day."""
    documents = [d for d in sources.interactions if day_of(d) == day]
    sessions_begun = [s for s in sources.sessions if f"{start_of(s):%Y-%m-%d}" == day]
    incidents = [i for i in sources.incidents if f"{noticed(i):%Y-%m-%d}" == day]
    first_days = {
        user: min(map(day_of, own))
        for user, own in grouped(sources.interactions, lambda d: d["user_id"]).items()
    }
    active = {d["user_id"] for d in documents}
    new = [user for user in active if first_days[user] == day]
    answers = [answered for d in documents if (answered := is_answered(d)) is not None]
    times = measured(documents, "response_time_ms")
    sessions = {(d["user_id"], d["session_id"]) for d in documents if d.get("session_id") is not None}
    sessions |= {(s["user_id"], session_id_of(s)) for s in sessions_begun}
    outcomes = Counter(s["status"] for s in sessions_begun if s.get("status") in ENDED)
    errors, slowness = part_of(answers.count(False), len(answers)), mean(times, 1)
    rating = mean(measured(documents, "user_rating"), 2)
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
            "active_users": len(active),
            "new_users": len(new),
            "total_sessions": len(sessions),
            "total_interactions": len(documents),
            "peak_rps": rounded(max(minutes.values(), default=0) / 60, 4),
            "avg_session_duration_min": mean(
                [s / 60 for d in sessions_begun if (s := seconds_of(d)) is not None], 2
            ),
            "peak_concurrent_users": most_open(day, sources.sessions),
        },
        "content_performance": expected_content(documents, known_texts(sources.vectors)),
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
            "helpful_share": mean(measured(documents, "user_feedback", "helpful"), 4),
            "relevant_share": mean(measured(documents, "user_feedback", "relevant"), 4),
            "well_cited_share": mean(measured(documents, "user_feedback", "well_cited"), 4),
            "session_satisfaction_avg": mean(measured(sessions_begun, "user_satisfaction_rating"), 2),
            "session_quality_avg": mean(measured(sessions_begun, "session_quality_score"), 4),
        },
        "safety_metrics": {
            "total_abuse_reports": len(incidents),
            "auto_flagged_content": sum(bool(i.get("auto_detected")) for i in incidents),
            "human_reviews_required": sum(
                i.get("review_status") in ("pending_human_review", "under_investigation") for i in incidents
            ),
            "safety_violations": sum((decision_of(i) or "").startswith("confirmed") for i in incidents),
            "content_moderation_accuracy": moderation_accuracy(incidents),
            "filtered_answers": sum(map(is_filtered, documents)),
        },
        "input_quality": {
            "dropped_scores": sum(d.get("dropped_scores", 0) for d in documents + sessions_begun),
            "newer_versions": sum(is_of_newer_version(d, "user_interactions") for d in documents)
            + sum(is_of_newer_version(s, "user_sessions") for s in sessions_begun)
            + sum(is_of_newer_version(i, "abuse_incidents") for i in incidents),
        },
        "business_metrics": {
            "user_retention_rate": part_of(len(active) - len(new), len(active)),
            "session_completion_rate": part_of(outcomes["completed"], sum(outcomes.values())),
            "churn_rate": churn_rate(date.fromisoformat(day), sources, today),
            **nothing("feature_adoption_rate", "nps_score"),
        },
        "alerts": expected_alerts(errors, slowness, rating, documents),
        "data_completeness": part_of(
            len(times)
            + len(answers)
            + len(measured(documents, "user_rating"))
            + sum(map(has_tokens, documents)),
            4 * len(documents),
        ),
    }


def churn_rate(day: date, sources: Sources, today: date) -> Near | None:
    """Of the people who were here in the thirty days before: those who have been away for thirty on it."""
    if day > today:
        return None
    visits = grouped(((d["user_id"], at(d).date()) for d in sources.interactions), lambda visit: visit[0])
    before = [max((on for _, on in own if on < day), default=date.min) for own in visits.values()]
    here_today = [any(on == day for _, on in own) for own in visits.values()]
    present = sum((day - last).days <= 30 for last in before)
    lost = sum((day - last).days == 30 and not here for last, here in zip(before, here_today, strict=True))
    return part_of(lost, present)


def is_filtered(document: Document) -> bool:
    return (document.get("response_metadata") or {}).get("safety_filtered") is True


def moderation_accuracy(incidents: list[Document]) -> Near | None:
    decided = [d for i in incidents if i.get("auto_detected") and (d := decision_of(i)) is not None]
    return part_of(len(decided) - decided.count("false_positive"), len(decided))


def most_open(day: str, sessions: list[Document]) -> int | None:
    """The most sessions that are open within one minute of a day."""
    first = datetime.fromisoformat(f"{day}T00:00:00Z")
    last = first + timedelta(hours=23, minutes=59)
    minutes: Counter[datetime] = Counter()
    for session in sessions:
        end = until_of(session)
        minute = max(first, start_of(session).replace(second=0, microsecond=0))
        while end is not None and minute <= min(end, last):
            minutes[minute] += 1
            minute += timedelta(minutes=1)
    return max(minutes.values(), default=None)


DIGITS = {"error_rate": 4, "avg_response_time_ms": 1, "user_satisfaction": 2}
"""Digits with which a figure is shown, and compared with its threshold."""


def expected_alerts(
    errors: Near | None, slowness: Near | None, rating: Near | None, documents: list[Document]
) -> list[Document]:
    return [
        {
            "alert_type": kind,
            "severity": severity,
            "message": Text(f"{figure} ", f" is {bound}"),
            **how_it_ended(kind, documents),
        }
        for kind, severity, figure, bound in raised(errors, slowness, rating)
    ]


def how_it_ended(kind: str, documents: list[Document]) -> Document:
    """Look at the day in windows of five minutes: did the last alert of a kind end, and how long was it?"""
    windows = grouped(documents, lambda d: window_of(at(d)))
    since, lasted = None, None
    for start in sorted(windows):
        if any(kind == each for each, *_ in raised(*figures_of(windows[start]))):
            since, lasted = since or start, None
        elif since is not None:
            since, lasted = None, (start - since) // timedelta(minutes=1)
    return {"resolved": since is None, "resolution_time_min": lasted}


def window_of(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 5 * 5, second=0, microsecond=0)


def figures_of(documents: list[Document]) -> tuple[Near | None, Near | None, Near | None]:
    answers = [answered for d in documents if (answered := is_answered(d)) is not None]
    return (
        part_of(answers.count(False), len(answers)),
        mean([round(ms) for ms in measured(documents, "response_time_ms")], 1),
        mean(measured(documents, "user_rating"), 2),
    )


def raised(
    errors: Near | None, slowness: Near | None, rating: Near | None
) -> list[tuple[str, str, str, str]]:
    """Kind, severity, figure and bound of each alert."""
    beyond = (
        ("reliability", "critical", "error_rate", errors, lambda value: value > 0.05, "above 0.05"),
        (
            "performance",
            "critical",
            "avg_response_time_ms",
            slowness,
            lambda value: value > 3000,
            "above 3000",
        ),
        ("quality", "warning", "user_satisfaction", rating, lambda value: value < 4.0, "below 4.0"),
    )
    return [
        (kind, severity, figure, bound)
        for kind, severity, figure, value, is_beyond, bound in beyond
        if value is not None and is_beyond(round(value.value, DIGITS[figure]))
    ]


def expected_content(documents: list[Document], known: set[str]) -> Document:
    citations = citations_of(documents)
    return {
        "total_citations": len(all_citations_of(documents)),
        "unique_texts_accessed": len(set(map(source_of, citations))),
        "avg_citation_relevance": mean(measured(citations, "relevance_score"), 4),
        "content_discovery_rate": part_of(len(set(map(passage_of, citations))), len(citations)),
        "foundational_texts_coverage": part_of(len(known & set(map(source_of, citations))), len(known)),
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
            for name, own in named(documents, lambda d: as_field(model_of(d))).items()
        },
        "rag_performance": {
            "avg_retrieval_time_ms": mean(
                measured(documents, "processing_stages", "content_retrieval_ms"), 1
            ),
            "avg_chunks_retrieved": mean(measured(documents, "rag_metadata", "chunks_retrieved"), 2),
            "avg_relevance_score": mean(measured(documents, "rag_metadata", "avg_relevance_score"), 4),
            "citation_accuracy": mean(measured(documents, "quality_metrics", "citation_accuracy"), 4),
        },
        "token_totals_differ": sum(bill(d).total_differs for d in documents),
        "total_cost_usd": dollars(costs_of(documents)),
        "unpriced_models": {model: len(own) for model, own in named(unpriced(documents), model_of).items()},
    }


def as_field(model: str) -> str:
    """Put one underscore for what stands between the words of a name."""
    return re.sub("[/-]", "_", model)


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
        "total_tokens_cached": sum(bill(d).cached for d in documents),
        "total_tokens_thinking": sum(bill(d).thinking for d in documents),
        "cost_usd": dollars(costs),
        "cost_nano_usd": sum(costs) if costs else None,
        "inexact_requests": inexact(documents),
        "unpriced_requests": len(unpriced(documents)),
        "unmeasured_requests": unmeasured(documents),
        "quality_score": mean(measured(documents, "quality_metrics", "response_relevance"), 4),
    }
