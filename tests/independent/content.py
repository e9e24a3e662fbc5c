"""``content_popularity`` and ``content_analytics``, from ``docs/fields.md``."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from fractions import Fraction

from tests.independent import scores
from tests.independent.arithmetic import (
    average,
    mean,
    most_frequent,
    part_of,
    rounded,
    shared,
)
from tests.independent.interactions import (
    Document,
    at,
    citations_of,
    cost_of,
    day_of,
    measured,
    passage_of,
    persona_of,
    source_of,
)
from tests.independent.names import plain_name
from tests.independent.people import growth, measured_words, month_before, period_of, trend
from tests.independent.reference import (
    expert_quality,
    overview,
    targets_of,
    to_improve,
    topics_of_passage,
    uncited_chapters,
)
from tests.independent.sources import ENDED, Sources, sources_of, start_of

Figures = dict[str, tuple[float, float | None, float | None]]

# --- rankings -----------------------------------------------------------------------------------------------


def expected_popularity(sources: Sources, ticks: dict[str, str]) -> dict[str, Document]:
    """Build ``content_popularity`` of every day and week with interactions, by id.

    ``ticks`` are the hours as of which the documents are published, by id.
    """
    expected = {}
    for kind in ("daily", "weekly"):
        for label, first, last in {period_of(kind, at(d).date()) for d in sources.interactions}:
            _, first_before, last_before = period_of(kind, first - timedelta(days=1))
            hours = hours_of(first, last, first_before, ticks.get(f"content_popularity_{kind}_{label}"))
            document = expected_ranking(
                kind, label, first, hours,
                between(sources.interactions, first, last),
                between(sources.interactions, first_before, last_before), sources,
            )  # fmt: skip
            expected[document["id"]] = document
    return expected


def hours_of(first: date, last: date, before: date, tick: str | None) -> tuple[int, int]:
    """The hours of a period that had passed at a tick, at least one, and those of the period before."""
    start = datetime(first.year, first.month, first.day)
    end = datetime(last.year, last.month, last.day) + timedelta(days=1)
    at = min(end, datetime.strptime(tick, "%Y-%m-%dT%H")) if tick else end
    return max(1, (at - start) // timedelta(hours=1)), (first - before).days * 24


def between(documents: list[Document], first: date, last: date) -> list[Document]:
    return [d for d in documents if first <= at(d).date() <= last]


def citing(documents: list[Document], source: str) -> list[Document]:
    return [d for d in documents if source in sources_of(d)]


def citation_counts(documents: list[Document]) -> Counter[str]:
    return Counter(map(source_of, citations_of(documents)))


def shared_topics(documents: list[Document]) -> Counter[str]:
    people = Counter(topic for _, topic in {(d["user_id"], t) for d in documents for t in topics_of([d])})
    enough = shared(people)
    return Counter(topic for topic in topics_of(documents) if topic in enough)


def topics_of(documents: list[Document]) -> list[str]:
    return measured_words(documents, "query_category")


def expected_ranking(
    kind: str,
    label: str,
    first: date,
    hours: tuple[int, int],
    documents: list[Document],
    earlier: list[Document],
    sources: Sources,
) -> Document:
    texts, texts_before = citation_counts(documents), citation_counts(earlier)
    topics = shared_topics(documents)
    topics_before = Counter(topics_of(earlier))
    longer = Fraction(*hours)  # what the period before would have in as many hours
    rising = {t: round(scores.trending(topics[t], float(topics_before[t] * longer)), 4) for t in topics}
    return {
        "id": f"content_popularity_{kind}_{label}",
        "partition_key": kind,
        "time_period": kind,
        "date": f"{first:%Y-%m-%d}",
        "document_type": "content_popularity",
        "top_foundational_texts": [
            {
                "rank": rank,
                "source": text,
                "citations": texts[text],
                "unique_users": len({d["user_id"] for d in citing(documents, text)}),
                "avg_rating": mean(measured(citing(documents, text), "user_rating"), 2),
                "trending_score": scores.near(
                    scores.trending(texts[text], float(texts_before[text] * longer))
                ),
            }
            for rank, text in enumerate(most_frequent(texts, 10), 1)
        ],
        "trending_content": expected_passages(documents, sources.vectors),
        "trending_topics": [
            expected_topic(topic, documents, topics[topic], topics_before[topic] * longer)
            for topic in sorted(rising, key=lambda t: (-rising[t], -topics[t], t))[:10]
        ],
        "personality_rankings": [
            expected_persona(persona, [d for d in documents if persona_of(d) == persona], sources.personas)
            for persona in most_frequent(Counter(map(persona_of, documents)), 10)
        ],
        "data_points": len(documents),
        "confidence_level": 0.95,
    }


def expected_passages(documents: list[Document], vectors: list[Document]) -> list[Document]:
    cited = Counter(map(passage_of, citations_of(documents)))
    ranked = sorted(cited, key=lambda key: (-cited[key], "|".join(key)))[:10]
    shown = []
    for rank, key in enumerate(ranked, 1):
        # Counted by persona: an interaction has one, so it counts once.
        of = [d for d in documents if key in map(passage_of, citations_of([d]))]
        relevances = [
            c["relevance_score"]
            for c in citations_of(of)
            if passage_of(c) == key and c.get("relevance_score") is not None
        ]
        shown.append(
            {
                "rank": rank,
                "content_id": "_".join(part for part in key if part),
                "citations": cited[key],
                "relevance_score": mean(relevances, 4),
                "user_engagement": scores.near(scores.satisfaction(measured(of, "user_rating"))),
                "topic": next(
                    iter(topics_of_passage(key, vectors) or most_frequent(shared_topics(of), 1)), None
                ),
            }
        )
    return shown


def expected_topic(topic: str, documents: list[Document], now: int, before: Fraction) -> Document:
    own = [d for d in documents if topics_of([d]) == [topic]]
    return {
        "topic": topic,
        "growth_rate": growth(now, float(before)),
        "query_count": now,
        "satisfaction_score": scores.near(scores.fair_rating(measured(own, "user_rating"))),
    }


def expected_persona(persona: str, own: list[Document], personas: list[Document]) -> Document:
    targets = targets_of(persona, personas)
    accuracies = measured(own, "quality_metrics", "citation_accuracy")
    ratings, times = measured(own, "user_rating"), measured(own, "response_time_ms")
    relevances = measured(own, "quality_metrics", "response_relevance")
    costs = [cost for d in own if (cost := cost_of(d)) is not None]
    return {
        "personality": persona,
        "interactions": len(own),
        "satisfaction": mean(ratings, 2),
        "response_quality": scores.near(
            scores.effectiveness(scores.satisfaction(ratings), average(relevances), None)
        ),
        "efficiency_score": scores.near(
            scores.efficiency(
                average(times),
                None if not costs else sum(costs) / len(costs) / 1e9,
                targets.get("target_response_time_ms", 1200),
            )
        ),
        "targets_met": targets_met(
            (average(ratings), 2, targets.get("target_satisfaction_score"), 1),
            (average(accuracies), 4, targets.get("target_citation_accuracy"), 1),
            (average(times), 1, targets.get("target_response_time_ms"), -1),
        ),
    }


def targets_met(*figures: tuple[float | None, int, float | None, int]) -> object:
    """Of figures as they are shown, each with its digits, its target and a sign: the share that meets it."""
    met = [
        sign * round(value, digits) >= sign * target
        for value, digits, target, sign in figures
        if value is not None and target is not None
    ]
    return part_of(sum(met), len(met))


# --- texts --------------------------------------------------------------------------------------------------


def expected_texts(sources: Sources, ticks: dict[str, str]) -> dict[str, Document]:
    """Build ``content_analytics`` of every text and month in which it is cited, by id."""
    expected = {}
    for month in {at(d).date().replace(day=1) for d in sources.interactions}:
        label, first, last = period_of("monthly", month)
        documents = between(sources.interactions, first, last)
        earlier = between(sources.interactions, month_before(first), first - timedelta(days=1))
        rated = figures_by_text(documents)
        for text in most_frequent(citation_counts(documents), 200):
            tick = ticks.get(f"content_analytics_{text}_{label}")
            hours = hours_of(first, last, month_before(first), tick)
            over = tick is None or tick >= f"{last + timedelta(days=1):%Y-%m-%d}T00"
            document = expected_text(
                text, label, Fraction(*hours), over, documents, earlier, rated, sources,
                [s for s in sources.sessions if first <= start_of(s).date() <= last],
            )  # fmt: skip
            document |= {
                "period_start": f"{first:%Y-%m-%d}T00:00:00Z",
                "period_end": f"{last:%Y-%m-%d}T23:59:59Z",
            }
            expected[document["id"]] = document
    return expected


def expected_text(
    text: str,
    label: str,
    longer: Fraction,
    over: bool,
    documents: list[Document],
    earlier: list[Document],
    rated: Figures,
    sources: Sources,
    sessions: list[Document],
) -> Document:
    own, before = citing(documents, text), citing(earlier, text)
    citations = [c for c in citations_of(own) if source_of(c) == text]
    days_by_user: defaultdict[str, set[str]] = defaultdict(set)
    for document in own:
        days_by_user[document["user_id"]].add(day_of(document))
    again = sum(len(days) > 1 for days in days_by_user.values())
    ratings = measured(own, "user_rating")
    accuracies = measured(own, "quality_metrics", "citation_accuracy")
    effective = scores.effectiveness(
        scores.satisfaction(ratings),
        average(measured(own, "quality_metrics", "response_relevance")),
        average(accuracies),
    )
    given = len(measured(citations, "relevance_score")) + len(ratings) + len(accuracies)
    return {
        "id": f"content_analytics_{text}_{label}",
        "partition_key": text,
        "source": text,
        "document_type": "content_analytics",
        "analysis_period": "monthly",
        "content_overview": overview(text, sources.vectors),
        "usage_metrics": {
            "total_citations": len(citations),
            "unique_users_accessed": len(days_by_user),
            "total_views": len(own),
            **expected_attention(text, sessions),
            "return_access_rate": part_of(again, len(days_by_user)),
        },
        "performance_metrics": {
            "avg_relevance_score": mean(measured(citations, "relevance_score"), 4),
            "citation_accuracy_rate": mean(accuracies, 4),
            "user_satisfaction_avg": mean(ratings, 2),
            "response_effectiveness": scores.near(effective),
            "search_ranking_position": mean(places_of(text, own), 2),
        },
        "quality_metrics": {
            **expert_quality(text, sources.vectors),
            "contextual_appropriateness": mean(measured(own, "user_feedback", "relevant"), 4),
            "citation_completeness": mean(measured(own, "user_feedback", "well_cited"), 4),
        },
        "chapter_analytics": expected_chapters(text, own, citations),
        "topic_analytics": expected_topics(own, before, longer)
        | expected_subjects(text, own, citations, sources.vectors),
        "comparative_metrics": {
            "vs_other_texts": expected_ranks(text, rated),
            "growth_trends": {
                "usage_growth_percent": percent(
                    len(citations), float(citation_counts(earlier)[text] * longer)
                ),
                "user_growth_percent": percent(len(days_by_user), len({d["user_id"] for d in before}))
                if over
                else None,
                "satisfaction_trend": trend(
                    mean(ratings, 2),
                    mean(measured(before, "user_rating"), 2),
                    "increasing",
                    "decreasing",
                    digits=2,
                ),
            },
        },
        "content_recommendations": {
            "enhancement_areas": uncited_chapters(
                text, {passage_of(c)[1] for c in citations}, sources.vectors
            ),
            "translation_improvements": to_improve(text, sources.vectors),
            "new_content_suggestions": None,
            "priority_score": scores.near(scores.priority(len(citations), effective)),
        },
        "data_quality_score": part_of(given, len(citations) + 2 * len(own)),
        "sample_size": len(citations),
    }  # fmt: skip


def expected_attention(text: str, sessions: list[Document]) -> Document:
    accessed = [
        s for s in sessions if text in map(plain_name, (s.get("foundational_texts_accessed") or [])[:20])
    ]
    seconds = measured(accessed, "engagement_indicators", "time_on_guidance")
    ended = [s for s in accessed if s.get("status") in ENDED and s.get("interaction_count") is not None]
    return {
        "avg_time_spent_seconds": mean(list(map(round, seconds)), 1),
        "bounce_rate": part_of(sum(s["interaction_count"] <= 1 for s in ended), len(ended)),
    }


def places_of(text: str, own: list[Document]) -> list[float]:
    """The text's place in each answer that says how relevant it is."""
    places: list[float] = []
    for document in own:
        best: dict[str, float] = {}
        for citation in citations_of([document]):
            if citation.get("relevance_score") is not None:
                source = source_of(citation)
                best[source] = max(citation["relevance_score"], best.get(source, 0))
        if text in best:
            places.append(1 + sum(other > best[text] for other in best.values()))
    return places


