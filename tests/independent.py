"""What the views must show, computed from the source documents naively. Imports nothing of ``shared``."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]

PER_MILLION_USD = {
    "gemini-2.5-flash": (0.30, 2.50),
    "gemini-2.5-flash-lite": (0.10, 0.40),
    "gemini-2.0-flash": (0.10, 0.40),
    "gemini-2.5-pro": (1.25, 10.0),
}
"""Google's list prices, input and output; gemini-2.5-pro up to 200,000 input tokens."""


def is_malformed(document: Document) -> bool:
    """Say whether a document breaks one of the rules that sample traffic breaks."""
    usage = document.get("cost_data") or {}
    for name in ("input_tokens", "output_tokens"):
        tokens = usage.get(name, 0)
        if not isinstance(tokens, int) or tokens < 0 or tokens > 10_000_000:
            return True
    rating = document.get("user_rating")
    version = document.get("schema_version") or "1.0"
    return (
        not isinstance(document.get("user_id"), str)
        or (rating is not None and rating not in (1, 2, 3, 4, 5))
        or version > "1.1"
        or moment_of(document) is None
        or not isinstance(document.get("foundational_texts_used") or [], list)
        or len(document.get("user_query") or "") > 262_144
    )


def moment_of(document: Document) -> datetime | None:
    text = document.get("timestamp") or document.get("created_at")
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def at(document: Document) -> datetime:
    moment = moment_of(document)
    assert moment is not None
    return moment


def model_of(document: Document) -> str:
    usage, response = document.get("cost_data") or {}, document.get("response_metadata") or {}
    return usage.get("model_used") or response.get("model_used") or "unknown"


def persona_of(document: Document) -> str:
    return (document.get("response_metadata") or {}).get("personality_used") or "unknown"


def tokens_of(document: Document) -> tuple[int, int]:
    usage = document.get("cost_data") or {}
    return usage.get("input_tokens") or 0, usage.get("output_tokens") or 0


def cost_of(document: Document) -> int | None:
    """Nano-dollars: dollars per million tokens are thousands of nano-dollars per token."""
    price = PER_MILLION_USD.get(model_of(document))
    if price is None:
        return None
    tokens_in, tokens_out = tokens_of(document)
    per_in, per_out = (round(dollars * 1000) for dollars in price)
    if model_of(document) == "gemini-2.5-pro" and tokens_in > 200_000:
        per_in, per_out = 2500, 15000
    return tokens_in * per_in + tokens_out * per_out


def citations_of(documents: Iterable[Document]) -> list[Document]:
    return [citation for document in documents for citation in document.get("foundational_texts_used") or []]


def passage_of(citation: Document) -> tuple[Any, ...]:
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


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def nearest_rank(values: Sequence[float], q: float) -> float | None:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1] if values else None


def grouped(documents: Iterable[Document], key: Callable[[Document], Any]) -> dict[Any, list[Document]]:
    groups: dict[Any, list[Document]] = defaultdict(list)
    for document in documents:
        groups[key(document)].append(document)
    return groups


class Checker:
    """Collects differences, so that one failure shows all of them."""

    def __init__(self) -> None:
        self.differences: list[str] = []

    def exact(self, where: str, shown: Any, expected: Any) -> None:
        if shown != expected:
            self.differences.append(f"{where}: shows {shown!r}, computed {expected!r}")

    def close(self, where: str, shown: Any, expected: float | None, tolerance: float) -> None:
        if (shown is None) != (expected is None) or (
            expected is not None and not math.isclose(shown, expected, rel_tol=0, abs_tol=tolerance)
        ):
            self.differences.append(f"{where}: shows {shown!r}, computed {expected!r}")

    def within_one_percent(self, where: str, shown: Any, expected: float | None) -> None:
        if (shown is None) != (expected is None) or (
            expected is not None and not math.isclose(shown, expected, rel_tol=0.0101, abs_tol=0.06)
        ):
            self.differences.append(f"{where}: shows {shown!r}, computed {expected!r}")


