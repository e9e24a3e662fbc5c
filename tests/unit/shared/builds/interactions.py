"""Facts and documents of interactions with many names, for the tests of builds."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from shared.builds.content import Content
from shared.builds.counting import ContentCounter
from shared.documents.interactions import parse_interaction
from shared.facts import InteractionFact, interaction_fact
from shared.pricing.table import PriceTable, list_prices
from tests.unit.shared.delivery import Document
from tests.unit.shared.world import interaction

PRICES = PriceTable(list_prices())

citations = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["gita", "upanishads", "गीता", "x" * 90, None]),
            "chapter": st.sampled_from(["2", "2:47", 3, None]),
            "verse": st.sampled_from([47, "Gita 2.47", "1", None]),
            "relevance_score": st.sampled_from([None, 0.25, 0.9]),
        }
    ),
    max_size=14,
)
documents: st.SearchStrategy[Document] = st.builds(
    lambda number, hour, user, persona, category, cited, rating: interaction(
        number,
        f"2025-09-01T{hour:02d}:00:00Z",
        user,
        foundational_texts_used=cited,
        user_rating=rating,
        response_metadata={"personality_used": persona},
        query_metadata={"query_category": category},
    ),
    st.integers(0, 9),
    st.integers(0, 23),
    st.sampled_from(["ann", "bob", "cid"]),
    st.sampled_from(["krishna", "socrates"]),
    st.sampled_from([None, "duty", "grief"]),
    citations,
    st.sampled_from([None, 1, 5]),
)


def fact_of(document: Document) -> InteractionFact:
    return interaction_fact(parse_interaction(document), PRICES)


def counted(documents: list[Any]) -> Content:
    """Return the content of documents that are counted at once."""
    counter = ContentCounter()
    for document in documents:
        counter.count(fact_of(document))
    return counter.content
