"""What interactions and sessions add to the content of their day. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from shared.builds.content import Content, part_of, person_number
from shared.builds.rows import (
    PEOPLE,
    WINDOW_MINUTES,
    AllRow,
    CitedRow,
    Kind,
    PersonaRow,
    TextRow,
    TopicRow,
    WindowRow,
)
from shared.facts import InteractionFact, SessionFact
from shared.units import hash_key


class ContentCounter:
    """Counts interactions of one day into a content, or into one group of its parts.

    Parameters
    ----------
    group, groups
        Only rows whose part of ``groups`` is ``group`` are counted, so that a day with more rows than fit in
        memory is counted in several passes.
    """

    def __init__(self, group: int = 0, groups: int = 1) -> None:
        self.content = Content()
        self._group = group
        self._groups = groups

    def count(self, fact: InteractionFact) -> None:
        """Add one interaction."""
        rating = _sample(fact.rating)
        self._add(Kind.ALL, "", AllRow(1, len(fact.citations)))
        self._add(
            Kind.PERSONAS,
            fact.persona,
            PersonaRow(
                1,
                *rating,
                *_sample(fact.response_ms),
                *_sample(fact.relevance),
                *_sample(fact.cost),
                *_sample(fact.citation_accuracy),
            ),
        )
        if fact.category is not None:
            self._add_topic(Kind.TOPICS, fact.category, TopicRow(1, *rating), fact)
        self._texts(fact)
        self._passages(fact)
        self._window(fact, rating)

    def count_session(self, fact: SessionFact) -> None:
        """Add one session to the texts that the person accessed in it."""
        attention, attentions = _sample(fact.attention)
        counted = fact.outcome is not None and fact.interactions is not None
        row = TextRow(
            attention=attention,
            attentions=attentions,
            bounced=int(counted and (fact.interactions or 0) <= 1),
            sessions=int(counted),
        )
        if any(row):
            for text in fact.texts:
                self._add(Kind.TEXTS, text, row)

    def _window(self, fact: InteractionFact, rating: tuple[int, int]) -> None:
        answers = 0 if fact.answered is None else 1
        row = WindowRow(1, int(fact.answered is False), answers, *_sample(fact.response_ms), *rating)
        self._add(Kind.WINDOWS, str(fact.minute_of_day // WINDOW_MINUTES), row)

    def _texts(self, fact: InteractionFact) -> None:
        """Count citations, and the answer once for each text in it, however often it cites the text."""
        rating, response = _sample(fact.rating), _sample(fact.relevance)
        for citation in fact.citations:
            self._add(Kind.TEXTS, citation.text, TextRow(1, *_sample(citation.relevance)))
        answer = TextRow(0, 0, 0, 1, *rating, *_sample(fact.citation_accuracy), *response)
        answer = answer._replace(
            **_verdict("relevant", fact.relevant), **_verdict("well_cited", fact.well_cited)
        )
        places = _places(fact)
        for text in sorted(fact.texts):
            place = places.get(text)
            self._add(Kind.TEXTS, text, answer._replace(place=place or 0, places=int(place is not None)))
            reader = f"{text}|{hash_key(fact.user_id)}"
            if self._is_counted(Kind.READERS, reader):
                self.content.put(Kind.READERS, reader, [1])
            if fact.category is not None:
                row = TopicRow(1, *rating, *response)
                self._add_topic(Kind.TEXT_TOPICS, f"{text}|{fact.category}", row, fact)

    def _passages(self, fact: InteractionFact) -> None:
        """Count citations of passages and chapters, and the rating once for each passage in the answer."""
        day = int(fact.day.replace("-", ""))
        for citation in fact.citations:
            row = CitedRow(1, *_sample(citation.relevance), last=day)
            self._add_passage(fact, citation.passage.key, row)
        for key in sorted({citation.passage.key for citation in fact.citations}):
            rating, ratings = _sample(fact.rating)
            self._add_passage(fact, key, CitedRow(rating=rating, ratings=ratings, last=day))
            if fact.category is not None:
                self._add_topic(Kind.PASSAGE_TOPICS, f"{key}|{fact.category}", [1], fact)

    def _add_passage(self, fact: InteractionFact, key: str, row: CitedRow) -> None:
        self._add(Kind.PASSAGES, f"{fact.persona}|{key}", row)
        text, chapter, _ = key.split("|")
        if chapter:
            self._add(Kind.CHAPTERS, f"{text}|{chapter}", row._replace(last=0))

    def _add_topic(self, kind: Kind, key: str, row: Sequence[int], fact: InteractionFact) -> None:
        self._add(kind, key, row)
        self._add(PEOPLE[kind], key, [person_number(fact.user_id)])

    def _is_counted(self, kind: Kind, key: str) -> bool:
        return self._groups == 1 or part_of(kind, key, self._groups) == self._group

    def _add(self, kind: Kind, key: str, row: Sequence[int]) -> None:
        if self._is_counted(kind, key):
            self.content.add(kind, key, row)


def _places(fact: InteractionFact) -> dict[str, int]:
    """Return the place of each text that has a relevance among those of an answer; equals share the best."""
    best: dict[str, int] = {}
    for citation in fact.citations:
        if citation.relevance is not None:
            best[citation.text] = max(citation.relevance, best.get(citation.text, 0))
    return {text: 1 + sum(other > own for other in best.values()) for text, own in best.items()}


def _verdict(name: str, verdict: bool | None) -> dict[str, int]:
    return {} if verdict is None else {name: int(verdict), f"{name}s": 1}


def _sample(value: int | None) -> tuple[int, int]:
    """Return a measured value and its number; zeros if it was not measured."""
    return (0, 0) if value is None else (value, 1)
