"""The document of ``user_interactions`` (specification, section 1.3): one question and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from shared.documents.common import (
    Count,
    Identifier,
    Label,
    Milliseconds,
    ModelName,
    Moment,
    Numeral,
    Rating,
    Score,
    SourceModel,
    Text,
    TokenCount,
    Whole,
    require_not_after_write,
    truncate_to,
)
from shared.documents.reading import SourceDocument, read_document
from shared.documents.token_kinds import ReportedKinds, read_kinds
from shared.documents.versions import USER_INTERACTION
from shared.errors import DocumentError

MAX_CITATIONS = 50
"""Citations of an answer that are read, the first ones. An answer has a handful."""


class Stages(SourceModel):
    """The parts of the response time."""

    content_retrieval_ms: Milliseconds | None = None


class QueryMetadata(SourceModel):
    """The classification of the question."""

    query_complexity: Label | None = None
    query_category: Label | None = None


class ResponseMetadata(SourceModel):
    """The persona and the model of the answer."""

    personality_used: Label | None = None
    model_used: ModelName | None = None
    response_length: Annotated[Whole, Field(ge=0)] | None = None
    safety_filtered: bool | None = None


class Citation(SourceModel):
    """A cited passage. A whole text if chapter or verse is missing."""

    source: Label | None = None
    chapter: Numeral | None = None
    verse: Numeral | None = None
    relevance_score: Score = None


Citations = Annotated[list[Citation], BeforeValidator(truncate_to(MAX_CITATIONS))]
"""The first :data:`MAX_CITATIONS` citations. Further ones are not validated."""


class RagMetadata(SourceModel):
    """The result of the retrieval."""

    chunks_retrieved: Count | None = None
    avg_relevance_score: Score = None


class Feedback(SourceModel):
    """The person's feedback on the answer, besides the rating."""

    helpful: bool | None = None
    accurate: bool | None = None
    relevant: bool | None = None
    well_cited: bool | None = None


NO_KINDS = ReportedKinds({}, False)


class CostData(SourceModel):
    """Token counts that the model's provider reported."""

    input_tokens: TokenCount | None = None
    output_tokens: TokenCount | None = None
    model_used: ModelName | None = None
    _kinds: ReportedKinds = PrivateAttr(default=NO_KINDS)

    @model_validator(mode="wrap")
    @classmethod
    def _read_kinds(cls, usage: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        cost_data = validate(usage)
        if isinstance(usage, Mapping):
            cost_data._kinds = read_kinds(usage)
        return cost_data

    @property
    def kinds(self) -> ReportedKinds:
        """The kinds of tokens, read from all fields: providers have many names for them."""
        return self._kinds


class QualityMetrics(SourceModel):
    """The web application's scores of the answer, 0 to 1."""

    response_relevance: Score = None
    citation_accuracy: Score = None
    safety_score: Score = None


class InteractionDocument(SourceDocument):
    """One interaction. Only ``id``, ``user_id`` and a time are required.

    The model has only fields that views read, so other fields cannot make a document invalid. The question's
    text is the exception, because its size is limited.
    """

    CONTAINER: ClassVar = "user_interactions"

    document_type: Literal["user_interaction"] | None = None
    session_id: Identifier | None = None
    timestamp: Moment | None = None
    created_at: Moment | None = None
    response_time_ms: Milliseconds | None = None
    processing_stages: Stages | None = None
    user_query: Text | None = None
    query_metadata: QueryMetadata | None = None
    response_text: Text | None = None
    response_metadata: ResponseMetadata | None = None
    foundational_texts_used: Citations | None = None
    rag_metadata: RagMetadata | None = None
    user_rating: Rating | None = None
    user_feedback: Feedback | None = None
    cost_data: CostData | None = None
    quality_metrics: QualityMetrics | None = None

    @property
    def asked(self) -> datetime | None:
        """The time of the interaction."""
        return self.timestamp or self.created_at

    def check(self, document: Mapping[str, Any]) -> None:
        """Require a time, not after the write."""
        if self.asked is None:
            raise DocumentError("timestamp", "is missing, and so is created_at")
        require_not_after_write("timestamp", self.asked, document)


def parse_interaction(raw: object) -> InteractionDocument:
    """Read and check one document of ``user_interactions``. Raises what :func:`read_document` raises."""
    return read_document(InteractionDocument, USER_INTERACTION, raw)
