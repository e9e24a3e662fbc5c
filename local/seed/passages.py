"""``personality_vectors`` documents in the shape of the specification, section 1.5: passages, as vectors.

Sample documents: they name a passage and do not quote it, and their embeddings have :data:`DIMENSIONS`
numbers where the specification's model gives 1,536, for nothing here searches by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from local.seed.personas import PERSONAS

VECTORS = "personality_vectors"

DIMENSIONS = 8

SANSKRIT = frozenset({"bhagavad_gita", "katha_upanishad", "isha_upanishad", "arthashastra", "chanakya_niti"})
TAGS = ("duty", "action", "detachment", "compassion", "courage", "wisdom", "justice", "patience", "love")

_SHELVES = {(persona.name, text.source) for persona in PERSONAS for text, _ in persona.sources}


class CitedPassage(NamedTuple):
    """A passage as a persona cites it; chapter and verse are None where the whole is meant."""

    persona: str
    source: str
    chapter: str | None
    verse: str | None

    @property
    def content_id(self) -> str:
        """The passage's name without the persona's, ``bhagavad_gita_2_47``."""
        return "_".join(part for part in self[1:] if part is not None)


def cited_in(document: dict[str, Any]) -> Iterator[CitedPassage]:
    """Yield what an interaction cites that a listed persona has a text for; nothing if it cannot be read."""
    citations = document["foundational_texts_used"]
    if not isinstance(citations, list):
        return
    persona = document["response_metadata"]["personality_used"]
    for citation in citations:
        passage = CitedPassage(persona, citation["source"], citation.get("chapter"), citation.get("verse"))
        if (passage.persona, passage.source) in _SHELVES:
            yield passage


def passage_document(passage: CitedPassage) -> dict[str, Any]:
    """Write a passage out as the content pipeline creates it: not cited yet. The same for every seed."""
    name = f"{passage.persona}_{passage.content_id}"
    random = Random(f"vectors:{name}")
    book = passage.source.replace("_", " ").title()
    place = ".".join(part for part in (passage.chapter, passage.verse) if part is not None)
    category = "verse" if passage.verse is not None else "chapter" if passage.chapter is not None else "text"
    return {
        "id": name,
        "partition_key": f"{passage.persona}::{passage.source}",
        "personality_id": passage.persona,
        "document_type": "personality_content",
        "content_id": passage.content_id,
        "content_type": "foundational_text",
        "content_category": category,
        "source": passage.source,
        "source_metadata": {
            "chapter": passage.chapter,
            "verse": passage.verse,
            "book": book,
            "translator": None,
            "translation_version": None,
            "language": "sanskrit_english" if passage.source in SANSKRIT else "english",
        },
        "sanskrit_text": None,
        "english_translation": f"[Sample text of {book} {place}]".replace(" ]", "]"),
        "detailed_explanation": f"[Sample explanation of {book} {place}]".replace(" ]", "]"),
        "context": {
            "historical_context": None,
            "philosophical_context": None,
            "practical_application": "Leadership, decision-making, duty",
        },
        "usage_metrics": {
            "citation_count": 0,
            "last_accessed": None,
            "avg_relevance_score": 0,
            "user_rating_avg": 0,
            "effectiveness_score": 0,
        },
        "embeddings": {
            "text_embedding_ada_002": [round(random.gauss(0, 0.03), 9) for _ in range(DIMENSIONS)],
            "embedding_version": "v2",
            "embedding_created": "2025-07-01T00:00:00Z",
        },
        "validation": {
            "expert_reviewed": random.random() < 0.9,
            "expert_reviewer": None,
            "review_date": "2025-07-15T00:00:00Z",
            "accuracy_score": round(random.uniform(0.9, 1.0), 2),
            "cultural_sensitivity_score": round(random.uniform(0.9, 1.0), 2),
        },
        "personality_weight": round(random.uniform(0.7, 1.0), 2),
        "topic_tags": random.sample(TAGS, k=random.randint(2, 4)),
        "created_at": "2025-07-01T00:00:00Z",
        "updated_at": "2025-08-01T00:00:00Z",
        "_ttl": None,
    }
