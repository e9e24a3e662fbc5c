"""Documents of ``user_sessions``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from shared.documents.common import (
    Count,
    Identifier,
    Label,
    Moment,
    Number,
    Share,
    SourceModel,
    must_be,
    raise_document_error,
    require_not_after_write,
    require_object,
    truncate_to,
)
from shared.documents.versions import USER_SESSION, upcast
from shared.errors import DocumentError
from shared.privacy.forms import Form

Seconds = Annotated[Number, Field(ge=0, le=10 * 365 * 86_400)]
Satisfaction = Annotated[Number, Field(ge=1, le=5)]

MAX_TEXTS = 20
"""Texts of a session that are read, the first ones."""

Texts = Annotated[list[Label], BeforeValidator(truncate_to(MAX_TEXTS))]
"""The first :data:`MAX_TEXTS` names. Further ones are not validated."""


class Engagement(SourceModel):
    """What the web application measured of the person's attention."""

    time_on_guidance: Seconds | None = None


class SessionDocument(SourceModel):
    """One session. Only ``id``, ``user_id`` and a time are required."""

    id: Identifier
    user_id: Identifier
    document_type: Literal["user_session"] | None = None
    session_id: Identifier | None = None
    start_time: Moment | None = None
    created_at: Moment | None = None
    end_time: Moment | None = None
    last_activity: Moment | None = None
    duration_seconds: Seconds | None = None
    status: Label | None = None
    interaction_count: Count | None = None
    user_satisfaction_rating: Satisfaction | None = None
    foundational_texts_accessed: Texts | None = None
    citation_interactions: Count | None = None
    content_depth_score: Share | None = None
    session_quality_score: Share | None = None
    engagement_indicators: Engagement | None = None


def parse_session(raw: object) -> SessionDocument:
    """Read and check one document of ``user_sessions``.

    Raises
    ------
    DocumentError
        It is not an object, lacks its id, user or start, ends before it starts, or a field has an impossible
        value.
    """
    document = upcast(USER_SESSION, require_object(raw, SessionDocument.model_fields))
    try:
        session = SessionDocument.model_validate(document)
    except ValidationError as error:
        raise_document_error("user_sessions", error)
    start = session.start_time or session.created_at
    if start is None:
        raise DocumentError("start_time", "is missing, and so is created_at")
    require_not_after_write("start_time", start, document)
    for field, end in (("end_time", session.end_time), ("last_activity", session.last_activity)):
        if end is not None and end < start:
            raise DocumentError(
                field, must_be(end.isoformat(), "must not be before the session's start", Form.TIME)
            )
    return session
