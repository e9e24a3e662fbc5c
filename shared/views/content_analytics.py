"""``content_analytics``: the figures of one text in one month (specification, 2.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared.aggregates.base import PartialKey
from shared.aggregates.tally import ratio, top
from shared.builds.content import Content
from shared.builds.graph import CONTENT, is_day
from shared.builds.rows import CitedRow, Kind, TextRow, TopicRow
from shared.containers import container
from shared.facts import Passage
from shared.periods import parse_period
from shared.scores import (
    data_completeness,
    enhancement_priority,
    response_effectiveness,
    satisfaction,
)
from shared.units import MICROS, Month, month_after
from shared.views.base import (
    BuiltView,
    Collector,
    DocumentSet,
    Rendered,
    Schedule,
    Stamp,
    States,
    stamp_fields,
)
from shared.views.content import (
    Elapsed,
    by_passage,
    cited_most,
    elapsed_of,
    percent_change,
    tick_of,
    trend_word,
)
from shared.views.fields import not_measured
from shared.views.reference import Reference

NAME = "content_analytics"

CHAPTERS, VERSES, TOPICS = 20, 3, 10
"""Numbers of chapters of a text, verses of a chapter and topics of a text in a document: those used most."""

AREAS = 5
"""Chapters without citations that a document names."""

MOST_TEXTS = 200
"""Texts of a month that have a document: those cited most. Sources can contain any number of names."""


class ContentAnalytics(BuiltView):
    """One document per text and month. The key is the month, ``202508``, because texts are compared."""

    name = NAME
    example = "202508"
    container = NAME
    sources = frozenset({"user_interactions"})
    facts: Mapping[str, int] = {"user_interactions": 2}
    uses_reference = True
    periods = 2
    schedule = Schedule.DAILY
    skip_unchanged = True

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        """Return the month of a content, and the next month, whose documents compare with it."""
        if target.aggregate != CONTENT or is_day(target.key):
            return ()
        return (target.key, month_after(Month(target.key), 1))

    def contents(self, key: str) -> tuple[tuple[str, ...], ...]:
        """Return the month and the month before."""
        return ((parse_period(key).label,), (month_after(Month(key), -1),))

    def tick(self, key: str, now: datetime) -> str:
        return tick_of(parse_period(key), now)

    def collector(self, key: str, tick: str, reference: Reference) -> Collector:
        return Texts(elapsed_of(parse_period(key), tick), reference)

    def document_set(self, key: str) -> DocumentSet:
        """Return the documents of all texts in the month, because a text may have lost all its citations."""
        start = parse_period(key).fields()["period_start"]
        return DocumentSet(None, "monthly", start, start)

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        texts = states.collected
        assert isinstance(texts, Texts)  # noqa: S101  the publisher collects what the view asks for
        return [
            Rendered(document_id(text, key), text, _document(text, Month(key), texts, stamp))
            for text in texts.first
        ]


class Topic(NamedTuple):
    """A topic of a text, and its answers in the month before."""

    row: TopicRow
    earlier: int


class Texts:
    """Collects what the documents of a month show, of the month and of the month before.

    The first pass collects texts, chapters and topics, the second one the verses of the chapters that are
    shown. All rows of a chapter, topic or passage are in one part: what is not among the first of the parts
    so far is not among the first of all parts.
    """

    passes = 2

    def __init__(self, elapsed: Elapsed, reference: Reference) -> None:
        self.elapsed = elapsed
        self.reference = reference
        self.now = Content()
        """Texts and numbers of readers of the month."""
        self.before = Content()
        """The same of the month before."""
        self.chapters: dict[str, dict[str, CitedRow]] = defaultdict(dict)
        """By text, the chapters that are shown."""
        self.topics: dict[str, dict[str, Topic]] = defaultdict(dict)
        """By text, the topics that are shown, as primary or as rising ones."""
        self.verses: dict[str, dict[str, CitedRow]] = defaultdict(dict)
        """By ``text|chapter``, the verses that are shown."""
        self.subjects: dict[str, dict[str, CitedRow]] = defaultdict(dict)
        """By text, what its passages are about: the topics that the reference names, at most."""
        self.cited_chapters: dict[str, set[str]] = defaultdict(set)
        """By text, the chapters that are cited and that the reference names."""

    @property
    def first(self) -> list[str]:
        """The texts that have a document, those cited most first."""
        # A text that people accessed in sessions, and that no answer cites, has a row as well.
        return top({text: row[0] for text, row in self.now.rows(Kind.TEXTS).items() if row[0]}, MOST_TEXTS)

    def add(self, number: int, parts: Sequence[Content]) -> None:
        """Add one part of the month and of the month before."""
        now, before = parts
        if number == 1:
            self._add_verses(now)
            return
        self._add_chapters(now)
        self._add_subjects(now)
        self._add_topics(now, before)
        for content, part in ((self.now, now), (self.before, before)):
            for kind in (Kind.TEXTS, Kind.READER_COUNTS):
                for text, row in part.rows(kind).items():
                    content.add(kind, text, row)

    def primary_topics(self, text: str) -> list[str]:
        """Return the topics of most answers that cite a text, in order."""
        return top({topic: row.answers for topic, (row, _) in self.topics[text].items()}, TOPICS)

    def rising_topics(self, text: str) -> list[str]:
        """Return the topics with more answers per hour than in the month before, most more first."""
        scaled, scaled_before = self.elapsed.scaled, self.elapsed.scaled_before
        more = {
            topic: scaled(row.answers) - scaled_before(earlier)
            for topic, (row, earlier) in self.topics[text].items()
        }
        return top({topic: by for topic, by in more.items() if by > 0}, TOPICS)

    def _add_chapters(self, now: Content) -> None:
        for key, row in now.rows(Kind.CHAPTERS).items():
            text, chapter = key.split("|")
            self.chapters[text][chapter] = CitedRow(*row)
            if chapter in self.reference.text(text).chapters:
                self.cited_chapters[text].add(chapter)
        for text, rows in self.chapters.items():
            self.chapters[text] = {chapter: rows[chapter] for chapter in cited_most(rows, CHAPTERS)}

    def _add_subjects(self, now: Content) -> None:
        for passage, row in by_passage(now).items():
            for topic in self.reference.passage(passage).topics:
                subjects = self.subjects[passage.partition("|")[0]]
                subjects[topic] = subjects.get(topic, CitedRow()).plus(row)

    def _add_topics(self, now: Content, before: Content) -> None:
        now.keep_shared(Kind.TEXT_TOPICS)
        earlier = before.rows(Kind.TEXT_TOPICS)
        for key, row in now.rows(Kind.TEXT_TOPICS).items():
            text, topic = key.split("|")
            self.topics[text][topic] = Topic(TopicRow(*row), TopicRow(*earlier.get(key, ())).answers)
        for text, topics in self.topics.items():
            shown = {*self.primary_topics(text), *self.rising_topics(text)}
            self.topics[text] = {topic: topics[topic] for topic in shown}

    def _add_verses(self, now: Content) -> None:
        for passage, row in by_passage(now).items():
            text, chapter, verse = passage.split("|")
            if verse and chapter in self.chapters.get(text, {}):
                self.verses[f"{text}|{chapter}"][verse] = row
        for chapter, rows in self.verses.items():
            self.verses[chapter] = {verse: rows[verse] for verse in cited_most(rows, VERSES)}


def document_id(text: str, key: str) -> str:
    """Return the specification's id, ``content_analytics_bhagavad_gita_202508``."""
    return f"{NAME}_{text}_{key}"


