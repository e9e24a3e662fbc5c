"""One ``user_interactions`` document in the shape of the specification, section 1.3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from local.seed.people import Person, random_uuid
from local.seed.personas import Persona
from local.seed.phrases import BRIDGES, CLOSINGS, OTHER_LANGUAGES, Topic

T = TypeVar("T")

ONE_YEAR_SECONDS = 31_536_000

MODELS: tuple[tuple[str, float], ...] = (
    ("gemini-2.5-flash", 86.0),
    ("gemini-2.5-pro", 8.0),
    ("gemini-2.0-flash", 5.4),
    ("experimental-model-x", 0.6),  # in no price table: counted, but unpriced
)

SLOWER: dict[str, float] = {"gemini-2.5-pro": 1.9, "experimental-model-x": 1.4}
"""Factor on the response time, 1 where a model is not named."""

COMPLEXITIES: tuple[tuple[str, float], ...] = (("low", 3), ("medium", 5), ("high", 2))

TOKENS_PER_CHARACTER = 0.24  # English prose: a little over four characters per token


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer, before it is written out as a document."""

    index: int
    """Position among all turns of the traffic; seeds everything that is drawn for this turn."""
    person: Person
    persona: Persona
    topic: Topic
    session_start: int
    """When its session began, in milliseconds since the epoch."""
    sequence: int
    """Order within the session, from 1."""
    moment: int
    """When the question was asked, in milliseconds since the epoch."""


