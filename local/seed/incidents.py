"""``abuse_incidents`` documents in the shape of the specification, section 2.4.

Most are found by a model within seconds of the question, a few by the model before the answer is stored, some
are reported by a person hours later. One that somebody has to look at is written again when it is resolved.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from random import Random
from typing import Any, Literal

from local.seed.documents import Turn, document_id, pick, score, session_id, timestamp
from local.seed.people import random_uuid

INCIDENTS = "abuse_incidents"

THREE_YEARS_SECONDS = 94_608_000

SHARE = 0.01
"""Incidents per interaction."""

TYPES: tuple[tuple[str, float], ...] = (
    ("inappropriate_query", 50),
    ("spam", 22),
    ("harassment", 16),
    ("misinformation", 10),
    ("impersonation", 2),  # in no list of the specification: valid, of an unknown type
)
SEVERITIES: tuple[tuple[str, float], ...] = (
    ("low", 45),
    ("medium", 33),
    ("high", 15),
    ("critical", 5),
    ("catastrophic", 2),  # likewise
)

CATEGORIES: dict[str, tuple[str, ...]] = {
    "inappropriate_query": ("sexual_content", "profanity", "self_harm"),
    "spam": ("advertising", "repetition"),
    "harassment": ("harassment", "hate_speech", "threat"),
    "misinformation": ("false_quotation", "medical_claim"),
    "impersonation": ("impersonation",),
}

DETAILS: dict[str, str] = {
    "warning_issued": "User warned about community guidelines",
    "content_blocked": "Response generation blocked for this query",
    "account_suspended": "Account suspended until a person has looked at it",
    "educational_content_provided": "Guidelines shown with an explanation",
}
"""Actions, and what the web application notes about each."""

DECISIONS: tuple[tuple[str, float], ...] = (
    ("confirmed_violation", 6),
    ("false_positive", 3),
    ("escalate", 1),
)

LONGEST_REVIEW_SECONDS = 5 * 86_400

Pointing = Literal["after", "before", "reported", "nowhere", "not"]
"""Noticed after the interaction was written or before it, reported by a person, pointing at an interaction
that does not exist, or at none."""


@dataclass(frozen=True, slots=True)
class Flag:
    """Something was noticed about a question."""

    number: int
    """Order among the incidents of its day, from 1."""
    turn: Turn
    pointing: Pointing
    interaction_id: str | None
    """What it points at: the ``id`` of a document of ``user_interactions``."""
    moment: int
    """When, in milliseconds since the epoch."""


def pointing(position: int) -> Pointing:
    """Return how the incident at ``position`` of all points: every way is there once there are 20 of them."""
    match position % 20:
        case 3 | 9 | 15:
            return "before"
        case 5 | 11 | 17:
            return "reported"
        case 7:
            return "nowhere"
        case 13:
            return "not"
        case _:
            return "after"


def noticed_at(turn: Turn, how: Pointing, random: Random) -> int:
    """Draw when an incident is noticed, in milliseconds since the epoch."""
    if how == "before":
        return turn.moment - random.randint(50, 900)
    if how == "reported":
        return turn.moment + 60_000 + round(min(random.lognormvariate(8.5, 1.2), 3 * 86_400) * 1000)
    return turn.moment + random.randint(400, 3_000)


def points_at(how: Pointing, target: str, random: Random) -> str | None:
    """Return the ``interaction_id`` of an incident about the interaction ``target``."""
    if how == "nowhere":
        return document_id(random_uuid(random))
    return None if how == "not" else target


def incident_document(flag: Flag, random: Random) -> dict[str, Any]:
    """Write an incident out as it is first noted."""
    turn, person = flag.turn, flag.turn.person
    reported = flag.pointing == "reported"
    kind, severity = pick(random, TYPES), pick(random, SEVERITIES)
    noticed = timestamp(flag.moment)
    name = f"abuse_incident_{noticed[:10].replace('-', '')}_{flag.number:03d}"
    actions = _actions(flag.moment, severity, reported, random)
    automatic = severity == "low" and not reported
    confidence = score(random, 0.82)
    document: dict[str, Any] = {
        "id": name,
        "partition_key": person.user_id,
        "user_id": person.user_id,
        "document_type": "abuse_incident",
        "incident_id": name,
        "interaction_id": flag.interaction_id,
        "session_id": session_id(person.user_id, turn.session_start),
        "incident_type": kind,
        "severity": severity,
        "confidence_score": confidence,
        "auto_detected": not reported,
        "flagged_content": _flagged_content(kind, random),
        "detection_metadata": {
            "detection_method": "user_report" if reported else "automated_ml",
            "detection_model": None if reported else "perspective_api_v2",
            "detection_timestamp": noticed,
            "false_positive_probability": round(1 - confidence, 2),
        },
        "actions_taken": actions,
        "review_status": "auto_resolved" if automatic else "pending_human_review",
        "human_reviewer": None,
        "review_notes": "",
        "review_decision": "",
        "review_completed_at": None,
        "user_context": _user_context(_names(actions), random),
        "resolution": _first_resolution(flag.moment, actions, automatic),
        "feedback_data": None,
        "created_at": noticed,
        "updated_at": timestamp(flag.moment + 2_000) if automatic else noticed,
        "_ttl": THREE_YEARS_SECONDS,
    }
    if flag.pointing == "not" and random.random() < 0.5:
        del document["interaction_id"]
    return document


def review_moments(flag: Flag, document: dict[str, Any], random: Random) -> list[int]:
    """Return when a person looks at an incident and when it is resolved: both, the first, or neither."""
    if document["review_status"] == "auto_resolved" or random.random() < 0.2:
        return []
    took = min(LONGEST_REVIEW_SECONDS, 600 + exp(random.gauss(9.2, 1.1)))  # seconds: about three hours
    end = flag.moment + round(took * 1000)
    begin = flag.moment + round(took * random.uniform(0.1, 0.6) * 1000)
    return [begin] if random.random() < 0.15 else [begin, end]


def under_investigation(document: dict[str, Any], moment: int) -> dict[str, Any]:
    """Return the whole document as it is replaced when somebody starts to look at it."""
    return {
        **document,
        "review_status": "under_investigation",
        "human_reviewer": "reviewer-1",
        "updated_at": timestamp(moment),
    }


def resolved(document: dict[str, Any], moment: int, random: Random) -> dict[str, Any]:
    """Return the whole document as it is replaced when the review is over."""
    decision = pick(random, DECISIONS)
    wrong = decision == "false_positive"
    actions = list(document["actions_taken"])
    if not wrong and random.random() < 0.6:
        actions.append(_action("educational_content_provided", moment, automated=False))
    if decision == "escalate":
        actions.append(_action("account_suspended", moment, automated=False))
    return {
        **document,
        "actions_taken": actions,
        "review_status": "resolved",
        "human_reviewer": "reviewer-1",
        "review_notes": "Nothing to object to" if wrong else "Against the guidelines",
        "review_decision": decision,
        "review_completed_at": timestamp(moment),
        "resolution": {
            "final_decision": decision,
            "resolution_actions": [] if wrong else [action["action_type"] for action in actions],
            "follow_up_required": decision == "escalate",
            "appeal_submitted": random.random() < 0.05,
            "resolution_timestamp": timestamp(moment),
        },
        "feedback_data": {
            "reviewer_feedback": "Harmless in its context" if wrong else "Clear violation",
            "model_accuracy": "false_detection" if wrong else "correct_detection",
            "suggested_improvements": ["refine_severity_classification"] if wrong else [],
            "training_data_value": "high" if wrong else "medium",
        },
        "updated_at": timestamp(moment),
    }


def _flagged_content(kind: str, random: Random) -> dict[str, Any]:
    return {
        "content_type": pick(random, (("user_query", 8), ("ai_response", 1), ("both", 1))),
        "flagged_text": f"[REDACTED - {kind}]",
        "violation_categories": random.sample(CATEGORIES[kind], k=random.randint(1, len(CATEGORIES[kind]))),
        "safety_scores": {
            "toxicity": score(random, 0.7),
            "severe_toxicity": score(random, 0.2),
            "identity_attack": score(random, 0.1),
            "insult": score(random, 0.4),
            "threat": score(random, 0.08),
        },
    }


def _user_context(actions: set[str], random: Random) -> dict[str, Any]:
    return {
        "account_age_days": random.randint(1, 700),
        "previous_violations": random.choice((0, 0, 0, 0, 1, 2)),
        "user_reputation_score": score(random, 0.85),
        "account_status": "suspended" if "account_suspended" in actions else "active",
        "warning_count": int("warning_issued" in actions),
    }


def _first_resolution(moment: int, actions: list[dict[str, Any]], automatic: bool) -> dict[str, Any]:
    return {
        "final_decision": "confirmed_minor_violation" if automatic else None,
        "resolution_actions": [action["action_type"] for action in actions] if automatic else [],
        "follow_up_required": False,
        "appeal_submitted": False,
        "resolution_timestamp": timestamp(moment + 2_000) if automatic else None,
    }


def _actions(moment: int, severity: str, reported: bool, random: Random) -> list[dict[str, Any]]:
    names = ["warning_issued"] if severity == "low" or random.random() < 0.7 else []
    if severity != "low" and not reported:
        names.append("content_blocked")
    if severity == "critical":
        names.append("account_suspended")
    if severity == "low" and random.random() < 0.5:
        names.append("educational_content_provided")
    return [_action(name, moment + 1_000, automated=True) for name in names]


def _action(name: str, moment: int, *, automated: bool) -> dict[str, Any]:
    return {
        "action_type": name,
        "action_timestamp": timestamp(moment),
        "automated": automated,
        "details": DETAILS[name],
    }


def _names(actions: list[dict[str, Any]]) -> set[str]:
    return {action["action_type"] for action in actions}
