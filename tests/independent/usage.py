"""``personality_vectors.usage_metrics``, from ``docs/fields.md``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.differences import differences
from tests.independent import scores
from tests.independent.arithmetic import average, mean
from tests.independent.interactions import (
    Document,
    citations_of,
    day_of,
    measured,
    passage_of,
    persona_of,
)
from tests.independent.names import plain_name
from tests.independent.reference import passages_in, place_of
from tests.independent.sources import Sources

Cited = tuple[str, str, str, str]
"""Persona, text, chapter and verse."""


def usage_differences(vectors: Iterable[Document], sources: Sources) -> Iterator[str]:
    """Compare the usage in documents about passages; a line for each difference."""
    citing: dict[Cited, list[Document]] = defaultdict(list)
    for interaction in sources.interactions:
        for passage in {passage_of(citation) for citation in citations_of([interaction])}:
            citing[persona_of(interaction), *passage].append(interaction)
    for vector in passages_in(list(vectors)):
        about = passage_of_vector(vector)
        usage = expected_usage(about, citing[about]) if about in citing else {"citation_count": 0}
        shown = {name: (vector.get("usage_metrics") or {}).get(name) for name in usage}
        if usage["citation_count"] or shown["citation_count"]:
            yield from differences(f"personality_vectors {vector['id']}", shown, usage)


def passage_of_vector(vector: Document) -> Cited:
    persona = vector.get("personality_id") or vector["partition_key"].partition("::")[0]
    return plain_name(persona) or "unknown", *place_of(vector)


def expected_usage(about: Cited, interactions: list[Document]) -> Document:
    cited = [c for c in citations_of(interactions) if passage_of(c) == about[1:]]
    relevances = measured(cited, "relevance_score")
    ratings = measured(interactions, "user_rating")
    return {
        "citation_count": len(cited),
        "last_accessed": f"{max(map(day_of, interactions))}T00:00:00Z",
        "avg_relevance_score": mean(relevances, 4),
        "user_rating_avg": mean(ratings, 2),
        "effectiveness_score": scores.near(
            scores.effectiveness(scores.satisfaction(ratings), average(relevances), None)
        ),
    }
