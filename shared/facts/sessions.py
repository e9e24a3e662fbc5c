"""Facts of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from shared.documents.sessions import Engagement, SessionDocument
from shared.facts.base import Fact, micro_or_none, rounded
from shared.units import MILLIS_PER_DAY, Micro, Millis, to_millis

USER_SESSIONS = "user_sessions"

OUTCOMES = frozenset({"completed", "abandoned", "expired"})
"""Statuses of a session that has ended. A session with any other status is open, or its status is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFact(Fact):
    """One session. ``at`` is its start.

    Attributes
    ----------
    until
        The last moment at which it is known to be open; None if unknown, or more than a day after its start.
    seconds
        Its duration. None if the session has not ended, if the document has no duration, or if the duration
        is more than a day: such a session was left open, not used.
    outcome
        One of :data:`OUTCOMES`, None while the session is open.
    satisfaction
        1 to 5, as :data:`~shared.units.Micro`.
    attention
        Seconds that the person spent on the guidance.
    texts
        The names of the texts that the person accessed.
    citations_followed
        How often the person followed a citation.
    dropped_scores
        Number of scores that are no number from 0 to 1.
    newer_version
        Whether the document has a newer schema version than the release that read it.
    """

    session_id: str
    until: Millis | None = None
    seconds: int | None = None
    outcome: str | None = None
    interactions: int | None = None
    satisfaction: Micro | None = None
    depth: Micro | None = None
    quality: Micro | None = None
    attention: int | None = None
    texts: tuple[str, ...] = ()
    citations_followed: int | None = None
    dropped_scores: int = 0
    newer_version: bool = False

    STORED_KEYS: ClassVar[Mapping[str, str]] = {
        "at": "t",
        "session_id": "s",
        "until": "u",
        "seconds": "d",
        "outcome": "o",
        "interactions": "n",
        "satisfaction": "r",
        "depth": "cd",
        "quality": "q",
        "attention": "at",
        "texts": "x",
        "citations_followed": "cf",
        "dropped_scores": "ds",
        "newer_version": "nv",
    }

    @classmethod
    def decode(cls, user_id: str, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` wrote on the page of ``user_id``."""
        read = {**stored, "x": tuple(stored.get("x", ()))}
        # The decorator replaces a class that has slots; super() without arguments would use the old class.
        return super(SessionFact, cls).decode(user_id, read)


def session_fact(document: SessionDocument) -> SessionFact:
    """Reduce a checked document to its fact."""
    start, end = document.start, document.end
    assert start is not None  # noqa: S101  parse_session refuses a document without a start
    at = to_millis(start)
    outcome = document.status if document.status in OUTCOMES else None
    seconds = document.duration_seconds
    if seconds is None and outcome and document.end_time is not None:
        seconds = (max(document.end_time, start) - start).total_seconds()
    until = to_millis(end) if end is not None else None
    if until is None and seconds is not None:
        until = Millis(at + round(seconds * 1000))
    return SessionFact(
        user_id=document.user_id,
        at=at,
        session_id=document.session_id or document.id,
        until=until if until is not None and until - at <= MILLIS_PER_DAY else None,
        seconds=round(seconds)
        if outcome and seconds is not None and seconds * 1000 <= MILLIS_PER_DAY
        else None,
        outcome=outcome,
        interactions=document.interaction_count,
        satisfaction=micro_or_none(document.user_satisfaction_rating),
        depth=micro_or_none(document.content_depth_score),
        quality=micro_or_none(document.session_quality_score),
        attention=rounded((document.engagement_indicators or Engagement()).time_on_guidance),
        texts=tuple(dict.fromkeys(text for text in document.foundational_texts_accessed or () if text)),
        citations_followed=document.citation_interactions,
        dropped_scores=document.dropped_scores,
        newer_version=document.newer_version is not None,
    )
