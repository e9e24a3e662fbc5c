"""Facts of interactions: what views need. The user id is the only identifying field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

from shared.documents.interactions import Citation as CitedPassage
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
from shared.facts.base import UNKNOWN, Fact, Passage, micro_or_none, passage_of, rounded
from shared.facts.token_usage import token_usage
from shared.pricing.table import PriceTable
from shared.pricing.tokens import Tokens
from shared.privacy.forms import model_spelling
from shared.units import Micro, NanoUSD, to_millis

USER_INTERACTIONS = "user_interactions"

KEPT_CITATIONS = 10
"""Citations of an answer that a fact keeps: the most relevant ones. One document then adds at most 4 KB to
the ledger, and a bounded number of counts to everything that is counted by text or passage."""


class Citation(NamedTuple):
    """A cited passage and its relevance to the question."""

    text: str
    chapter: str | None
    verse: str | None
    relevance: Micro | None

    @property
    def passage(self) -> Passage:
        return Passage(self.text, self.chapter, self.verse)


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionFact(Fact):
    """One interaction, reduced to numbers and labels.

    Scores are :data:`~shared.units.Micro`, durations are milliseconds, and ``at`` is milliseconds since the
    epoch. None means that the document has no value. ``citations`` are the :data:`KEPT_CITATIONS` of
    highest relevance, in the document's order, and ``more_citations`` is the number of the others.

    Attributes
    ----------
    tokens_in, tokens_out
        As the document reports them.
    kinds
        The tokens by kind; None if there are no other kinds than these two.
    total_differs, unread_tokens
        Whether the reported total is not the sum of the tokens; whether there are tokens of unknown kinds.
    model
        The model by which the interaction is counted and priced: see :func:`priced`.
    spelling
        The document's name of the model, None if that is the model.
    cost
        Nano-dollars; None if there are no token counts, or the price table has no price.
    exact
        Whether every token was charged at the price of its kind.
    dropped_scores, newer_version
        The number of scores that are no number from 0 to 1; whether the document has a newer schema version
        than the release that read it.
    """

    answered: bool | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    persona: str = UNKNOWN
    model: str = UNKNOWN
    spelling: str | None = None
    kinds: Tokens | None = None
    total_differs: bool = False
    unread_tokens: bool = False
    session_id: str | None = None
    cost: NanoUSD | None = None
    exact: bool = True
    response_ms: int | None = None
    retrieval_ms: int | None = None
    chunks: int | None = None
    rag_relevance: Micro | None = None
    citations: tuple[Citation, ...] = ()
    more_citations: int = 0
    rating: int | None = None
    accurate: bool | None = None
    helpful: bool | None = None
    relevant: bool | None = None
    well_cited: bool | None = None
    filtered: bool = False
    category: str | None = None
    complexity: str | None = None
    relevance: Micro | None = None
    citation_accuracy: Micro | None = None
    safety: Micro | None = None
    dropped_scores: int = 0
    newer_version: bool = False

    STORED_KEYS: ClassVar[Mapping[str, str]] = {
        "at": "t",
        "answered": "ok",
        "tokens_in": "in",
        "tokens_out": "out",
        "persona": "p",
        "model": "m",
        "spelling": "mn",
        "kinds": "k",
        "total_differs": "td",
        "unread_tokens": "ut",
        "session_id": "s",
        "cost": "$",
        "exact": "$x",
        "response_ms": "ms",
        "retrieval_ms": "rms",
        "chunks": "ch",
        "rag_relevance": "rr",
        "citations": "c",
        "more_citations": "cn",
        "rating": "r",
        "accurate": "acc",
        "helpful": "hf",
        "relevant": "rl",
        "well_cited": "wc",
        "filtered": "fi",
        "category": "cat",
        "complexity": "cx",
        "relevance": "q",
        "citation_accuracy": "ca",
        "safety": "sf",
        "dropped_scores": "ds",
        "newer_version": "nv",
    }

    @classmethod
    def decode(cls, user_id: str, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` wrote on the page of ``user_id``."""
        tuples: dict[str, Any] = {"c": tuple(Citation(*citation) for citation in stored.get("c", ()))}
        if "k" in stored:
            tuples["k"] = Tokens(*stored["k"])
        # The decorator replaces a class that has slots; super() without arguments would use the old class.
        return super(InteractionFact, cls).decode(user_id, {**stored, **tuples})

    @property
    def measured(self) -> bool:
        """Whether both token counts are known. Without both there is no price."""
        return self.tokens_in is not None and self.tokens_out is not None

    @property
    def tokens(self) -> Tokens | None:
        """The tokens by the kind they are charged as, None if they are not known."""
        if self.kinds is not None or self.tokens_in is None or self.tokens_out is None:
            return self.kinds
        return Tokens(self.tokens_in, 0, 0, self.tokens_out, 0)

    @property
    def main_passage(self) -> Passage | None:
        """The cited passage with the highest relevance, the first of several; None without citations."""
        if not self.citations:
            return None
        return max(self.citations, key=_relevance).passage

    @property
    def texts(self) -> set[str]:
        """The names of the cited texts."""
        return {citation.text for citation in self.citations}


