"""Figures of passages, and comparisons with an earlier period. The content views share them."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.aggregates.base import hash_key
from shared.aggregates.day import passage_of, split_passage
from shared.aggregates.tally import Tally
from shared.facts import Passage


@dataclass(slots=True)
class Cited:
    """Figures of one cited passage, summed over all personas."""

    citations: int = 0
    relevance: int = 0
    relevances: int = 0
    rating: int = 0
    ratings: int = 0
    topics: dict[str, int] = field(default_factory=dict)

    def add(self, state: Tally, name: str) -> None:
        """Add the figures of one persona's citations of the passage."""
        key = hash_key(name)
        self.citations += state.counts("passages")[name]
        self.relevance += state.counts("passage_relevance").get(key, 0)
        self.relevances += state.counts("passage_relevance#").get(key, 0)
        self.rating += state.counts("passage_rating").get(key, 0)
        self.ratings += state.counts("passage_rating#").get(key, 0)


def passages(state: Tally) -> dict[Passage, Cited]:
    """Return the figures of the passages whose name is stored, in the order of the stored names.

    Limit: passages that are stored as a hash are left out.
    """
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
    """Return the number of passages that were cited. A passage counts once for all personas."""
    return len({split_passage(name)[1] for name in state.counts("passages")})


def percent_change(recent: float | None, earlier: float | None) -> float | None:
    """Return the change in percent. None if either figure is None, or if the earlier one is 0."""
    if recent is None or not earlier:
        return None
    return round(100 * (recent - earlier) / earlier, 2)


def trend_word(recent: float | None, earlier: float | None, *, words: tuple[str, str, str]) -> str | None:
    """Return the word for an increase, a decrease or no change. A change of up to 2 % counts as none.

    Parameters
    ----------
    words
        The words for an increase, a decrease and no change, in this order.
    """
    if recent is None or earlier is None:
        return None
    more, less, same = words
    tolerance = abs(earlier) * 0.02
    if abs(recent - earlier) <= tolerance:
        return same
    return more if recent > earlier else less
