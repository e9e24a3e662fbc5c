"""The document of ``user_interactions`` (specification, section 1.3): one question and its answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from shared.documents.common import (
    Block,
    Count,
    Identifier,
    Label,
    Milliseconds,
    Moment,
    Numeral,
    Rating,
    Share,
    Text,
    TokenCount,
    Whole,
    first,
    reject,
    require_not_after_write,
    require_object,
)
from shared.documents.versions import USER_INTERACTION, upcast
from shared.errors import DocumentError

MAX_CITATIONS = 50
"""How many citations of one answer count; an answer cites a handful. One document then adds 10 KB at most to
the ledger, and as many keys to the state of its day."""


class Stages(Block):
    """Where the response time went."""

    content_retrieval_ms: Milliseconds | None = None


class QueryMetadata(Block):
    """What was understood of the question."""

    query_complexity: Label | None = None
    query_category: Label | None = None


class ResponseMetadata(Block):
    """Who answered, and with which model."""

    personality_used: Label | None = None
    model_used: Label | None = None
    response_length: Annotated[Whole, Field(ge=0)] | None = None


MAX_TEXT_NAME = 40

TextName = Annotated[Label, AfterValidator(lambda label: label[:MAX_TEXT_NAME].rstrip())]
"""A text's name, cut like every label: a day's state holds it ten times over."""


class Citation(Block):
    """A passage the answer cites; a whole text where chapter or verse is missing."""

    source: TextName | None = None
    chapter: Numeral | None = None
    verse: Numeral | None = None
    relevance_score: Share | None = None


Citations = Annotated[list[Citation], BeforeValidator(first(MAX_CITATIONS))]
"""The first :data:`MAX_CITATIONS` citations; those beyond are not looked at."""


class RagMetadata(Block):
    """What retrieval found."""

    chunks_retrieved: Count | None = None
    avg_relevance_score: Share | None = None


class Feedback(Block):
    """What the person said of the answer, beside the rating."""

    accurate: bool | None = None


class CostData(Block):
    """Token counts as the model's provider reported them."""

    input_tokens: TokenCount | None = None
    output_tokens: TokenCount | None = None
    model_used: Label | None = None


class QualityMetrics(Block):
    """Scores the web application gave the answer, 0 to 1."""

    response_relevance: Share | None = None
    citation_accuracy: Share | None = None
    safety_score: Share | None = None


class InteractionDocument(Block):
    """One interaction. Only ``id``, ``user_id`` and a time are required.

    Fields that no view reads are not named here, and so cannot make a document bad. The question's text is
    the exception: its size may.
    """

    id: Identifier
    user_id: Identifier
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


def parse_interaction(raw: object) -> InteractionDocument:
    """Read and check one document of ``user_interactions``.

    Raises
    ------
    DocumentError
        It is not an object, lacks its id, user or time, or a field has an impossible value.
    """
    document = upcast(USER_INTERACTION, require_object(raw, InteractionDocument.model_fields))
    try:
        interaction = InteractionDocument.model_validate(document)
    except ValidationError as error:
        reject(error)
    moment = interaction.timestamp or interaction.created_at
    if moment is None:
        raise DocumentError("timestamp", "is missing, and so is created_at")
    require_not_after_write("timestamp", moment, document)
    return interaction