def assert_views_equal(
    daily: Iterable[Document], users: Iterable[Document], documents: list[Document]
) -> None:
    """Compare both published containers with what the documents give, field by field."""
    good = [document for document in documents if not is_malformed(document)]
    check = Checker()
    days = grouped(good, lambda document: f"{at(document):%Y-%m-%d}")
    first_day = {user: min(f"{at(d):%Y-%m-%d}" for d in own) for user, own in by_user(good).items()}
    shown_days = {document["date"]: document for document in daily}
    for day in sorted(shown_days.keys() | days.keys()):
        check_day(check, day, shown_days.get(day), days.get(day, []), first_day)
    months = grouped(good, lambda document: (document["user_id"], f"{at(document):%Y-%m}"))
    shown_months = {(document["user_id"], document["period_start"][:7]): document for document in users}
    for key in sorted(shown_months.keys() | months.keys()):
        check_month(check, key, shown_months.get(key), months.get(key, []))
    assert not check.differences, "\n".join(check.differences[:40])


def by_user(documents: Iterable[Document]) -> dict[str, list[Document]]:
    return grouped(documents, lambda document: document["user_id"])


def check_day(
    check: Checker, day: str, shown: Document | None, documents: list[Document], first_day: dict[str, str]
) -> None:
    if shown is None:
        check.exact(f"{day} is published", None, f"{len(documents)} interactions")
        return
    performance, usage = shown["system_performance"], shown["usage_statistics"]
    content, ai, quality = shown["content_performance"], shown["ai_performance"], shown["quality_metrics"]
    times = measured(documents, "response_time_ms")
    answered = [d for d in documents if d.get("response_text")]
    sessions = {(d["user_id"], d["session_id"]) for d in documents if d.get("session_id")}
    minutes = Counter(f"{at(d):%H:%M}" for d in documents)
    citations = citations_of(documents)
    for name, value in {
        "total_requests": len(documents),
        "successful_requests": len(answered),
    }.items():
        check.exact(f"{day} {name}", performance[name], value)
    check.close(f"{day} avg_response_time_ms", performance["avg_response_time_ms"], mean(times), 0.06)
    check.within_one_percent(f"{day} p95", performance["p95_response_time_ms"], nearest_rank(times, 0.95))
    check.within_one_percent(f"{day} p99", performance["p99_response_time_ms"], nearest_rank(times, 0.99))
    for name, value in {
        "active_users": len(by_user(documents)),
        "new_users": sum(first == day for first in first_day.values()),
        "total_sessions": len(sessions),
        "total_interactions": len(documents),
        "peak_rps": round(max(minutes.values(), default=0) / 60, 4),
    }.items():
        check.exact(f"{day} {name}", usage[name], value)
    check.exact(f"{day} total_citations", content["total_citations"], len(citations))
    sources = {citation.get("source") for citation in citations}
    check.exact(f"{day} unique_texts_accessed", content["unique_texts_accessed"], len(sources))
    relevance = mean(measured(citations, "relevance_score"))
    check.close(f"{day} avg_citation_relevance", content["avg_citation_relevance"], relevance, 1e-4)
    discovery = len(set(map(passage_of, citations))) / len(citations) if citations else None
    check.close(f"{day} content_discovery_rate", content["content_discovery_rate"], discovery, 1e-4)
    check_personas(check, day, ai["personalities_used"], documents)
    check_models(check, day, ai, documents)
    rag = ai["rag_performance"]
    for where, value, path, tolerance in (
        ("avg_retrieval_time_ms", rag, ("processing_stages", "content_retrieval_ms"), 0.06),
        ("avg_chunks_retrieved", rag, ("rag_metadata", "chunks_retrieved"), 0.006),
        ("avg_relevance_score", rag, ("rag_metadata", "avg_relevance_score"), 1e-4),
        ("citation_accuracy", rag, ("quality_metrics", "citation_accuracy"), 1e-4),
        ("user_satisfaction_avg", quality, ("user_rating",), 0.006),
        ("content_accuracy_score", quality, ("user_feedback", "accurate"), 1e-4),
        ("safety_score", quality, ("quality_metrics", "safety_score"), 1e-4),
        ("response_relevance", quality, ("quality_metrics", "response_relevance"), 1e-4),
    ):
        check.close(f"{day} {where}", value[where], mean(measured(documents, *path)), tolerance)


