"""Documents of ``user_sessions``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from shared.documents.common import (
    CLOCK_SKEW,
    Count,
    Identifier,
    Label,
    Moment,
    Number,
    Score,
    SourceModel,
    must_be,
    require_not_after_write,
    to_range,
    truncate_to,
)
from shared.documents.reading import SourceDocument, read_document
from shared.documents.versions import USER_SESSION
from shared.errors import DocumentError
from shared.privacy.forms import Form


def _skewed_to_zero(value: object) -> object:
    """Return 0 for the duration between two clocks that seem to run backwards."""
    if isinstance(value, int | float) and -CLOCK_SKEW.total_seconds() <= value < 0:
        return 0.0
    return value


Seconds = Annotated[Number, BeforeValidator(_skewed_to_zero), Field(ge=0, le=10 * 365 * 86_400)]
Satisfaction = Annotated[Number, BeforeValidator(to_range(1.0, 5.0)), Field(ge=1, le=5)]

MAX_TEXTS = 20
"""Texts of a session that are read, the first ones."""

Texts = Annotated[list[Label], BeforeValidator(truncate_to(MAX_TEXTS))]
"""The first :data:`MAX_TEXTS` names. Further ones are not validated."""


class Engagement(SourceModel):
    """What the web application measured of the person's attention."""

    time_on_guidance: Seconds | None = None


class SessionDocument(SourceDocument):
    """One session. Only ``id``, ``user_id`` and a time are required."""

    CONTAINER: ClassVar = "user_sessions"

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
    content_depth_score: Score = None
    session_quality_score: Score = None
    engagement_indicators: Engagement | None = None

    @property
    def start(self) -> datetime | None:
        """The start of the session."""
        return self.start_time or self.created_at

    @property
    def end(self) -> datetime | None:
        """The last moment of the session that is known; never before its start."""
        end = self.end_time or self.last_activity
        return end if end is None or self.start is None else max(end, self.start)

    def check(self, document: Mapping[str, Any]) -> None:
        """Require a start, not after the write, and no end before it."""
        if self.start is None:
            raise DocumentError("start_time", "is missing, and so is created_at")
        require_not_after_write("start_time", self.start, document)
        for field, end in (("end_time", self.end_time), ("last_activity", self.last_activity)):
            if end is not None and end < self.start - CLOCK_SKEW:
                raise DocumentError(
                    field, must_be(end.isoformat(), "must not be before the session's start", Form.TIME)
                )


def parse_session(raw: object) -> SessionDocument:
    """Read and check one document of ``user_sessions``. Raises what :func:`read_document` raises."""
    return read_document(SessionDocument, USER_SESSION, raw)
