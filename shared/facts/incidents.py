"""Facts of abuse incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from shared.documents.incidents import Detection, Flagged, IncidentDocument, Resolution
from shared.facts.base import UNKNOWN, Fact, Passage
from shared.units import Millis, to_millis

ABUSE_INCIDENTS = "abuse_incidents"

TYPES = frozenset({"inappropriate_query", "spam", "harassment", "misinformation"})
SEVERITIES = frozenset({"low", "medium", "high", "critical"})
REVIEWS = frozenset({"auto_resolved", "pending_human_review", "under_investigation", "resolved"})
"""The specification's types, severities and states of the review. Others count as unknown."""

ACTIONS = frozenset(
    {"warning_issued", "content_blocked", "account_suspended", "educational_content_provided"}
)
"""Actions that have a name. Others count as unknown."""

FALSE_POSITIVE = "false_positive"
CONFIRMED = "confirmed"
OTHER_DECISION = "other"

INTERACTION_ID_PREFIX = "interaction_"
"""Prefix of interaction ids. Incidents refer to an interaction by its document's id; some omit the prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFact(Fact):
    """One incident. ``at`` is the time of its detection.

    Attributes
    ----------
    interaction
        The interaction that it refers to (:func:`interaction_reference` of its id), None without a reference.
    passage
        The most relevant passage that the interaction's answer cites, according to the ledger when the
        incident was counted. None if the ledger does not have the interaction, or the answer cites nothing.
        It is not in the document: the fold sets it.
    decision
        ``false_positive``, ``confirmed`` or ``other``; None before the decision.
    resolved_ms
        Milliseconds from the incident to its resolution.
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

    REFERENCE_KEY: ClassVar[str | None] = "i"

    @property
    def reference(self) -> str | None:
        """The interaction that the incident refers to."""
        return self.interaction

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
        # The decorator replaces a class that has slots; super() without arguments would use the old class.
        return super(IncidentFact, cls).decode(user_id, read)


def interaction_reference(interaction_id: str) -> str:
    """Return the id of an interaction without the prefix, whether or not it has one."""
    return interaction_id.removeprefix(INTERACTION_ID_PREFIX)


def incident_fact(document: IncidentDocument) -> IncidentFact:
    """Reduce a checked document to its fact."""
    noticed = document.created_at or (document.detection_metadata or Detection()).detection_timestamp
    assert noticed is not None  # noqa: S101  parse_incident refuses a document without a time
    resolution = document.resolution or Resolution()
    ended = resolution.resolution_timestamp or document.review_completed_at
    flagged = document.flagged_content or Flagged()
    return IncidentFact(
        user_id=document.user_id,
        at=to_millis(noticed),
        kind=_known(document.incident_type, TYPES),
        severity=_known(document.severity, SEVERITIES),
        interaction=interaction_reference(document.interaction_id) if document.interaction_id else None,
        automatic=document.auto_detected,
        review=_known(document.review_status, REVIEWS) if document.review_status else None,
        decision=_decision(document.review_decision or resolution.final_decision),
        resolved_ms=Millis(to_millis(ended) - to_millis(noticed))
        if ended is not None and ended >= noticed
        else None,
        actions=tuple(
            _known(action.action_type, ACTIONS)
            for action in document.actions_taken or ()
            if action.action_type
        ),
        violations=tuple(category for category in flagged.violation_categories or () if category),
    )


def _known(word: str | None, vocabulary: frozenset[str]) -> str:
    return word if word in vocabulary else UNKNOWN


def _decision(text: str | None) -> str | None:
    if not text:
        return None
    if text == FALSE_POSITIVE:
        return FALSE_POSITIVE
    return CONFIRMED if text.startswith(CONFIRMED) else OTHER_DECISION