def expected_subjects(
    text: str, own: list[Document], citations: list[Document], vectors: list[Document]
) -> Document:
    """What the cited passages are about, where that is known of any."""
    topics = {place: topics_of_passage(place, vectors) for place in set(map(passage_of, citations))}
    cited = Counter(topic for c in citations for topic in topics[passage_of(c)])
    shown = []
    for topic in most_frequent(cited, 10):
        of = [c for c in citations if topic in topics[passage_of(c)]]
        ratings = [
            d["user_rating"]
            for d in own
            if d.get("user_rating") is not None
            for place in set(map(passage_of, citations_of([d])))
            if place[0] == text and topic in topics[place]
        ]
        shown.append(
            {
                "topic": topic,
                "frequency": part_of(len(of), len(citations)),
                "relevance_score": mean(measured(of, "relevance_score"), 4),
                "user_engagement": scores.near(scores.satisfaction(ratings)),
            }
        )
    return {"primary_topics": shown} if shown else {}


def percent(now: float, before: float) -> object:
    return rounded(100 * (now - before) / before, 2) if before else None


def expected_chapters(text: str, own: list[Document], citations: list[Document]) -> list[Document]:
    in_chapters = [c for c in citations if passage_of(c)[1]]
    chapters = Counter(passage_of(c)[1] for c in in_chapters)
    shown = []
    for chapter in most_frequent(chapters, 20):
        cited = [c for c in in_chapters if passage_of(c)[1] == chapter]
        ratings = [
            d["user_rating"]
            for d in own
            if d.get("user_rating") is not None
            for _ in {passage_of(c) for c in citations_of([d]) if c in cited}
        ]
        verses = Counter(f"{chapter}.{verse}" for c in cited if (verse := passage_of(c)[2]))
        shown.append(
            {
                "chapter": chapter,
                "chapter_title": None,
                "usage_count": len(cited),
                "avg_relevance": mean(measured(cited, "relevance_score"), 4),
                "popular_verses": most_frequent(verses, 3),
                "user_rating": mean(ratings, 2),
                "citation_frequency": part_of(len(cited), len(citations)),
            }
        )
    return shown


