"""Documents of ``abuse_incidents``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from shared.documents.common import (
    Identifier,
    Label,
    Moment,
    SourceModel,
    require_not_after_write,
    truncate_to,
)
from shared.documents.reading import SourceDocument, read_document
from shared.documents.versions import ABUSE_INCIDENT
from shared.errors import DocumentError

MAX_ACTIONS = 50
"""Maximum number of actions and of violation categories that count per incident."""


class Flagged(SourceModel):
    """The flagged content, without its text."""

    violation_categories: Annotated[list[Label], BeforeValidator(truncate_to(MAX_ACTIONS))] | None = None


class Detection(SourceModel):
    """The detection of the incident."""

    detection_timestamp: Moment | None = None


class Action(SourceModel):
    """One action against the incident."""

    action_type: Label | None = None


class Resolution(SourceModel):
    """The resolution of the incident."""

    final_decision: Label | None = None
    resolution_timestamp: Moment | None = None


class IncidentDocument(SourceDocument):
    """One incident. Only ``id``, ``user_id`` and a time are required."""

    CONTAINER: ClassVar = "abuse_incidents"

    document_type: Literal["abuse_incident"] | None = None
    interaction_id: Identifier | Literal[""] | None = None
    incident_type: Label | None = None
    severity: Label | None = None
    auto_detected: bool | None = None
    flagged_content: Flagged | None = None
    detection_metadata: Detection | None = None
    actions_taken: Annotated[list[Action], BeforeValidator(truncate_to(MAX_ACTIONS))] | None = None
    review_status: Label | None = None
    review_decision: Label | None = None
    review_completed_at: Moment | None = None
    resolution: Resolution | None = None
    created_at: Moment | None = None

    @property
    def noticed(self) -> datetime | None:
        """The time of the incident."""
        return self.created_at or (self.detection_metadata or Detection()).detection_timestamp

    def check(self, document: Mapping[str, Any]) -> None:
        """Require a time, not after the write."""
        if self.noticed is None:
            raise DocumentError("created_at", "is missing, and so is detection_metadata.detection_timestamp")
        require_not_after_write("created_at", self.noticed, document)


def parse_incident(raw: object) -> IncidentDocument:
    """Read and check one document of ``abuse_incidents``. Raises what :func:`read_document` raises."""
    return read_document(IncidentDocument, ABUSE_INCIDENT, raw)