def _document(text: str, month: Month, texts: Texts, stamp: Stamp) -> dict[str, Any]:
    row, readers, known = texts.now.text(text), texts.now.readers(text), texts.reference.text(text)
    return {
        "id": document_id(text, month),
        "partition_key": text,
        "source": text,
        "document_type": NAME,
        **parse_period(month).fields(),
        "content_overview": {
            "total_verses": known.verses or None,
            "total_chapters": len(known.chapters) or None,
            "content_completeness": known.completeness,
            "translation_quality": known.reviewed_accuracy.value(MICROS),
            "expert_validation_status": known.validation_status,
        },
        "usage_metrics": {
            "total_citations": row.citations,
            "unique_users_accessed": readers.people,
            "total_views": row.answers,
            "avg_time_spent_seconds": ratio(row.attention, row.attentions, 1),
            "bounce_rate": ratio(row.bounced, row.sessions),
            "return_access_rate": ratio(readers.again, readers.people),
        },
        "performance_metrics": {
            "avg_relevance_score": ratio(row.relevance, row.relevances * MICROS),
            "citation_accuracy_rate": _accuracy(row),
            "user_satisfaction_avg": _rating(row),
            "response_effectiveness": _effectiveness(row),
            "search_ranking_position": ratio(row.place, row.places, 2),
        },
        "quality_metrics": {
            "translation_accuracy": known.accuracy.value(MICROS),
            "cultural_sensitivity": known.sensitivity.value(MICROS),
            "contextual_appropriateness": ratio(row.relevant, row.relevants),
            "citation_completeness": ratio(row.well_cited, row.well_citeds),
            "expert_validation_score": known.share_reviewed,
        },
        "chapter_analytics": _chapters(text, texts),
        "topic_analytics": _topics(text, texts),
        "comparative_metrics": _comparison(text, texts),
        "content_recommendations": {
            **not_measured(NAME, "content_recommendations"),
            "enhancement_areas": _uncited_chapters(text, texts),
            "translation_improvements": [_improvement(passage) for passage in known.weakest],
            "priority_score": enhancement_priority(
                citations=row.citations, effectiveness=_effectiveness(row)
            ),
        },
        "data_quality_score": data_completeness(
            given=row.relevances + row.ratings + row.accuracies, expected=row.citations + 2 * row.answers
        ),
        "sample_size": row.citations,
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }


