"""``content_popularity``: rankings of a day or week (specification, 3.2)."""

from __future__ import annotations

from typing import Any

from shared.aggregates import day
from shared.aggregates.base import PartialKey, hash_key
from shared.aggregates.tally import Tally, merged, ratio, top
from shared.containers import container
from shared.periods import Kind, Period, parse_period, period_of
from shared.scores import (
    CONFIDENCE_LEVEL,
    bayesian_average_rating,
    efficiency,
    growth_rate,
    response_effectiveness,
    satisfaction,
    trending,
)
from shared.units import MICROS, NANOS_PER_USD, Day
from shared.views.base import ClocklessView, Rendered, Schedule, Stamp, States, stamp_fields
from shared.views.content import Cited, passages

NAME = "content_popularity"

RANKED = 10
"""Number of texts, passages, topics and personas in a ranking."""


class ContentPopularity(ClocklessView):
    """One document per day, ``20250805``, or ISO week, ``2025W32``. It compares with the period before."""

    container = NAME
    sources = frozenset({"user_interactions"})
    periods = 2
    schedule = Schedule.HOURLY
    skip_unchanged = True

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = f"{NAME}_{kind}"

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        """Return the period of a day, and the next period, whose document compares with it."""
        if target.aggregate != day.NAME:
            return ()
        own = period_of(self.kind, Day(target.key))
        return (own.label, own.after().label)

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        """Return the days of the period and of the period before."""
        period = parse_period(key)
        return tuple(PartialKey(day.NAME, d) for d in (*period.before().days(), *period.days()))

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        """Return the document of the period. A period without interactions has none."""
        period = parse_period(key)
        state = merged(states.of(day.NAME, d) for d in period.days())
        earlier = merged(states.of(day.NAME, d) for d in period.before().days())
        document_id = f"{NAME}_{self.kind}_{key}"
        body = _document(document_id, period, state, earlier, stamp) if state.total("interactions") else None
        return [Rendered(document_id, self.kind, body)]


def _document(document_id: str, period: Period, state: Tally, earlier: Tally, stamp: Stamp) -> dict[str, Any]:
    return {
        "id": document_id,
        "partition_key": period.kind,
        "time_period": period.kind,
        "date": period.first,
        "document_type": NAME,
        "top_foundational_texts": _texts(state, earlier),
        "trending_content": _passages(state),
        "trending_topics": _topics(state, earlier),
        "personality_rankings": _personas(state),
        "generated_at": stamp_fields(stamp)["calculated_at"],
        "data_points": state.total("interactions"),
        "confidence_level": CONFIDENCE_LEVEL,
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }


def _trending_score(recent: int, earlier: int) -> float | None:
    return trending(recent=recent, recent_hours=1, earlier=earlier, earlier_hours=1)


def _texts(state: Tally, earlier: Tally) -> list[dict[str, Any]]:
    texts = state.counts("texts")
    return [
        {
            "rank": rank,
            "source": text,
            "citations": texts[text],
            "unique_users": state.counts("text_users").get(text, 0),
            "avg_rating": state.mean_over("text_rating", [hash_key(text)], digits=2),
            "trending_score": _trending_score(texts[text], earlier.counts("texts").get(text, 0)),
        }
        for rank, text in enumerate(top(texts, RANKED), 1)
    ]


def _passages(state: Tally) -> list[dict[str, Any]]:
    cited = passages(state)
    ranked = sorted(cited, key=lambda passage: (-cited[passage].citations, passage.key))[:RANKED]
    return [
        {"rank": rank, "content_id": passage.content_id, **_passage(cited[passage])}
        for rank, passage in enumerate(ranked, 1)
    ]


def _passage(cited: Cited) -> dict[str, Any]:
    return {
        "citations": cited.citations,
        "relevance_score": ratio(cited.relevance, cited.relevances * MICROS),
        "user_engagement": satisfaction(rating_sum=cited.rating, ratings=cited.ratings),
        "topic": top(cited.topics, 1)[0] if cited.topics else None,
    }


def _topics(state: Tally, earlier: Tally) -> list[dict[str, Any]]:
    topics, before = state.counts("topics"), earlier.counts("topics")
    scores = {topic: _trending_score(count, before.get(topic, 0)) or 0.0 for topic, count in topics.items()}
    ranked = sorted(scores, key=lambda topic: (-scores[topic], -topics[topic], topic))[:RANKED]
    return [
        {
            "topic": topic,
            "growth_rate": growth_rate(recent=topics[topic], earlier=before.get(topic, 0)),
            "query_count": topics[topic],
            "satisfaction_score": bayesian_average_rating(
                rating_sum=state.counts("topic_rating").get(topic, 0),
                ratings=state.counts("topic_rating#").get(topic, 0),
            ),
        }
        for topic in ranked
    ]


def _personas(state: Tally) -> list[dict[str, Any]]:
    requests = state.counts("persona_requests")
    return [
        {
            "personality": persona,
            "interactions": requests[persona],
            "satisfaction": state.mean_over("persona_rating", [persona], digits=2),
            "response_quality": response_effectiveness(
                satisfaction_score=satisfaction(
                    rating_sum=state.counts("persona_rating").get(persona, 0),
                    ratings=state.counts("persona_rating#").get(persona, 0),
                ),
                relevance=state.mean_over("persona_relevance", [persona], MICROS),
                citation_accuracy=None,
            ),
            "efficiency_score": efficiency(
                avg_response_ms=state.mean_over("persona_ms", [persona], digits=1),
                avg_cost_usd=state.mean_over("persona_cost", [persona], NANOS_PER_USD, digits=9),
            ),
        }
        for persona in top(requests, RANKED)
    ]
