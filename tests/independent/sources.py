"""Sessions, incidents and consent: which documents count, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from tests.independent.input import SKEW, is_of_unreadable_version, owner_of, refuses, with_scores
from tests.independent.interactions import (
    Document,
    citations_of,
    in_todays_shape,
    is_malformed,
    moment_of,
    relevance_of,
    source_of,
    whole_between,
)
from tests.independent.names import plain_name

ENDED = ("completed", "abandoned", "expired")
DAY = timedelta(days=1)


@dataclass
class Sources:
    """The documents that count, of all sources, as they stand."""

    interactions: list[Document]
    sessions: list[Document] = field(default_factory=list)
    incidents: list[Document] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    accounts: list[Document] = field(default_factory=list)
    vectors: list[Document] = field(default_factory=list)
    personas: list[Document] = field(default_factory=list)

    def account_of(self, user: str) -> Document:
        """Return what a person's accounts say, of several the first by id that says it."""
        said: Document = {}
        for account in sorted(self.accounts, key=lambda a: str(a["id"]), reverse=True):
            if owner_of(account) == user:
                style = (account.get("content_preferences") or {}).get("citation_style")
                own = {name: account.get(name) for name in ("timezone", "subscription_tier")}
                said |= {n: v for n, v in (own | {"citation_style": style}).items() if v is not None}
        return said

    @cached_property
    def _by_person(self) -> dict[tuple[str, str], Document]:
        return {(i["user_id"], i["id"]): i for i in self.interactions}

    def passage_of_incident(self, incident: Document) -> Document | None:
        """Return the citation that an incident is about."""
        target = incident.get("interaction_id") or ""
        other = (
            target.removeprefix("interaction_")
            if target.startswith("interaction_")
            else f"interaction_{target}"
        )
        user = incident["user_id"]
        interaction = self._by_person.get((user, target)) or self._by_person.get((user, other))
        if not target or interaction is None:
            return None
        return max(citations_of([interaction]), key=relevance_of, default=None)


NAMES = {
    "source", "personality_used", "query_category", "query_complexity",
    "status", "incident_type", "severity", "review_status", "review_decision", "final_decision",
    "action_type", "violation_categories",
}  # fmt: skip
"""Fields that hold names, which are shown plainly."""


def with_plain_names(value: Any, *, is_name: bool = False) -> Any:
    """Return a document in which all names are plain."""
    if isinstance(value, dict):
        return {key: with_plain_names(part, is_name=key in NAMES) for key, part in value.items()}
    if isinstance(value, list):
        return [with_plain_names(part, is_name=is_name) for part in value]
    return plain_name(value) if is_name and isinstance(value, str) else value


def good(documents: Mapping[str, list[Document]]) -> Sources:
    """Keep what is not malformed, with plain names."""
    users = [d for d in documents.get("users", []) if owner_of(d) is not None]
    return Sources(
        [
            with_plain_names(with_scores(in_todays_shape(d), "user_interactions"))
            for d in documents.get("user_interactions", [])
            if not is_malformed(d)
        ],
        [
            with_plain_names(with_scores(d, "user_sessions"))
            for d in documents.get("user_sessions", [])
            if not is_malformed_session(d)
        ],
        [with_plain_names(d) for d in documents.get("abuse_incidents", []) if not is_malformed_incident(d)],
        {str(owner_of(d)) for d in users if refuses(d)},
        users,
        list(documents.get("personality_vectors", [])),
        list(documents.get("personalities", [])),
    )


def _has_ids(document: Document) -> bool:
    return all(isinstance(document.get(name), str) and document[name] for name in ("id", "user_id"))


def _time(document: Document, name: str) -> datetime | None:
    text = document.get(name)
    return None if text is None else moment_of({"timestamp": text})


def start_of(session: Document) -> datetime:
    start = _time(session, "start_time") or _time(session, "created_at")
    assert start is not None
    return start


def is_malformed_session(document: Document) -> bool:
    if not _has_ids(document) or (_time(document, "start_time") or _time(document, "created_at")) is None:
        return True
    duration, count = document.get("duration_seconds"), document.get("interaction_count")
    ends = [_time(document, name) for name in ("end_time", "last_activity")]
    rating = document.get("user_satisfaction_rating")
    return (
        any(end is not None and end < start_of(document) - SKEW for end in ends)
        or (duration is not None and duration < -SKEW.total_seconds())
        or is_of_unreadable_version(document, "user_sessions")
        or any(
            document.get(name) is not None and _time(document, name) is None
            for name in ("start_time", "end_time", "last_activity")
        )
        or not (count is None or whole_between(count, 0, 10_000))
        or not (rating is None or (_is_number(rating) and 1 <= rating <= 5))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def seconds_of(session: Document) -> float | None:
    """How long an ended session lasted, if it tells and that was a day at most."""
    seconds, end = session.get("duration_seconds"), _time(session, "end_time")
    if seconds is not None:
        seconds = max(0, seconds)
    if session.get("status") not in ENDED:
        return None
    if seconds is None and end is not None:
        seconds = max(0, (end - start_of(session)).total_seconds())
    return None if seconds is None or seconds > DAY.total_seconds() else round(seconds)


def until_of(session: Document) -> datetime | None:
    """Until when a session was open, as far as it tells."""
    end = _time(session, "end_time") or _time(session, "last_activity")
    if end is None and session.get("duration_seconds") is not None:
        end = start_of(session) + timedelta(seconds=session["duration_seconds"])
    return None if end is None or end - start_of(session) > DAY else max(end, start_of(session))


def session_id_of(session: Document) -> str:
    return str(session.get("session_id") or session["id"])


def noticed(incident: Document) -> datetime:
    moment = _time(incident, "created_at") or _time(
        incident.get("detection_metadata") or {}, "detection_timestamp"
    )
    assert moment is not None
    return moment


def is_malformed_incident(document: Document) -> bool:
    decision = document.get("review_decision")
    times = (
        _time(document, "created_at"),
        _time(document.get("detection_metadata") or {}, "detection_timestamp"),
    )
    detection, resolution = (document.get(name) or {} for name in ("detection_metadata", "resolution"))
    all_times = [
        (document, "created_at"),
        (document, "review_completed_at"),
        (detection, "detection_timestamp"),
        (resolution, "resolution_timestamp"),
    ]
    return (
        not _has_ids(document)
        or not any(times)
        or any(part.get(name) is not None and _time(part, name) is None for part, name in all_times)
        or not isinstance(decision, str | None)
        or not all(
            isinstance(document.get(n), str | None) for n in ("incident_type", "severity", "review_status")
        )
        or not isinstance(document.get("actions_taken"), list | None)
        or is_of_unreadable_version(document, "abuse_incidents")
    )


def decision_of(incident: Document) -> str | None:
    return incident.get("review_decision") or (incident.get("resolution") or {}).get("final_decision") or None


def resolved_hours(incident: Document) -> float | None:
    end = _time(incident.get("resolution") or {}, "resolution_timestamp") or _time(
        incident, "review_completed_at"
    )
    if end is None or end < noticed(incident):
        return None
    return (end - noticed(incident)).total_seconds() / 3600


def sources_of(interaction: Document) -> set[str]:
    return {source_of(citation) for citation in citations_of([interaction])}
