"""``content_analytics``: the figures of one text in one month (specification, 2.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from shared.aggregates import day, month
from shared.aggregates.base import PartialKey, hash_key
from shared.aggregates.tally import Tally, merged, ratio, top
from shared.containers import container
from shared.facts import Passage
from shared.periods import monthly, parse_period
from shared.scores import (
    data_completeness,
    enhancement_priority,
    response_effectiveness,
    satisfaction,
)
from shared.units import MICROS, Day, Month, month_after, month_of
from shared.views.base import ClocklessView, DocumentSet, Rendered, Schedule, Stamp, States, stamp_fields
from shared.views.content import Cited, passages, percent_change, trend_word
from shared.views.fields import not_measured

NAME = "content_analytics"

CHAPTERS, VERSES, TOPICS = 20, 3, 10
"""Numbers of chapters of a text, verses of a chapter and topics of a text in a document: those used most."""

MOST_TEXTS = 200
"""Texts of a month that have a document: those cited most. Sources can contain any number of names."""


class ContentAnalytics(ClocklessView):
    """One document per text and month. The key is the month, ``202508``, because texts are compared."""

    name = NAME
    container = NAME
    sources = frozenset({"user_interactions"})
    periods = 2
    schedule = Schedule.HOURLY
    skip_unchanged = True

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        """Return the month of a changed state, and the next month, whose documents compare with it."""
        match target.aggregate:
            case day.NAME:
                own = month_of(Day(target.key))
            case month.NAME:
                own = Month(target.key)
            case _:
                return ()
        return (own, month_after(own, 1))

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        """Return the days of the month and of the month before, and the states that are counted by month."""
        months = (month_after(Month(key), -1), Month(key))
        return (
            *(PartialKey(day.NAME, d) for m in months for d in monthly(m).days()),
            *(PartialKey(month.NAME, m) for m in months),
        )

    def document_set(self, key: str) -> DocumentSet:
        """Return the documents of all texts in the month, because a text may have lost all its citations."""
        start = parse_period(key).fields()["period_start"]
        return DocumentSet(None, "monthly", start, start)

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        now = _Month(Month(key), states)
        before = _Month(month_after(Month(key), -1), states)
        return [
            Rendered(document_id(text, key), text, _document(text, now, before, stamp)) for text in now.texts
        ]


def document_id(text: str, key: str) -> str:
    """Return the specification's id, ``content_analytics_bhagavad_gita_202508``."""
    return f"{NAME}_{text}_{key}"


class _Month:
    """The figures of one month, over all texts."""

    def __init__(self, label: Month, states: States) -> None:
        self.label = label
        self.state = merged(states.of(day.NAME, d) for d in monthly(label).days())
        self.people = states.of(month.NAME, label)
        self.texts = top(self.state.counts("texts"), MOST_TEXTS)
        self.passages: dict[str, dict[Passage, Cited]] = defaultdict(dict)
        for passage, cited in passages(self.state).items():
            self.passages[passage.text][passage] = cited

    def citations(self, text: str) -> int:
        return self.state.counts("texts").get(text, 0)

    def users(self, text: str) -> int:
        return self.people.counts("text_users").get(text, 0)

    def rating(self, text: str) -> float | None:
        return self.state.mean_over("text_rating", [hash_key(text)], digits=2)

    def accuracy(self, text: str) -> float | None:
        return self.state.mean_over("text_accuracy", [hash_key(text)], MICROS)

    def effectiveness(self, text: str) -> float | None:
        return response_effectiveness(
            satisfaction_score=self.satisfaction("text_rating", text),
            relevance=self.state.mean_over("text_response", [hash_key(text)], MICROS),
            citation_accuracy=self.accuracy(text),
        )

    def satisfaction(self, name: str, key: str) -> float | None:
        return satisfaction(
            rating_sum=self.state.sum_over(name, [hash_key(key)]),
            ratings=self.state.sum_over(f"{name}#", [hash_key(key)]),
        )

    def rank(self, text: str, values: Mapping[str, float | None]) -> int | None:
        """Return a text's rank by a figure, None without it. Texts with equal figures share the best rank."""
        own = values[text]
        if own is None:
            return None
        return 1 + sum(1 for value in values.values() if value is not None and value > own)