def expected_topics(own: list[Document], before: list[Document], longer: Fraction) -> Document:
    topics, earlier = shared_topics(own), Counter(topics_of(before))
    more = {topic: count - earlier[topic] * longer for topic, count in topics.items()}
    rising = {topic: by for topic, by in more.items() if by > 0}
    primary = []
    for topic in most_frequent(topics, 10):
        of = [d for d in own if topics_of([d]) == [topic]]
        primary.append(
            {
                "topic": topic,
                "frequency": part_of(topics[topic], len(own)),
                "relevance_score": mean(measured(of, "quality_metrics", "response_relevance"), 4),
                "user_engagement": scores.near(scores.satisfaction(measured(of, "user_rating"))),
            }
        )
    return {
        "primary_topics": primary,
        "trending_topics": sorted(rising, key=lambda topic: (-rising[topic], topic))[:10],
        "seasonal_patterns": None,
    }


def figures_by_text(documents: list[Document]) -> Figures:
    """The three figures of every text by which texts are ranked: uses, ratings, accuracy of citations."""
    by_text: defaultdict[str, list[Document]] = defaultdict(list)
    for document in documents:
        for text in sources_of(document):
            by_text[text].append(document)
    return {
        text: (
            float(uses),
            average(measured(by_text[text], "user_rating")),
            average(measured(by_text[text], "quality_metrics", "citation_accuracy")),
        )
        for text, uses in citation_counts(documents).items()
    }


def expected_ranks(text: str, rated: Figures) -> Document:
    def rank(number: int, digits: int) -> int | None:
        known = {t: round(value, digits) for t, of in rated.items() if (value := of[number]) is not None}
        return 1 + sum(value > known[text] for value in known.values()) if text in known else None

    return {
        "usage_rank": rank(0, 0),
        "satisfaction_rank": rank(1, 2),
        "citation_accuracy_rank": rank(2, 4),
    }
