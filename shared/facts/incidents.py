"""Facts of abuse incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from shared.documents.common import millis
from shared.documents.incidents import Detection, Flagged, IncidentDocument, Resolution
from shared.facts.base import UNKNOWN, Fact, Passage
from shared.units import Millis

ABUSE_INCIDENTS = "abuse_incidents"

TYPES = frozenset({"inappropriate_query", "spam", "harassment", "misinformation"})
SEVERITIES = frozenset({"low", "medium", "high", "critical"})
"""The specification's types and severities. Others count as unknown."""

FALSE_POSITIVE = "false_positive"
CONFIRMED = "confirmed"
UNDECIDED_OTHERWISE = "other"

PREFIX = "interaction_"
"""Incidents name an interaction by its document's id; some leave the beginning out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFact(Fact):
    """One incident; ``at`` is when it was noticed.

    Attributes
    ----------
    interaction
        Which interaction it points at (:func:`reference` of its id), None if at none.
    passage
        The passage that interaction's answer cites first of all, as the ledger knew it when this was counted;
        None if the interaction is not there, or cites nothing. Not in the document: the fold fills it in.
    decision
        ``false_positive``, ``confirmed`` or ``other``; None while there is none.
    resolved_ms
        From the incident to its resolution.
    """

    kind: str = UNKNOWN
    severity: str = UNKNOWN
    interaction: str | None = None
    passage: Passage | None = None
    automatic: bool | None = None
    review: str | None = None
    decision: str | None = None
    resolved_ms: Millis | None = None
    actions: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()

    STORED_KEYS: ClassVar[Mapping[str, str]] = {
        "at": "t",
        "kind": "k",
        "severity": "s",
        "interaction": "i",
        "passage": "p",
        "automatic": "a",
        "review": "r",
        "decision": "d",
        "resolved_ms": "ms",
        "actions": "ac",
        "violations": "v",
    }

    REFERS: ClassVar[str | None] = "i"

    @classmethod
    def decode(cls, user_id: str, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` wrote on the page of ``user_id``."""
        passage = stored.get("p")
        read = {
            **stored,
            "p": None if passage is None else Passage(*passage),
            "ac": tuple(stored.get("ac", ())),
            "v": tuple(stored.get("v", ())),
        }
        # Named, for a class with slots is made anew, and super() would look at the one before.
        return super(IncidentFact, cls).decode(user_id, read)


def reference(interaction_id: str) -> str:
    """Return what stands for an interaction, with or without the beginning that its document's id has."""
    return interaction_id.removeprefix(PREFIX)


def incident_fact(document: IncidentDocument) -> IncidentFact:
    """Reduce a checked document to its fact."""
    noticed = document.created_at or (document.detection_metadata or Detection()).detection_timestamp
    assert noticed is not None  # noqa: S101  parse_incident refuses a document without a time
    resolution = document.resolution or Resolution()
    ended = resolution.resolution_timestamp or document.review_completed_at
    flagged = document.flagged_content or Flagged()
    return IncidentFact(
        user_id=document.user_id,
        at=millis(noticed),
        kind=document.incident_type if document.incident_type in TYPES else UNKNOWN,
        severity=document.severity if document.severity in SEVERITIES else UNKNOWN,
        interaction=reference(document.interaction_id) if document.interaction_id else None,
        automatic=document.auto_detected,
        review=document.review_status or None,
        decision=_decision(document.review_decision or resolution.final_decision),
        resolved_ms=Millis(millis(ended) - millis(noticed))
        if ended is not None and ended >= noticed
        else None,
        actions=tuple(action.action_type for action in document.actions_taken or () if action.action_type),
        violations=tuple(category for category in flagged.violation_categories or () if category),
    )


def _decision(text: str | None) -> str | None:
    if not text:
        return None
    if text == FALSE_POSITIVE:
        return FALSE_POSITIVE
    return CONFIRMED if text.startswith(CONFIRMED) else UNDECIDED_OTHERWISE
