"""Facts of abuse incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from shared.documents.incidents import Flagged, IncidentDocument, Resolution
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
        The id of the interaction that it refers to, as it is written; None without a reference. See
        :func:`possible_ids`.
    passage
        The most relevant passage that the interaction's answer cites, according to the ledger when the
        incident was counted. None if the ledger does not have the interaction, or the answer cites nothing.
        It is not in the document: the fold sets it.
    decision
        ``false_positive``, ``confirmed`` or ``other``; None before the decision.
    resolved_ms
        Milliseconds from the incident to its resolution.
    newer_version
        Whether the document has a newer schema version than the release that read it.
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
    newer_version: bool = False

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
        "newer_version": "nv",
    }

    @property
    def reference(self) -> str | None:
        """The key of the interaction that the incident refers to."""
        return None if self.interaction is None else interaction_key(self.interaction)

    @classmethod
    def stored_reference(cls, stored: Mapping[str, Any]) -> str | None:
        """Return the key of the interaction that a stored incident refers to."""
        return interaction_key(stored["i"]) if "i" in stored else None

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


def possible_ids(reference: str) -> tuple[str, str]:
    """Return the ids that a reference to an interaction may mean: the written one first, then the other form.

    The other form has the prefix if the written one has not, and no prefix if it has.
    """
    stripped = reference.removeprefix(INTERACTION_ID_PREFIX)
    return reference, stripped if stripped != reference else f"{INTERACTION_ID_PREFIX}{reference}"


def interaction_key(interaction_id: str) -> str:
    """Return the id of an interaction without prefixes: all :func:`possible_ids` of a reference share it."""
    while interaction_id.startswith(INTERACTION_ID_PREFIX):
        interaction_id = interaction_id.removeprefix(INTERACTION_ID_PREFIX)
    return interaction_id


def incident_fact(document: IncidentDocument) -> IncidentFact:
    """Reduce a checked document to its fact."""
    noticed = document.noticed
    assert noticed is not None  # noqa: S101  parse_incident refuses a document without a time
    resolution = document.resolution or Resolution()
    ended = resolution.resolution_timestamp or document.review_completed_at
    flagged = document.flagged_content or Flagged()
    return IncidentFact(
        user_id=document.user_id,
        at=to_millis(noticed),
        kind=_known(document.incident_type, TYPES),
        severity=_known(document.severity, SEVERITIES),
        interaction=document.interaction_id or None,
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
        newer_version=document.newer_version is not None,
    )


def _known(word: str | None, vocabulary: frozenset[str]) -> str:
    return word if word in vocabulary else UNKNOWN


def _decision(text: str | None) -> str | None:
    if not text:
        return None
    if text == FALSE_POSITIVE:
        return FALSE_POSITIVE
    return CONFIRMED if text.startswith(CONFIRMED) else OTHER_DECISION
