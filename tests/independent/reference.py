"""What the content pipeline's documents say, from ``docs/fields.md``."""

from __future__ import annotations

from typing import Any

from tests.independent.arithmetic import mean, part_of
from tests.independent.interactions import Document
from tests.independent.names import chapter_and_verse, plain_name

Place = tuple[str, str, str]
"""Text, chapter and verse, empty where it is a whole text or chapter."""


def place_of(vector: Document) -> Place:
    """The passage that a vector is about."""
    source = vector.get("source") or vector["partition_key"].partition("::")[2]
    places = [vector.get("source_metadata") or {}, vector]
    place = next((p for p in places if p.get("chapter") is not None or p.get("verse") is not None), {})
    return plain_name(str(source)), *chapter_and_verse(place.get("chapter"), place.get("verse"))


def passages_in(vectors: list[Document]) -> list[Document]:
    """The documents about passages of texts."""
    return [v for v in vectors if v.get("content_type") in (None, "foundational_text")]


def said_of(place: Place, vectors: list[Document]) -> Document:
    """What the first document about a passage says."""
    known = _LAST.get("vectors")
    if known is None or known[0] is not vectors or known[1] != len(vectors):
        known = _LAST["vectors"] = (vectors, len(vectors), _first_by_place(vectors))
    return known[2].get(place, {})


_LAST: dict[str, tuple[list[Document], int, dict[Place, Document]]] = {}
"""The passages that were asked about last: thousands of citations ask about the same ones."""


def _first_by_place(vectors: list[Document]) -> dict[Place, Document]:
    ordered = sorted(passages_in(vectors), key=lambda v: (str(v["id"]), v["partition_key"]), reverse=True)
    return {place_of(vector): vector for vector in ordered}


def category_of(place: Place, vectors: list[Document]) -> str | None:
    return said_of(place, vectors).get("content_category") or None


def topics_of_passage(place: Place, vectors: list[Document]) -> list[str]:
    return list(dict.fromkeys((said_of(place, vectors).get("topic_tags") or [])[:10]))


def known_texts(vectors: list[Document]) -> set[str]:
    return {place_of(v)[0] for v in passages_in(vectors)}


def scores_of(vectors: list[Document], name: str) -> list[float]:
    return [s for v in vectors if (s := (v.get("validation") or {}).get(name)) is not None]


def is_reviewed(vector: Document) -> bool:
    return (vector.get("validation") or {}).get("expert_reviewed") is True


def overview(text: str, vectors: list[Document]) -> dict[str, Any]:
    own = [v for v in passages_in(vectors) if place_of(v)[0] == text]
    reviewed = list(filter(is_reviewed, own))
    complete = [v for v in own if v.get("english_translation") and v.get("detailed_explanation")]
    status = "complete" if len(reviewed) == len(own) else "partial" if reviewed else "none"
    return {
        "total_verses": len({place_of(v) for v in own if place_of(v)[2]}) or None,
        "total_chapters": len({place_of(v)[1] for v in own if place_of(v)[1]}) or None,
        "content_completeness": part_of(len(complete), len(own)),
        "translation_quality": mean(scores_of(reviewed, "accuracy_score"), 4),
        "expert_validation_status": status if own else None,
    }


def expert_quality(text: str, vectors: list[Document]) -> dict[str, Any]:
    own = [v for v in passages_in(vectors) if place_of(v)[0] == text]
    return {
        "translation_accuracy": mean(scores_of(own, "accuracy_score"), 4),
        "cultural_sensitivity": mean(scores_of(own, "cultural_sensitivity_score"), 4),
        "expert_validation_score": part_of(len(list(filter(is_reviewed, own))), len(own)),
    }


def uncited_chapters(text: str, cited: set[str], vectors: list[Document]) -> list[str]:
    chapters = {place_of(v)[1] for v in passages_in(vectors) if place_of(v)[0] == text} - {""} - cited
    return [f"chapter_{c}_coverage" for c in sorted(chapters, key=lambda c: (len(c), c))[:5]]


def to_improve(text: str, vectors: list[Document]) -> list[str]:
    lowest: dict[Place, float] = {}
    for vector in passages_in(vectors):
        place = place_of(vector)
        for score in scores_of([vector], "accuracy_score"):
            if place[0] == text and score < 0.95:
                lowest[place] = min(score, lowest.get(place, 1.0))
    shown = []
    for _, chapter, verse in sorted(lowest, key=lambda p: (lowest[p], "|".join(p)))[:5]:
        kind = "verse" if verse else "chapter" if chapter else "text"
        shown.append("_".join(part for part in (kind, chapter, verse, "accuracy") if part))
    return shown


def targets_of(persona: str, personas: list[Document]) -> dict[str, float]:
    """What is expected of a persona, by the last of its versions."""
    own = [p for p in personas if p["personality_id"] == persona and p.get("is_active") is not False]
    own = [p for p in own if p.get("performance_baseline") is not None]
    return max(own, key=lambda p: str(p["id"]))["performance_baseline"] if own else {}