def check_personas(check: Checker, day: str, shown: Document, documents: list[Document]) -> None:
    personas = grouped(documents, persona_of)
    check.exact(f"{day} personas", sorted(shown), sorted(personas))
    for persona in shown.keys() & personas.keys():
        own = personas[persona]
        check.exact(f"{day} {persona} requests", shown[persona]["requests"], len(own))
        rating, time = mean(measured(own, "user_rating")), mean(measured(own, "response_time_ms"))
        check.close(f"{day} {persona} satisfaction", shown[persona]["satisfaction"], rating, 0.006)
        check.close(f"{day} {persona} response_time", shown[persona]["response_time"], time, 0.06)


def check_models(check: Checker, day: str, ai: Document, documents: list[Document]) -> None:
    shown = ai["model_performance"]
    models = grouped(documents, lambda d: model_of(d).replace("-", "_").replace(".", "_"))
    check.exact(f"{day} models", sorted(shown), sorted(models))
    for model in shown.keys() & models.keys():
        own, row = models[model], shown[model]
        costs = [cost for d in own if (cost := cost_of(d)) is not None]
        for name, value in {
            "requests": len(own),
            "total_tokens_input": sum(tokens_of(d)[0] for d in own),
            "total_tokens_output": sum(tokens_of(d)[1] for d in own),
            "cost_nano_usd": sum(costs) if costs else None,
            "unpriced_requests": len(own) - len(costs),
        }.items():
            check.exact(f"{day} {model} {name}", row[name], value)
        check.close(f"{day} {model} cost_usd", row["cost_usd"], sum(costs) / 1e9 if costs else None, 1e-9)
    unpriced = Counter(model_of(d) for d in documents if cost_of(d) is None)
    check.exact(f"{day} unpriced_models", ai["unpriced_models"], dict(unpriced))


def check_month(
    check: Checker, key: tuple[str, str], shown: Document | None, documents: list[Document]
) -> None:
    where = f"{key[0]} {key[1]}"
    if shown is None:
        check.exact(f"{where} is published", None, f"{len(documents)} interactions")
        return
    sessions = {d["session_id"] for d in documents if d.get("session_id")}
    in_sessions = [d for d in documents if d.get("session_id")]
    citations = citations_of(documents)
    metrics, interactions = shown["session_metrics"], shown["interaction_metrics"]
    costs = [cost for d in documents if (cost := cost_of(d)) is not None]
    check.exact(f"{where} total_sessions", metrics["total_sessions"], len(sessions))
    check.exact(f"{where} total_interactions", interactions["total_interactions"], len(documents))
    check.exact(f"{where} sample_size", shown["quality_indicators"]["sample_size"], len(documents))
    check.exact(f"{where} cost", shown["cost"]["nano_usd"], sum(costs) if costs else None)
    check.exact(f"{where} unpriced", shown["cost"]["unpriced_interactions"], len(documents) - len(costs))
    per_session = len(in_sessions) / len(sessions) if sessions else None
    check.close(f"{where} per session", interactions["avg_interactions_per_session"], per_session, 0.006)
    rating = mean(measured(documents, "user_rating"))
    check.close(f"{where} satisfaction", interactions["response_satisfaction_avg"], rating, 0.006)
    cited = [d for d in documents if d.get("foundational_texts_used")]
    engagement = len(cited) / len(documents) if documents else None
    check.close(f"{where} cited", interactions["citation_engagement_rate"], engagement, 1e-4)
    levels = {"low": 0.0, "medium": 0.5, "high": 1.0}
    complexity = [
        levels[level]
        for d in documents
        if (level := (d.get("query_metadata") or {}).get("query_complexity")) in levels
    ]
    check.close(f"{where} complexity", interactions["query_complexity_avg"], mean(complexity), 1e-4)
    hours = Counter(at(d).hour for d in documents)
    busiest = min(hours, key=lambda hour: (-hours[hour], hour)) if hours else None
    check.exact(f"{where} peak_usage_hour", metrics["peak_usage_hour"], busiest)
    texts = sorted({citation.get("source") or "unknown" for citation in citations})
    check.exact(f"{where} texts", shown["content_metrics"]["foundational_texts_accessed"], texts)
    discovery = len(set(map(passage_of, citations))) / len(citations) if citations else None
    check.close(f"{where} discovery", shown["content_metrics"]["content_discovery_rate"], discovery, 1e-4)
    personas = Counter(map(persona_of, documents))
    most = sorted(personas, key=lambda persona: (-personas[persona], persona))[:5]
    check.exact(f"{where} personas", shown["user_profile"]["personality_affinity"], most)