def timestamp(moment: int) -> str:
    """Write milliseconds since the epoch as the web application does: ``2025-08-05T14:39:15.127Z``."""
    whole = datetime.fromtimestamp(moment // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{moment % 1000:03d}Z"


def session_id(user_id: str, started: int) -> str:
    """Return the id of the session that a user began at ``started`` (milliseconds since the epoch)."""
    return f"session_{user_id[:8]}_{datetime.fromtimestamp(started // 1000, UTC):%Y%m%d_%H%M%S}"


def document_id(interaction_id: str) -> str:
    """Return the ``id`` of the document of an interaction."""
    return f"interaction_{interaction_id}"


def interaction_document(turn: Turn, random: Random) -> dict[str, Any]:
    """Write a turn out as the document that the web application creates: not rated yet."""
    interaction_id = random_uuid(random)
    person = turn.person
    asked = timestamp(turn.moment)
    language, query = _query(turn, random)
    complexity = pick(random, COMPLEXITIES)
    model = pick(random, MODELS)
    answer = _answer(turn, random)
    citations = _citations(turn, random)
    took = _response_time(random, model, complexity)
    chunks = random.randint(3, 8)
    document: dict[str, Any] = {
        "id": document_id(interaction_id),
        "partition_key": person.user_id,
        "user_id": person.user_id,
        "document_type": "user_interaction",
        "interaction_id": interaction_id,
        "session_id": session_id(person.user_id, turn.session_start),
        "sequence_number": turn.sequence,
        "timestamp": asked,
        "response_time_ms": took,
        "processing_stages": _stages(random, took),
        "user_query": query,
        "query_metadata": {
            "query_length": len(query),
            "query_complexity": complexity,
            "query_category": turn.topic.category,
            "intent_confidence": score(random, 0.9),
            "language_detected": language,
        },
        "response_text": answer,
        "response_metadata": _response_metadata(turn.persona, model, answer, random),
        "foundational_texts_used": citations,
        "rag_metadata": _rag_metadata(chunks, random),
        "user_rating": None,
        "user_feedback": None,
        "cost_data": {
            **_tokens(query, answer, chunks, random),
            "model_used": model,
            "timestamp": asked,
        },
        "quality_metrics": _quality_metrics(bool(citations), random),
        "created_at": asked,
        "_ttl": ONE_YEAR_SECONDS,
    }
    _leave_blocks_out(document, random)
    return document


def rated(document: dict[str, Any], rating: int, random: Random) -> dict[str, Any]:
    """Return the whole document as the web application replaces it when the person rates the answer."""
    content = rating >= 3
    return {
        **document,
        "user_rating": rating,
        "user_feedback": {
            "helpful": content,
            "accurate": content or random.random() < 0.6,
            "relevant": content or random.random() < 0.4,
            "well_cited": bool(document.get("foundational_texts_used")) and random.random() < 0.9,
        },
    }


def draw_rating(person: Person, random: Random) -> int:
    """Return the rating, 1–5, that a person gives."""
    return min(5, max(1, round(random.gauss(person.generosity, 0.9))))


def _leave_blocks_out(document: dict[str, Any], random: Random) -> None:
    """Older clients of the web application send some blocks not at all; that is valid."""
    for block, share in (
        ("processing_stages", 0.06),
        ("rag_metadata", 0.03),
        ("quality_metrics", 0.05),
        ("cost_data", 0.01),
    ):
        if random.random() < share:
            del document[block]
    if random.random() < 0.3:
        # These clients leave an unrated answer's fields out instead of writing null.
        del document["user_rating"], document["user_feedback"]


def _query(turn: Turn, random: Random) -> tuple[str, str]:
    language = turn.person.language
    if language != "en" and random.random() < 0.8:
        return language, random.choice(OTHER_LANGUAGES[language])
    return "en", random.choice(turn.topic.queries)


def _answer(turn: Turn, random: Random) -> str:
    counsel = random.sample(turn.topic.counsel, k=random.randint(2, len(turn.topic.counsel)))
    bridges = random.sample(BRIDGES, k=random.randint(1, len(BRIDGES)))
    about = [bridge.format(about=turn.topic.citation) for bridge in bridges]
    parts = [random.choice(turn.persona.openings), *counsel, *about, random.choice(CLOSINGS)]
    return " ".join(parts)


def _citations(turn: Turn, random: Random) -> list[dict[str, Any]]:
    sources = turn.persona.sources
    if not sources:
        return []
    count = min(4, int(random.expovariate(1 / turn.persona.cites) + 0.5))
    cited: list[dict[str, Any]] = []
    for _ in range(count):
        text = random.choices([text for text, _ in sources], [weight for _, weight in sources])[0]
        chapter, verse = text.passage(random, without_verse=0.08)
        citation: dict[str, Any] = {"source": text.source}
        if chapter is not None:
            citation["chapter"] = chapter
        if verse is not None:
            citation["verse"] = verse
        citation["relevance_score"] = score(random, 0.87)
        citation["citation_text"] = f"On {turn.topic.citation}"
        cited.append(citation)
    return cited


def _response_metadata(persona: Persona, model: str, answer: str, random: Random) -> dict[str, Any]:
    return {
        "response_length": len(answer),
        "personality_used": persona.name,
        "model_used": model,
        "generation_temperature": persona.temperature,
        "safety_filtered": random.random() < 0.01,
    }


def _rag_metadata(chunks: int, random: Random) -> dict[str, Any]:
    return {
        "chunks_retrieved": chunks,
        "avg_relevance_score": score(random, 0.84),
        "retrieval_strategy": "semantic_hybrid" if random.random() < 0.9 else "keyword",
        "embedding_model": "text-embedding-ada-002",
    }


def _tokens(query: str, answer: str, chunks: int, random: Random) -> dict[str, int]:
    return {
        "input_tokens": 110 + round(len(query) * TOKENS_PER_CHARACTER) + chunks * random.randint(18, 40),
        "output_tokens": round(len(answer) * TOKENS_PER_CHARACTER * random.uniform(0.95, 1.15)),
    }


def _quality_metrics(cites: bool, random: Random) -> dict[str, float | None]:
    return {
        "response_relevance": score(random, 0.9),
        "citation_accuracy": score(random, 0.94) if cites else None,
        "user_satisfaction": score(random, 0.86),
        "safety_score": score(random, 0.985),
    }


def _response_time(random: Random, model: str, complexity: str) -> int:
    factor = SLOWER.get(model, 1.0) * {"low": 0.8, "medium": 1.0, "high": 1.35}[complexity]
    return max(120, round(random.lognormvariate(7.0, 0.42) * factor))  # e^7 ms ≈ 1.1 s in the median


def _stages(random: Random, total: int) -> dict[str, int]:
    """Split a response time into the four stages; they add up to it."""
    understanding = round(total * random.uniform(0.08, 0.15))
    retrieval = round(total * random.uniform(0.2, 0.35))
    post = round(total * random.uniform(0.04, 0.1))
    return {
        "query_understanding_ms": understanding,
        "content_retrieval_ms": retrieval,
        "generation_ms": total - understanding - retrieval - post,
        "post_processing_ms": post,
    }


def score(random: Random, mean: float) -> float:
    """Return a score in 0–1 with two decimals, scattered around ``mean``."""
    return round(min(1.0, max(0.0, random.gauss(mean, 0.06))), 2)


def pick(random: Random, weighted: Sequence[tuple[T, float]]) -> T:
    return random.choices([item for item, _ in weighted], [weight for _, weight in weighted])[0]