def interaction_fact(document: InteractionDocument, prices: PriceTable) -> InteractionFact:
    """Reduce a checked document to its fact, priced by the table as of the interaction's own time."""
    moment = document.asked
    assert moment is not None  # noqa: S101  parse_interaction refuses a document without a time
    response = document.response_metadata or ResponseMetadata()
    cost_data = document.cost_data or CostData()
    used = token_usage(cost_data)
    rag = document.rag_metadata or RagMetadata()
    query = document.query_metadata or QueryMetadata()
    quality = document.quality_metrics or QualityMetrics()
    stages = document.processing_stages or Stages()
    feedback = document.user_feedback or Feedback()
    citations = tuple(map(_citation, document.foundational_texts_used or ()))
    answer = len(document.response_text) if document.response_text is not None else response.response_length
    fact = InteractionFact(
        user_id=document.user_id,
        at=to_millis(moment),
        answered=None if answer is None else answer > 0,
        tokens_in=cost_data.input_tokens,
        tokens_out=cost_data.output_tokens,
        kinds=used.tokens if cost_data.kinds.counts else None,
        total_differs=used.total_differs,
        unread_tokens=used.unread,
        persona=response.personality_used or UNKNOWN,
        model=cost_data.model_used or response.model_used or UNKNOWN,
        session_id=document.session_id,
        response_ms=rounded(document.response_time_ms),
        retrieval_ms=rounded(stages.content_retrieval_ms),
        chunks=rag.chunks_retrieved,
        rag_relevance=micro_or_none(rag.avg_relevance_score),
        citations=_most_relevant(citations),
        more_citations=max(0, len(citations) - KEPT_CITATIONS),
        rating=document.user_rating,
        accurate=feedback.accurate,
        helpful=feedback.helpful,
        relevant=feedback.relevant,
        well_cited=feedback.well_cited,
        filtered=bool(response.safety_filtered),
        category=query.query_category or None,
        complexity=query.query_complexity or None,
        relevance=micro_or_none(quality.response_relevance),
        citation_accuracy=micro_or_none(quality.citation_accuracy),
        safety=micro_or_none(quality.safety_score),
        dropped_scores=document.dropped_scores,
        newer_version=document.newer_version is not None,
    )
    return priced(fact, prices)


def priced(fact: InteractionFact, prices: PriceTable) -> InteractionFact:
    """Return the fact as a price table has it: its model, its cost, and whether the cost is exact.

    Folding and repricing both call it, and nothing else prices a fact. The result depends on the document and
    the table alone, not on a table that priced the fact before.
    """
    spelling = model_spelling(fact.spelling or fact.model)
    model = prices.model(spelling)
    cost = prices.cost(model, fact.at, fact.tokens)
    return replace(
        fact,
        model=model,
        spelling=None if model == spelling else spelling,
        cost=None if cost is None else cost.amount,
        exact=cost is None or (cost.exact and not fact.total_differs and not fact.unread_tokens),
    )


def _citation(cited: CitedPassage) -> Citation:
    passage = passage_of(cited.source or UNKNOWN, cited.chapter, cited.verse)
    return Citation(*passage, micro_or_none(cited.relevance_score))


def _most_relevant(citations: tuple[Citation, ...]) -> tuple[Citation, ...]:
    """Return the citations that a fact keeps. Of equally relevant ones the first are kept."""
    ranked = sorted(range(len(citations)), key=lambda n: -_relevance(citations[n]))
    return tuple(citations[n] for n in sorted(ranked[:KEPT_CITATIONS]))


def _relevance(citation: Citation) -> int:
    """Return the relevance for comparisons. An unknown one is lower than any other."""
    return -1 if citation.relevance is None else citation.relevance
