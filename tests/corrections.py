"""Ways in which a document is written again: what a fleet has to notice, and what it must not count twice."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def at_another_time(document: Document, number: int) -> Document:
    """Move a document to another hour, day or month of 2025 before September, chosen by ``number``."""
    timestamp = document["timestamp"]
    if timestamp[8:10] > "28":
        return document  # not a day of every month
    moved = f"2025-{1 + number % 8:02d}{timestamp[7:11]}{number % 24:02d}{timestamp[13:]}"
    return document | {"timestamp": moved}


def answered_by_another(document: Document, number: int) -> Document:
    """Change model, tokens, cost, persona and rating of a document, by ``number``."""
    tokens = {"input_tokens": number * 997 % 400_000, "output_tokens": number}
    usage = (document.get("cost_data") or {}) | {"model_used": "gemini-2.5-pro", **tokens}
    response = (document.get("response_metadata") or {}) | {"personality_used": "socrates"}
    return document | {"cost_data": usage, "response_metadata": response, "user_rating": 1 + number % 5}
