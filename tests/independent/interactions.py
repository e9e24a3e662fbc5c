"""Interactions: which ones count, and what they say. Computed naively; imports nothing of ``shared``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.independent.input import is_of_unreadable_version, time_of
from tests.independent.names import chapter_and_verse
from tests.independent.pricing import Bill, bill_of, model_meant

Document = dict[str, Any]

BLOCKS = ("cost_data", "response_metadata", "query_metadata", "quality_metrics", "rag_metadata")
OLD_BLOCKS = ("interaction_data", "context_data")

OLD_MODEL_NAMES = {"gemini-flash": "gemini-2.5-flash"}


def in_todays_shape(document: Document) -> Document:
    """Rewrite an interaction from before there were versions; any other comes back as it is.

    There were two shapes: all data under ``interaction_data``, and fields with other names at the top.
    """
    if document.get("schema_version") is not None or document.get("profile_version") is not None:
        return document
    if document.get("document_type") == "interaction" or document.get("interaction_data") is not None:
        data = document.get("interaction_data") or {}
        query, answer = data.get("user_query"), data.get("response_text")
        persona, rating, usage = data.get("personality_used"), data.get("user_rating"), data
    elif document.get("context_data") is not None and "cost_data" not in document:
        data = document
        query, answer = data.get("user_input"), data.get("ai_response")
        persona, rating, usage = data.get("personality_id"), data.get("feedback_rating"), data["context_data"]
    else:
        return document
    model = OLD_MODEL_NAMES.get(usage.get("model_used"), usage.get("model_used"))
    asked, answered = usage.get("input_tokens"), usage.get("output_tokens")
    if not asked and not answered:  # nobody had counted them
        asked = answered = None
    return {
        "id": document.get("id"),
        "user_id": document.get("user_id"),
        "session_id": data.get("session_id"),
        "timestamp": document.get("timestamp"),
        "created_at": document.get("created_at"),
        "user_query": query,
        "response_text": answer,
        "response_time_ms": data.get("response_time_ms") or None,
        "response_metadata": {"personality_used": persona, "model_used": model},
        "user_rating": rating,
        "cost_data": {"input_tokens": asked, "output_tokens": answered, "model_used": model},
        **{name: document[name] for name in ("_ts",) if name in document},
    }


def is_malformed(document: object) -> bool:
    """Say whether a document breaks a rule that keeps it from being counted."""
    if not isinstance(document, dict):
        return True
    if any(not isinstance(document.get(block), dict | None) for block in (*BLOCKS, *OLD_BLOCKS)):
        return True
    document = in_todays_shape(document)
    usage = document.get("cost_data") or {}
    tokens = [usage.get("input_tokens"), usage.get("output_tokens")]
    rating, citations = document.get("user_rating"), document.get("foundational_texts_used")
    texts = [document.get("user_query") or "", document.get("response_text") or ""]
    return (
        not all(isinstance(document.get(name), str) and document[name] for name in ("id", "user_id"))
        or not all(count is None or whole_between(count, 0, 10_000_000) for count in tokens)
        or not (rating is None or whole_between(rating, 1, 5))
        or not (citations is None or isinstance(citations, list))
        or any(not isinstance(citation, dict) for citation in (citations or [])[:50])
        or any(len(text) > 262_144 for text in texts)
        or is_of_unreadable_version(document, "user_interactions")
        or has_impossible_time(document)
    )


def whole_between(value: object, least: int, most: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return least <= value <= most and value == int(value)


def has_impossible_time(document: Document) -> bool:
    moment = moment_of(document)
    if moment is None or not 2000 <= moment.year < 2100:
        return True
    return "_ts" in document and moment > datetime.fromtimestamp(document["_ts"], UTC) + timedelta(days=1)


def moment_of(document: Document) -> datetime | None:
    text = document["timestamp"] if document.get("timestamp") is not None else document.get("created_at")
    return time_of(text)


def at(document: Document) -> datetime:
    moment = moment_of(document)
    assert moment is not None
    return moment


def day_of(document: Document) -> str:
    return f"{at(document):%Y-%m-%d}"


def is_answered(document: Document) -> bool | None:
    """Say whether there is an answer, None where neither a text nor a length tells."""
    text = document.get("response_text")
    length = (document.get("response_metadata") or {}).get("response_length")
    if text is None and length is None:
        return None
    return (len(text) if text is not None else length) > 0


def model_of(document: Document) -> str:
    usage, response = document.get("cost_data") or {}, document.get("response_metadata") or {}
    return (
        model_meant(usage.get("model_used") or "")
        or model_meant(response.get("model_used") or "")
        or "unknown"
    )


def persona_of(document: Document) -> str:
    return (document.get("response_metadata") or {}).get("personality_used") or "unknown"


def tokens(document: Document, name: str) -> int | None:
    count = (document.get("cost_data") or {}).get(name)
    return None if count is None else int(count)


def has_tokens(document: Document) -> bool:
    return tokens(document, "input_tokens") is not None and tokens(document, "output_tokens") is not None


def bill(document: Document) -> Bill:
    """The tokens of an interaction and their cost."""
    return bill_of(model_of(document), at(document), document.get("cost_data") or {})


def cost_of(document: Document) -> int | None:
    """Nano-dollars, None without a price or without counts."""
    return bill(document).cost


def inexact(documents: Iterable[Document]) -> int:
    """How many interactions have a cost that is not exact."""
    return sum(not bill(document).exact for document in documents)


def unpriced(documents: Iterable[Document]) -> list[Document]:
    """The interactions that lack nothing but a price."""
    return [d for d in documents if has_tokens(d) and cost_of(d) is None]


def unmeasured(documents: Iterable[Document]) -> int:
    """How many interactions do not say how many tokens they took."""
    return sum(not has_tokens(document) for document in documents)


def costs_of(documents: Iterable[Document]) -> list[int]:
    """The costs of the interactions that have a price."""
    return [cost for document in documents if (cost := cost_of(document)) is not None]


def all_citations_of(documents: Iterable[Document]) -> list[Document]:
    """All citations that are read, of each interaction the first 50."""
    return [c for document in documents for c in (document.get("foundational_texts_used") or [])[:50]]


def citations_of(documents: Iterable[Document]) -> list[Document]:
    """The citations that count by text and passage: of each interaction the ten of highest relevance."""
    kept = []
    for document in documents:
        read = all_citations_of([document])
        by_relevance = sorted(enumerate(read), key=lambda numbered: relevance_of(numbered[1]), reverse=True)
        kept += [citation for _, citation in sorted(by_relevance[:10], key=lambda numbered: numbered[0])]
    return kept


def relevance_of(citation: Document) -> float:
    relevance = citation.get("relevance_score")
    return -1.0 if relevance is None else float(relevance)


def source_of(citation: Document) -> str:
    return citation.get("source") or "unknown"


def passage_of(citation: Document) -> tuple[str, str, str]:
    """Return text, chapter and verse, empty where it is a whole text or chapter."""
    return source_of(citation), *chapter_and_verse(citation.get("chapter"), citation.get("verse"))


def measured(documents: Iterable[Document], *path: str) -> list[float]:
    """Return the values at a path, where there are any."""
    found = []
    for document in documents:
        value: Any = document
        for name in path:
            value = (value or {}).get(name)
        if value is not None:
            found.append(float(value))
    return found
