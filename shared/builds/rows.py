"""The rows of a content: what they are about, and their numbers."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from shared.aggregates.tally import ratio

WINDOW_MINUTES = 5
"""Length of the windows of a day: that of the windows of ``system_health``."""


class Kind(StrEnum):
    """What the rows of a kind are about, and their key."""

    ALL = "all"
    """Everything: one row, with an empty key."""
    TEXTS = "texts"
    """``text``"""
    CHAPTERS = "chapters"
    """``text|chapter``"""
    PASSAGES = "passages"
    """``persona|text|chapter|verse``"""
    PASSAGE_TOPICS = "passage_topics"
    """``text|chapter|verse|topic``"""
    TOPICS = "topics"
    """``topic``"""
    TEXT_TOPICS = "text_topics"
    """``text|topic``"""
    TOPIC_PEOPLE = "topic_people"
    TEXT_TOPIC_PEOPLE = "text_topic_people"
    PASSAGE_TOPIC_PEOPLE = "passage_topic_people"
    """As the rows of topics: :data:`~shared.privacy.classes.MIN_PEOPLE` people who asked, or all of them
    if they are fewer. A person is the number of :func:`person_number`."""
    PERSONAS = "personas"
    """``persona``"""
    READERS = "readers"
    """``text|person``, the person as a hash: the number of days on which the person read the text."""
    READER_COUNTS = "reader_counts"
    """``text``: what replaces the readers in the content of a month."""
    WINDOWS = "windows"
    """Number of a window of five minutes of the day. Only the content of a day has them."""


PEOPLE = {
    Kind.TOPICS: Kind.TOPIC_PEOPLE,
    Kind.TEXT_TOPICS: Kind.TEXT_TOPIC_PEOPLE,
    Kind.PASSAGE_TOPICS: Kind.PASSAGE_TOPIC_PEOPLE,
}
"""The people of each kind of rows whose names are shown only if enough people share them."""


class AllRow(NamedTuple):
    """The row of :attr:`Kind.ALL`. Scores are millionths, in all rows."""

    interactions: int = 0
    citations: int = 0


class TextRow(NamedTuple):
    """Each sum of scores or ratings is followed by the number of values."""

    citations: int = 0
    relevance: int = 0
    relevances: int = 0
    answers: int = 0
    rating: int = 0
    ratings: int = 0
    accuracy: int = 0
    accuracies: int = 0
    response: int = 0
    responses: int = 0
    place: int = 0
    places: int = 0
    """The text's place among the texts of an answer, by their highest relevance."""
    relevant: int = 0
    relevants: int = 0
    """People's verdicts: whether the answer was relevant, and whether it was well cited."""
    well_cited: int = 0
    well_citeds: int = 0
    attention: int = 0
    attentions: int = 0
    """Seconds spent on guidance, of the sessions that accessed the text."""
    bounced: int = 0
    sessions: int = 0
    """Of these sessions, those that ended with one interaction, and those that ended and say how many."""


class CitedRow(NamedTuple):
    """Of a chapter or a passage. ``last`` is the last day on which it was cited, 20250805 (passages only)."""

    citations: int = 0
    relevance: int = 0
    relevances: int = 0
    rating: int = 0
    ratings: int = 0
    last: int = 0

    def plus(self, other: CitedRow) -> CitedRow:
        """Return the sum of both."""
        last = max(self.last, other.last)
        return CitedRow(*(one + more for one, more in zip(self, other, strict=True)))._replace(last=last)


class TopicRow(NamedTuple):
    """Of a topic, of all answers or of those that cite a text (with relevance)."""

    answers: int = 0
    rating: int = 0
    ratings: int = 0
    relevance: int = 0
    relevances: int = 0


class PersonaRow(NamedTuple):
    """Times in milliseconds, costs in nano-dollars."""

    answers: int = 0
    rating: int = 0
    ratings: int = 0
    time: int = 0
    times: int = 0
    relevance: int = 0
    relevances: int = 0
    cost: int = 0
    costs: int = 0
    accuracy: int = 0
    accuracies: int = 0


class ReadersRow(NamedTuple):
    """People who read a text in a month, and how many of them on two days or more."""

    people: int = 0
    again: int = 0


class WindowRow(NamedTuple):
    """What alerts are raised from: each sum is followed by the number of values."""

    interactions: int = 0
    unanswered: int = 0
    answers: int = 0
    """Interactions that say whether they have an answer."""
    time: int = 0
    times: int = 0
    rating: int = 0
    ratings: int = 0

    @property
    def error_rate(self) -> float | None:
        """The share of answers that are missing."""
        return ratio(self.unanswered, self.answers)

    @property
    def avg_response_time_ms(self) -> float | None:
        """The mean time of an answer, in milliseconds."""
        return ratio(self.time, self.times, 1)

    @property
    def user_satisfaction(self) -> float | None:
        """The mean rating."""
        return ratio(self.rating, self.ratings, 2)
