"""The citations that a fact keeps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.documents.interactions import MAX_CITATIONS, parse_interaction
from shared.facts.interactions import KEPT_CITATIONS, InteractionFact, interaction_fact
from shared.pricing.table import PriceTable, list_prices

PRICES = PriceTable(list_prices())


def fact_citing(relevances: list[float | None]) -> InteractionFact:
    cited = [{"source": "gita", "verse": n, "relevance_score": r} for n, r in enumerate(relevances)]
    document = {"id": "i", "user_id": "ann", "timestamp": "2025-08-05T10:00:00Z"}
    return interaction_fact(parse_interaction(document | {"foundational_texts_used": cited}), PRICES)


@given(st.lists(st.sampled_from([None, 0, 0.25, 0.5, 1]), max_size=60))
def test_the_most_relevant_citations_are_kept_in_their_order(relevances: list[float | None]) -> None:
    fact = fact_citing(relevances)
    read = relevances[:MAX_CITATIONS]
    kept = [int(citation.verse or "") for citation in fact.citations]
    left = set(range(len(read))) - set(kept)
    assert kept == sorted(kept)
    assert len(kept) == min(KEPT_CITATIONS, len(read))
    assert fact.more_citations == len(left)

    def rank(number: int) -> tuple[float, int]:
        relevance = read[number]
        return (-1 if relevance is None else relevance, -number)

    assert all(rank(one) > rank(other) for one in kept for other in left)
    assert InteractionFact.decode("ann", fact.encode()) == fact
