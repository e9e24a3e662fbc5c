"""``content_popularity``: rankings of a day or week (specification, 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.aggregates.base import PartialKey
from shared.aggregates.tally import ratio, top
from shared.builds.content import Content, after_first, before_last, passage_from
from shared.builds.graph import CONTENT, is_day
from shared.builds.rows import Kind, PersonaRow, TextRow
from shared.containers import container
from shared.periods import Kind as PeriodKind
from shared.periods import Period, parse_period, period_of
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
from shared.views.base import BuiltView, Collector, Rendered, Schedule, Stamp, States, stamp_fields
from shared.views.content import Elapsed, by_passage, cited_most, elapsed_of, tick_of
from shared.views.reference import Reference, Targets

NAME = "content_popularity"

RANKED = 10
"""Number of texts, passages, topics and personas in a ranking."""


class ContentPopularity(BuiltView):
    """One document per day, ``20250805``, or ISO week, ``2025W32``. It compares with the period before."""

    container = NAME
    sources = frozenset({"user_interactions"})
    uses_reference = True
    periods = 2
    skip_unchanged = True

    def __init__(self, kind: PeriodKind) -> None:
        self.kind = kind
        self.name = f"{NAME}_{kind}"
        self.example = period_of(kind, Day("2025-08-05")).label
        self.schedule = Schedule.HOURLY if kind == "daily" else Schedule.DAILY

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        """Return the period of a day, and the next period, whose document compares with it."""
        if target.aggregate != CONTENT or not is_day(target.key):
            return ()
        own = period_of(self.kind, Day(target.key))
        return (own.label, own.after().label)

    def contents(self, key: str) -> tuple[tuple[str, ...], ...]:
        """Return the days of the period, and those of the period before."""
        period = parse_period(key)
        return (period.days(), period.before().days())

    def tick(self, key: str, now: datetime) -> str:
        return tick_of(parse_period(key), now)

    def collector(self, key: str, tick: str, reference: Reference) -> Collector:
        return Ranking(elapsed_of(parse_period(key), tick))

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        """Return the document of the period. A period without interactions has none."""
        period, ranking = parse_period(key), states.collected
        assert isinstance(ranking, Ranking)  # noqa: S101  the publisher collects what the view asks for
        document_id = f"{NAME}_{self.kind}_{key}"
        body = (
            _document(document_id, period, ranking, states.reference, stamp)
            if ranking.now.all.interactions
            else None
        )
        return [Rendered(document_id, self.kind, body)]


class Ranking:
    """Collects what a document shows. It holds the names of one part, and those that are ranked so far.

    All rows of a text, passage or topic are in one part, except numbers of readers. A name that is not among
    the first of the parts so far is therefore not among the first of all parts.
    """

    passes = 1

    def __init__(self, elapsed: Elapsed) -> None:
        self.now = Content()
        self.before = Content()
        self._elapsed = elapsed

    def add(self, number: int, parts: Sequence[Content]) -> None:
        """Add one part of the period and of the period before."""
        now, before = parts
        now.count_readers()
        for kind in (Kind.CHAPTERS, Kind.TEXT_TOPICS, Kind.TEXT_TOPIC_PEOPLE):
            now.drop(kind)
        for kind in (Kind.TOPICS, Kind.PASSAGE_TOPICS):
            now.keep_shared(kind)
        for kind in set(Kind) - {Kind.TEXTS, Kind.TOPICS}:
            before.drop(kind)
        self.now.merge(now)
        self.before.merge(before)
        passages, topics = set(cited_most(by_passage(self.now), RANKED)), self.topics()
        rows = self.now.rows
        self.now.keep(Kind.PASSAGES, [k for k in rows(Kind.PASSAGES) if after_first(k) in passages])
        self.now.keep(
            Kind.PASSAGE_TOPICS, [k for k in rows(Kind.PASSAGE_TOPICS) if before_last(k) in passages]
        )
        self.now.keep(Kind.TOPICS, topics)
        self.before.keep(Kind.TOPICS, topics)

    def topics(self) -> list[str]:
        """Return the topics with the highest trend, in order."""
        counts = {topic: self.now.topic(topic).answers for topic in self.now.rows(Kind.TOPICS)}
        trends = {
            topic: self.trend(n, self.before.topic(topic).answers) or 0.0 for topic, n in counts.items()
        }
        return sorted(trends, key=lambda topic: (-trends[topic], -counts[topic], topic))[:RANKED]

    def trend(self, recent: int, earlier: int) -> float | None:
        """Return the trend of a count against the period before, per hour."""
        hours, before, _ = self._elapsed
        return trending(recent=recent, recent_hours=hours, earlier=earlier, earlier_hours=before)

    def growth(self, recent: int, earlier: int) -> float | None:
        """Return the growth of a count against the period before, per hour."""
        elapsed = self._elapsed
        return growth_rate(recent=elapsed.scaled(recent), earlier=elapsed.scaled_before(earlier))


def _document(
    document_id: str, period: Period, ranking: Ranking, reference: Reference, stamp: Stamp
) -> dict[str, Any]:
    return {
        "id": document_id,
        "partition_key": period.kind,
        "time_period": period.kind,
        "date": period.first,
        "document_type": NAME,
        "top_foundational_texts": _texts(ranking),
        "trending_content": _passages(ranking.now, reference),
        "trending_topics": _topics(ranking),
        "personality_rankings": _personas(ranking.now, reference),
        "generated_at": stamp_fields(stamp)["calculated_at"],
        "data_points": ranking.now.all.interactions,
        "confidence_level": CONFIDENCE_LEVEL,
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }


def _texts(ranking: Ranking) -> list[dict[str, Any]]:
    now = ranking.now
    # A text that people accessed in sessions, and that no answer cites, has a row as well.
    rows = {text: TextRow(*row) for text, row in now.rows(Kind.TEXTS).items() if row[0]}
    return [
        {
            "rank": rank,
            "source": text,
            "citations": rows[text].citations,
            "unique_users": now.readers(text).people,
            "avg_rating": ratio(rows[text].rating, rows[text].ratings, 2),
            "trending_score": ranking.trend(rows[text].citations, ranking.before.text(text).citations),
        }
        for rank, text in enumerate(top({text: row.citations for text, row in rows.items()}, RANKED), 1)
    ]


def _passages(now: Content, reference: Reference) -> list[dict[str, Any]]:
    rows = by_passage(now)
    return [
        {
            "rank": rank,
            "content_id": passage_from(key).content_id,
            "citations": rows[key].citations,
            "relevance_score": ratio(rows[key].relevance, rows[key].relevances * MICROS),
            "user_engagement": satisfaction(rating_sum=rows[key].rating, ratings=rows[key].ratings),
            "topic": next(iter(reference.passage(key).topics), None) or _topic_of(key, now),
        }
        for rank, key in enumerate(cited_most(rows, RANKED), 1)
    ]


def _topic_of(passage: str, now: Content) -> str | None:
    counts = {
        key.rpartition("|")[2]: answers
        for key, (answers,) in now.rows(Kind.PASSAGE_TOPICS).items()
        if before_last(key) == passage
    }
    return top(counts, 1)[0] if counts else None


def _topics(ranking: Ranking) -> list[dict[str, Any]]:
    rows = {topic: ranking.now.topic(topic) for topic in ranking.topics()}
    return [
        {
            "topic": topic,
            "growth_rate": ranking.growth(row.answers, ranking.before.topic(topic).answers),
            "query_count": row.answers,
            "satisfaction_score": bayesian_average_rating(rating_sum=row.rating, ratings=row.ratings),
        }
        for topic, row in rows.items()
    ]


def _personas(now: Content, reference: Reference) -> list[dict[str, Any]]:
    rows = {persona: PersonaRow(*row) for persona, row in now.rows(Kind.PERSONAS).items()}
    return [
        _persona(persona, rows[persona], reference.targets_of(persona))
        for persona in top({persona: row.answers for persona, row in rows.items()}, RANKED)
    ]


def _persona(persona: str, row: PersonaRow, targets: Targets) -> dict[str, Any]:
    rating, response_ms = ratio(row.rating, row.ratings, 2), ratio(row.time, row.times, 1)
    return {
        "personality": persona,
        "interactions": row.answers,
        "satisfaction": rating,
        "response_quality": response_effectiveness(
            satisfaction_score=satisfaction(rating_sum=row.rating, ratings=row.ratings),
            relevance=ratio(row.relevance, row.relevances * MICROS),
            citation_accuracy=None,
        ),
        "efficiency_score": efficiency(
            avg_response_ms=response_ms,
            avg_cost_usd=ratio(row.cost, row.costs * NANOS_PER_USD, 9),
            target_ms=targets.response_ms,
        ),
        "targets_met": _share_met(
            (rating, targets.satisfaction, True),
            (ratio(row.accuracy, row.accuracies * MICROS), targets.citation_accuracy, True),
            (response_ms, targets.response_ms, False),
        ),
    }


def _share_met(*figures: tuple[float | None, float | None, bool]) -> float | None:
    """Return the share of targets that are met, of those with a figure.

    Parameters
    ----------
    figures
        Each with its target, and whether it is to be at least that, rather than at most.
    """
    met = [
        value >= target if at_least else value <= target
        for value, target, at_least in figures
        if value is not None and target is not None
    ]
    return ratio(sum(met), len(met))