def _rating(row: TextRow) -> float | None:
    return ratio(row.rating, row.ratings, 2)


def _accuracy(row: TextRow) -> float | None:
    return ratio(row.accuracy, row.accuracies * MICROS)


def _effectiveness(row: TextRow) -> float | None:
    return response_effectiveness(
        satisfaction_score=satisfaction(rating_sum=row.rating, ratings=row.ratings),
        relevance=ratio(row.response, row.responses * MICROS),
        citation_accuracy=_accuracy(row),
    )


def _chapters(text: str, texts: Texts) -> list[dict[str, Any]]:
    citations, rows = texts.now.text(text).citations, texts.chapters[text]
    return [
        {
            "chapter": chapter,
            "chapter_title": None,
            "usage_count": rows[chapter].citations,
            "avg_relevance": ratio(rows[chapter].relevance, rows[chapter].relevances * MICROS),
            "popular_verses": [
                f"{chapter}.{verse}" for verse in cited_most(texts.verses[f"{text}|{chapter}"], VERSES)
            ],
            "user_rating": ratio(rows[chapter].rating, rows[chapter].ratings, 2),
            "citation_frequency": ratio(rows[chapter].citations, citations),
        }
        for chapter in cited_most(rows, CHAPTERS)
    ]


def _uncited_chapters(text: str, texts: Texts) -> list[str]:
    """Return the chapters that have passages and are not cited, in order: ``chapter_16_coverage``."""
    chapters = texts.reference.text(text).chapters - texts.cited_chapters[text]
    in_order = sorted(chapters, key=lambda chapter: (len(chapter), chapter))
    return [f"chapter_{chapter}_coverage" for chapter in in_order[:AREAS]]


def _improvement(passage: Passage) -> str:
    """Return the name of a passage whose translation needs work: ``verse_3_42_accuracy``."""
    _, chapter, verse = passage
    kind = "verse" if verse else "chapter" if chapter else "text"
    return "_".join([kind, *(part for part in (chapter, verse) if part), "accuracy"])


def _subjects(text: str, texts: Texts) -> list[dict[str, Any]]:
    """Return what the cited passages of a text are about."""
    citations, rows = texts.now.text(text).citations, texts.subjects[text]
    return [
        {
            "topic": topic,
            "frequency": ratio(rows[topic].citations, citations),
            "relevance_score": ratio(rows[topic].relevance, rows[topic].relevances * MICROS),
            "user_engagement": satisfaction(rating_sum=rows[topic].rating, ratings=rows[topic].ratings),
        }
        for topic in cited_most(rows, TOPICS)
    ]


def _topics(text: str, texts: Texts) -> dict[str, Any]:
    answers = texts.now.text(text).answers
    rows = {topic: texts.topics[text][topic].row for topic in texts.primary_topics(text)}
    return {
        "primary_topics": _subjects(text, texts)
        or [
            {
                "topic": topic,
                "frequency": ratio(row.answers, answers),
                "relevance_score": ratio(row.relevance, row.relevances * MICROS),
                "user_engagement": satisfaction(rating_sum=row.rating, ratings=row.ratings),
            }
            for topic, row in rows.items()
        ],
        "trending_topics": texts.rising_topics(text),
        "seasonal_patterns": None,
    }


def _comparison(text: str, texts: Texts) -> dict[str, Any]:
    rows = {t: texts.now.text(t) for t in texts.first}
    row, before, elapsed = rows[text], texts.before.text(text), texts.elapsed
    people, people_before = texts.now.readers(text).people, texts.before.readers(text).people
    return {
        "vs_other_texts": {
            "usage_rank": _rank(text, {t: of_text.citations for t, of_text in rows.items()}),
            "satisfaction_rank": _rank(text, {t: _rating(of_text) for t, of_text in rows.items()}),
            "citation_accuracy_rank": _rank(text, {t: _accuracy(of_text) for t, of_text in rows.items()}),
        },
        "growth_trends": {
            "usage_growth_percent": percent_change(
                elapsed.scaled(row.citations), elapsed.scaled_before(before.citations)
            ),
            # People do not become more in proportion to time, so those of a part compare with nothing.
            "user_growth_percent": percent_change(people, people_before) if elapsed.is_over else None,
            "satisfaction_trend": trend_word(
                _rating(row), _rating(before), words=("increasing", "decreasing", "stable")
            ),
        },
    }


def _rank(text: str, values: Mapping[str, float | None]) -> int | None:
    """Return a text's rank by a figure, None without it. Texts with equal figures share the best rank."""
    own = values[text]
    if own is None:
        return None
    return 1 + sum(1 for value in values.values() if value is not None and value > own)
