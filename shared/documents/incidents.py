"""Documents of ``abuse_incidents``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationError

from shared.documents.common import (
    Identifier,
    Label,
    Moment,
    SourceModel,
    raise_document_error,
    require_not_after_write,
    require_object,
    truncate_to,
)
from shared.documents.versions import ABUSE_INCIDENT, upcast
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


class IncidentDocument(SourceModel):
    """One incident. Only ``id``, ``user_id`` and a time are required."""

    id: Identifier
    user_id: Identifier
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


def parse_incident(raw: object) -> IncidentDocument:
    """Read and check one document of ``abuse_incidents``.

    Raises
    ------
    DocumentError
        It is not an object, lacks its id, user or time, or a field has an impossible value.
    """
    document = upcast(ABUSE_INCIDENT, require_object(raw, IncidentDocument.model_fields))
    try:
        incident = IncidentDocument.model_validate(document)
    except ValidationError as error:
        raise_document_error("abuse_incidents", error)
    moment = incident.created_at or (incident.detection_metadata or Detection()).detection_timestamp
    if moment is None:
        raise DocumentError("created_at", "is missing, and so is detection_metadata.detection_timestamp")
    require_not_after_write("created_at", moment, document)
    return incident
