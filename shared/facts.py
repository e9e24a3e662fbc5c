"""Facts: what views need of a source document, and nothing that identifies more than its user's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from shared.documents.common import millis
from shared.documents.interactions import (
    CostData,
    Feedback,
    InteractionDocument,
    QualityMetrics,
    QueryMetadata,
    RagMetadata,
    ResponseMetadata,
    Stages,
)
from shared.pricing import PriceTable
from shared.units import Day, EventHour, Micro, Millis, Month, NanoUSD, event_hour, minute_of_day, to_micro

USER_INTERACTIONS = "user_interactions"

UNKNOWN = "unknown"
"""Stands for a persona, model, text or category that the document does not name."""


class Citation(NamedTuple):
    """A cited passage; chapter and verse are None where the whole text or chapter is meant."""

    source: str
    chapter: str | None
    verse: str | None
    relevance: Micro | None

    @property
    def passage(self) -> str:
        """The passage as one key, ``bhagavad_gita|2|47``."""
        return f"{self.source}|{self.chapter or ''}|{self.verse or ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionFact:
    """One interaction, reduced to numbers and labels.

    Scores are :data:`~shared.units.Micro`, durations milliseconds, ``at`` milliseconds since the epoch. None
    means that the document does not tell; of ``cost``, in nano-dollars, that it gives no tokens or the price
    table no price.
    """

    user_id: str
    at: Millis
    answered: bool | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    persona: str = UNKNOWN
    model: str = UNKNOWN
    session_id: str | None = None
    cost: NanoUSD | None = None
    response_ms: int | None = None
    retrieval_ms: int | None = None
    chunks: int | None = None
    rag_relevance: Micro | None = None
    citations: tuple[Citation, ...] = ()
    rating: int | None = None
    accurate: bool | None = None
    category: str | None = None
    complexity: str | None = None
    relevance: Micro | None = None
    citation_accuracy: Micro | None = None
    safety: Micro | None = None

    @property
    def hour(self) -> EventHour:
        """The UTC hour the interaction happened in: the ledger page it belongs to."""
        return event_hour(self.at)

    @property
    def day(self) -> Day:
        """The UTC day the interaction happened on."""
        return Day(self.hour[:10])

    @property
    def month(self) -> Month:
        """The UTC month the interaction happened in."""
        return Month(self.hour[:4] + self.hour[5:7])

    @property
    def measured(self) -> bool:
        """Whether both token counts are known, without which nothing can be priced."""
        return self.tokens_in is not None and self.tokens_out is not None

    @property
    def minute_of_day(self) -> int:
        """Minutes since midnight UTC, 0 to 1439."""
        return minute_of_day(self.at)

    def encode(self) -> dict[str, Any]:
        """Return the form in which a ledger page stores it: short keys, defaults left out."""
        return {_SHORT[name]: value for name in _STORED if (value := getattr(self, name)) != _DEFAULTS[name]}

    @classmethod
    def decode(cls, user_id: str, stored: Mapping[str, Any]) -> InteractionFact:
        """Read what :meth:`encode` wrote on the page of ``user_id``."""
        values = {_LONG[short]: value for short, value in stored.items()}
        values["citations"] = tuple(Citation(*citation) for citation in values.get("citations", ()))
        return cls(user_id=user_id, **values)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Stands on the ledger for a document whose current version cannot be read.

    It counts in no view. It remembers the version, so that an older one that can be read, and is delivered
    late, is not counted in its place. ``at`` is when it was written, in milliseconds since the epoch.
    """

    user_id: str
    at: Millis

    @property
    def hour(self) -> EventHour:
        """The UTC hour it was written in."""
        return event_hour(self.at)

    def encode(self) -> dict[str, Any]:
        """Return the form in which a ledger page stores it."""
        return {_WITHDRAWN: self.at}


_WITHDRAWN = "withdrawn"


def decode_fact(user_id: str, stored: Mapping[str, Any]) -> InteractionFact | Withdrawn:
    """Read what a fact's ``encode`` wrote on the page of ``user_id``."""
    if _WITHDRAWN in stored:
        return Withdrawn(user_id, stored[_WITHDRAWN])
    return InteractionFact.decode(user_id, stored)


_SHORT = {
    "at": "t",
    "answered": "ok",
    "tokens_in": "in",
    "tokens_out": "out",
    "persona": "p",
    "model": "m",
    "session_id": "s",
    "cost": "$",
    "response_ms": "ms",
    "retrieval_ms": "rms",
    "chunks": "ch",
    "rag_relevance": "rr",
    "citations": "c",
    "rating": "r",
    "accurate": "acc",
    "category": "cat",
    "complexity": "cx",
    "relevance": "q",
    "citation_accuracy": "ca",
    "safety": "sf",
}
_LONG = {short: name for name, short in _SHORT.items()}
_STORED = tuple(_SHORT)
_DEFAULTS = {field.name: field.default for field in fields(InteractionFact) if field.name in _SHORT}


def interaction_fact(document: InteractionDocument, prices: PriceTable) -> InteractionFact:
    """Reduce a checked document to its fact, priced by the table as of the interaction's own time."""
    moment = document.timestamp or document.created_at
    assert moment is not None  # noqa: S101  parse_interaction refuses a document without a time
    at = millis(moment)
    response = document.response_metadata or ResponseMetadata()
    usage = document.cost_data or CostData()
    rag = document.rag_metadata or RagMetadata()
    query = document.query_metadata or QueryMetadata()
    quality = document.quality_metrics or QualityMetrics()
    stages = document.processing_stages or Stages()
    feedback = document.user_feedback or Feedback()
    model = usage.model_used or response.model_used
    answer = len(document.response_text) if document.response_text is not None else response.response_length
    return InteractionFact(
        user_id=document.user_id,
        at=at,
        answered=None if answer is None else answer > 0,
        tokens_in=usage.input_tokens,
        tokens_out=usage.output_tokens,
        persona=response.personality_used or UNKNOWN,
        model=model or UNKNOWN,
        session_id=document.session_id,
        cost=prices.cost(model, at, usage.input_tokens, usage.output_tokens),
        response_ms=_rounded(document.response_time_ms),
        retrieval_ms=_rounded(stages.content_retrieval_ms),
        chunks=rag.chunks_retrieved,
        rag_relevance=_micro(rag.avg_relevance_score),
        citations=tuple(
            Citation(c.source or UNKNOWN, c.chapter, c.verse, _micro(c.relevance_score))
            for c in document.foundational_texts_used or ()
        ),
        rating=document.user_rating,
        accurate=feedback.accurate,
        category=query.query_category,
        complexity=query.query_complexity,
        relevance=_micro(quality.response_relevance),
        citation_accuracy=_micro(quality.citation_accuracy),
        safety=_micro(quality.safety_score),
    )


def _micro(value: float | None) -> Micro | None:
    return None if value is None else to_micro(value)


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)
