"""Facts: the parts of a source document that views need. One module per source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.facts.base import STORED_UNCOUNTED, UNKNOWN, Fact, Passage, Uncounted
from shared.facts.consent import USERS, ConsentFact, consent_fact
from shared.facts.incidents import ABUSE_INCIDENTS, IncidentFact, incident_fact
from shared.facts.interactions import (
    USER_INTERACTIONS,
    Citation,
    InteractionFact,
    interaction_fact,
    priced,
)
from shared.facts.sessions import USER_SESSIONS, SessionFact, session_fact

__all__ = [
    "ABUSE_INCIDENTS",
    "FACT_SCHEMA",
    "UNKNOWN",
    "USERS",
    "USER_INTERACTIONS",
    "USER_SESSIONS",
    "Citation",
    "ConsentFact",
    "Fact",
    "IncidentFact",
    "InteractionFact",
    "Passage",
    "SessionFact",
    "Uncounted",
    "consent_fact",
    "decode_fact",
    "incident_fact",
    "interaction_fact",
    "priced",
    "session_fact",
]

FACTS: dict[str, type[Fact]] = {
    USER_INTERACTIONS: InteractionFact,
    USER_SESSIONS: SessionFact,
    ABUSE_INCIDENTS: IncidentFact,
    USERS: ConsentFact,
}
"""The fact class of each source."""

FACT_SCHEMA: dict[str, int] = {
    USER_INTERACTIONS: 4,
    USER_SESSIONS: 3,
    ABUSE_INCIDENTS: 2,
    USERS: 3,
}
"""Number of the schema of each source's facts, 1 or more. A fact that gets a field, or reads one in another
way, gets the next number, and the views that need it say so (:attr:`~shared.views.base.View.facts`). Facts on
the ledger keep the schema in which they were made: only a new generation makes them again."""


def decode_fact(source: str, user_id: str, stored: Mapping[str, Any]) -> Fact | Uncounted:
    """Decode a stored fact of ``user_id`` from a page of ``source``."""
    if STORED_UNCOUNTED in stored:
        return Uncounted.decode(user_id, stored)
    return FACTS[source].decode(user_id, stored)