def _document(text: str, now: _Month, before: _Month, stamp: Stamp) -> dict[str, Any]:
    users, effectiveness = now.users(text), now.effectiveness(text)
    return {
        "id": document_id(text, now.label),
        "partition_key": text,
        "source": text,
        "document_type": NAME,
        **parse_period(now.label).fields(),
        "content_overview": dict.fromkeys(
            (
                "total_verses",
                "total_chapters",
                "content_completeness",
                "translation_quality",
                "expert_validation_status",
            )
        ),
        "usage_metrics": {
            "total_citations": now.citations(text),
            "unique_users_accessed": users,
            "total_views": now.state.counts("text_interactions").get(text, 0),
            "avg_time_spent_seconds": None,
            "bounce_rate": None,
            "return_access_rate": ratio(now.people.counts("text_users_again").get(text, 0), users),
        },
        "performance_metrics": {
            "avg_relevance_score": now.state.mean_over("text_relevance", [hash_key(text)], MICROS),
            "citation_accuracy_rate": now.accuracy(text),
            "user_satisfaction_avg": now.rating(text),
            "response_effectiveness": effectiveness,
            "search_ranking_position": None,
        },
        "quality_metrics": dict.fromkeys(
            (
                "translation_accuracy",
                "cultural_sensitivity",
                "contextual_appropriateness",
                "citation_completeness",
                "expert_validation_score",
            )
        ),
        "chapter_analytics": _chapters(text, now),
        "topic_analytics": _topics(text, now, before),
        "comparative_metrics": _comparison(text, now, before),
        "content_recommendations": {
            **not_measured(NAME, "content_recommendations"),
            "priority_score": enhancement_priority(
                citations=now.citations(text), effectiveness=effectiveness
            ),
        },
        "data_quality_score": _completeness(text, now.state),
        "sample_size": now.citations(text),
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }


def _chapters(text: str, now: _Month) -> list[dict[str, Any]]:
    chapters: dict[str, list[tuple[Passage, Cited]]] = defaultdict(list)
    for passage, cited in now.passages[text].items():
        if passage.chapter is not None:
            chapters[passage.chapter].append((passage, cited))
    used = {chapter: sum(cited.citations for _, cited in cited_in) for chapter, cited_in in chapters.items()}
    return [
        {
            "chapter": chapter,
            "chapter_title": None,
            "usage_count": used[chapter],
            "avg_relevance": ratio(
                sum(cited.relevance for _, cited in chapters[chapter]),
                sum(cited.relevances for _, cited in chapters[chapter]) * MICROS,
            ),
            "popular_verses": top(
                {f"{chapter}.{p.verse}": cited.citations for p, cited in chapters[chapter] if p.verse}, VERSES
            ),
            "user_rating": ratio(
                sum(cited.rating for _, cited in chapters[chapter]),
                sum(cited.ratings for _, cited in chapters[chapter]),
                2,
            ),
            "citation_frequency": ratio(used[chapter], now.citations(text)),
        }
        for chapter in top(used, CHAPTERS)
    ]


def _topics(text: str, now: _Month, before: _Month) -> dict[str, Any]:
    counts, earlier = _topic_counts(text, now.state), _topic_counts(text, before.state)
    total = now.state.counts("text_interactions").get(text, 0)
    rising = {topic: count for topic, count in counts.items() if count > earlier.get(topic, 0)}
    return {
        "primary_topics": [
            {
                "topic": topic,
                "frequency": ratio(counts[topic], total),
                "relevance_score": now.state.mean_over(
                    "text_topic_relevance", [hash_key(f"{text}|{topic}")], MICROS
                ),
                "user_engagement": now.satisfaction("text_topic_rating", f"{text}|{topic}"),
            }
            for topic in top(counts, TOPICS)
        ],
        "trending_topics": top(
            {topic: count - earlier.get(topic, 0) for topic, count in rising.items()}, TOPICS
        ),
        "seasonal_patterns": None,
    }


def _topic_counts(text: str, state: Tally) -> dict[str, int]:
    start = f"{text}|"
    return {
        key.removeprefix(start): count
        for key, count in state.counts("text_topics").items()
        if key.startswith(start)
    }


def _comparison(text: str, now: _Month, before: _Month) -> dict[str, Any]:
    return {
        "vs_other_texts": {
            "usage_rank": now.rank(text, {text: now.citations(text) for text in now.texts}),
            "satisfaction_rank": now.rank(text, {text: now.rating(text) for text in now.texts}),
            "citation_accuracy_rank": now.rank(text, {text: now.accuracy(text) for text in now.texts}),
        },
        "growth_trends": {
            "usage_growth_percent": percent_change(now.citations(text), before.citations(text)),
            "user_growth_percent": percent_change(now.users(text), before.users(text)),
            "satisfaction_trend": trend_word(
                now.rating(text), before.rating(text), words=("increasing", "decreasing", "stable")
            ),
        },
    }


def _completeness(text: str, state: Tally) -> float | None:
    """Return the share of the document's inputs that the sources contain.

    The inputs are the relevance of each citation, and the rating and the accuracy of each answer.
    """
    citations = state.counts("texts").get(text, 0)
    answers = state.counts("text_interactions").get(text, 0)
    given = sum(
        state.sum_over(name, [hash_key(text)])
        for name in ("text_relevance#", "text_rating#", "text_accuracy#")
    )
    return data_completeness(given=given, expected=citations + 2 * answers)
