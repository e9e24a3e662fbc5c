"""Compare what is published with the independent computation: all that is shared, and some people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.independent.comparison import CONTENT, people_differences, shared_differences
from tests.independent.sources import Sources, good

Document = dict[str, Any]

TEXTS = ("user_query", "response_text", "english_translation", "detailed_explanation")
"""Of these the views count at most whether they are empty."""

UNREAD = ("embeddings",)
"""Most of a document about a passage; no figure depends on them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, and what differs."""

    differences: list[str]
    documents: int
    """Published documents that were compared."""
    people: int
    """People whose documents were compared."""
    of: int
    """People there are."""


def slim(document: Document) -> Document:
    """Shorten the texts of a document, which are most of it, to what the computation looks at."""
    shorter = {name: text[:1] for name in TEXTS if isinstance(text := document.get(name), str)}
    return {name: value for name, value in document.items() if name not in UNREAD} | shorter


def compare(
    published: Mapping[str, list[Document]],
    documents: Mapping[str, list[Document]],
    *,
    sample: int,
    seed: int,
) -> Comparison:
    """Compare every shared document, and all documents of ``sample`` people drawn by ``seed``."""
    sources = good({**documents, **{name: published.get(name, []) for name in CONTENT}})
    everybody = sorted(users_of(sources) | {d["user_id"] for d in published["user_analytics"]})
    drawn = set(everybody if sample >= len(everybody) else Random(seed).sample(everybody, sample))
    own = replace(
        sources,
        interactions=[d for d in sources.interactions if d["user_id"] in drawn],
        sessions=[d for d in sources.sessions if d["user_id"] in drawn],
    )
    of_people = [d for d in published["user_analytics"] if d["user_id"] in drawn]
    differences = [*shared_differences(published, sources), *people_differences(of_people, own)]
    shared = sum(len(of) for name, of in published.items() if name != "user_analytics")
    return Comparison(differences, shared + len(of_people), len(drawn), len(everybody))


def users_of(sources: Sources) -> set[str]:
    """Return everybody who asked or opened a session."""
    return {d["user_id"] for d in (*sources.interactions, *sources.sessions)}


def shortened(found: Iterable[str], most: int) -> list[str]:
    """Return the first differences, and how many more there are."""
    lines = list(found)
    return lines if len(lines) <= most else [*lines[:most], f"… and {len(lines) - most} more"]
