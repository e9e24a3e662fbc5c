"""What passages come to over some days, and comparisons: the common ground of the content views."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.aggregates.base import hash_key
from shared.aggregates.day import passage_of, split_passage
from shared.aggregates.tally import Tally
from shared.facts import Passage


@dataclass(slots=True)
class Cited:
    """A passage, over all personas."""

    citations: int = 0
    relevance: int = 0
    relevances: int = 0
    rating: int = 0
    ratings: int = 0
    topics: dict[str, int] = field(default_factory=dict)

    def add(self, state: Tally, name: str) -> None:
        """Add what a persona's use of the passage comes to."""
        key = hash_key(name)
        self.citations += state.counts("passages")[name]
        self.relevance += state.counts("passage_relevance").get(key, 0)
        self.relevances += state.counts("passage_relevance#").get(key, 0)
        self.rating += state.counts("passage_rating").get(key, 0)
        self.ratings += state.counts("passage_rating#").get(key, 0)


def passages(state: Tally) -> dict[Passage, Cited]:
    """Return the passages that can be named, in order."""
    found: dict[Passage, Cited] = {}
    by_key: dict[str, Passage] = {}
    for name in sorted(state.counts("passages")):
        passage = passage_of(split_passage(name)[1])
        if passage is not None:
            by_key[hash_key(name)] = passage
            found.setdefault(passage, Cited()).add(state, name)
    for key, count in state.counts("passage_topics").items():
        name, _, topic = key.partition("|")
        if name in by_key:
            topics = found[by_key[name]].topics
            topics[topic] = topics.get(topic, 0) + count
    return found


def distinct_passages(state: Tally) -> int:
    """Return how many passages were cited, whoever cited them."""
    return len({split_passage(name)[1] for name in state.counts("passages")})


def percent_change(recent: float | None, earlier: float | None) -> float | None:
    """Return the change since the period before in percent."""
    if recent is None or not earlier:
        return None
    return round(100 * (recent - earlier) / earlier, 2)


def trend_word(recent: float | None, earlier: float | None, *, words: tuple[str, str, str]) -> str | None:
    """Return the word for more, less or as much as before; a change of two per cent is none."""
    if recent is None or earlier is None:
        return None
    more, less, same = words
    tolerance = abs(earlier) * 0.02
    if abs(recent - earlier) <= tolerance:
        return same
    return more if recent > earlier else less
