"""Hypothesis strategies for facts of every kind, and what they add to an aggregate."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from shared.aggregates.base import Aggregate, Contributions
from shared.aggregates.tally import Tally
from shared.facts import Citation, ConsentFact, Fact, IncidentFact, InteractionFact, Passage, SessionFact
from shared.pricing.tokens import Tokens
from shared.units import MILLIS_PER_DAY, Micro, Millis, NanoUSD


def millis(text: str) -> Millis:
    """Return a UTC time, ``2025-08-05T14:39:15``, in milliseconds since the epoch."""
    return Millis(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000))


users = st.sampled_from(["ana", "ben"])
moments = st.integers(millis("2024-12-30T00:00:00"), millis("2025-02-02T00:00:00")).map(Millis)
flags = st.none() | st.booleans()
scores = st.none() | st.integers(0, 1_000_000).map(Micro)
labels = st.sampled_from(["krishna", "buddha", "gemini-2.5-flash", "x" * 70])
chapters = st.none() | st.sampled_from(["1", "2"])
texts = st.sampled_from(["gita", "dhammapada", "a text whose name is longer than forty characters"])

citations = st.builds(Citation, texts, chapters, chapters, scores)

interactions = st.builds(
    InteractionFact,
    user_id=users,
    at=moments,
    answered=flags,
    tokens_in=st.none() | st.integers(0, 1000),
    tokens_out=st.none() | st.integers(0, 1000),
    persona=labels,
    model=labels,
    kinds=st.none() | st.builds(Tokens, *[st.integers(0, 100)] * 5),
    total_differs=st.booleans(),
    session_id=st.none() | st.sampled_from("st"),
    exact=st.booleans(),
    cost=st.none() | st.integers(0, 10**6).map(NanoUSD),
    response_ms=st.none() | st.integers(0, 10_000),
    retrieval_ms=st.none() | st.integers(0, 1000),
    chunks=st.none() | st.integers(0, 9),
    rag_relevance=scores,
    citations=st.lists(citations, max_size=4).map(tuple),
    rating=st.none() | st.integers(1, 5),
    accurate=flags,
    category=st.none() | st.sampled_from(["duty", "grief"]),
    complexity=st.none() | st.sampled_from(["low", "medium", "high", "unheard of"]),
    relevance=scores,
    citation_accuracy=scores,
    safety=scores,
)


@st.composite
def _sessions(draw: st.DrawFn) -> SessionFact:
    start = draw(moments)
    length = draw(st.none() | st.integers(0, MILLIS_PER_DAY))
    return SessionFact(
        user_id=draw(users),
        at=start,
        session_id=draw(st.sampled_from("stuv")),
        until=None if length is None else Millis(start + length),
        seconds=draw(st.none() | st.integers(0, 86_400)),
        outcome=draw(st.none() | st.sampled_from(["completed", "abandoned", "expired"])),
        interactions=draw(st.none() | st.integers(0, 9)),
        satisfaction=draw(scores),
        depth=draw(scores),
        quality=draw(scores),
    )


sessions = _sessions()

incidents = st.builds(
    IncidentFact,
    user_id=users,
    at=moments,
    kind=st.sampled_from(["spam", "unknown"]),
    severity=st.sampled_from(["low", "high"]),
    interaction=st.none() | st.sampled_from("ij"),
    passage=st.none() | st.builds(Passage, texts, chapters, chapters),
    automatic=flags,
    review=st.none() | st.sampled_from(["resolved", "pending_human_review"]),
    decision=st.none() | st.sampled_from(["confirmed", "false_positive", "other"]),
    resolved_ms=st.none() | st.integers(0, 10**9).map(Millis),
    actions=st.lists(st.sampled_from(["warned", "blocked"]), max_size=3).map(tuple),
    violations=st.lists(st.sampled_from(["threat", "profanity"]), max_size=3).map(tuple),
)

consents = st.builds(ConsentFact, user_id=users, at=moments | st.just(Millis(0)), refused=st.booleans())

facts: st.SearchStrategy[Fact] = st.one_of(interactions, sessions, incidents, consents)
"""A fact of any kind."""

facts_in_two_orders: st.SearchStrategy[tuple[list[Fact], list[Fact]]] = st.lists(facts, max_size=6).flatmap(
    lambda some: st.tuples(st.just(some), st.permutations(some))
)
"""Some facts, and the same in another order."""


def contributions(aggregate: Aggregate, facts: Iterable[Fact]) -> Contributions:
    """Return what facts add to an aggregate."""
    into = Contributions()
    for fact in facts:
        aggregate.contribute(fact, into)
    return into


_amounts = st.integers(-5, 5)
_names = st.sampled_from(["one", "two"])
_keys = st.sampled_from(["a", "b", "c"])
_steps = st.one_of(
    st.tuples(st.just("add"), _names, _amounts),
    st.tuples(st.just("count"), _names, _keys, _amounts),
    st.tuples(st.just("sample"), _names, st.none() | _amounts),
    st.tuples(st.just("sample_by"), _names, _keys, st.none() | _amounts),
)


def tally_of(steps: Iterable[tuple[str | None, tuple[Any, ...]]]) -> Tally:
    """Return what some calls count, each in a part or, with None, in the tally itself."""
    tally = Tally()
    for part, (method, *arguments) in steps:
        getattr(tally if part is None else tally.part(part), method)(*arguments)
    return tally


tallies = st.lists(st.tuples(st.none() | _keys, _steps), max_size=8).map(tally_of)
"""A tally with sums, means, counts, means by key, and parts."""
