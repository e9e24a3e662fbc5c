"""Facts of user accounts: consent to user-level analytics, and the preferences that views show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from shared.documents.users import Preferences, UserDocument
from shared.facts.base import Fact
from shared.units import Millis, to_millis

USERS = "users"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFact(Fact):
    """One account. ``at`` is its creation time, 1970 if the document has none.

    Attributes
    ----------
    refused
        Whether the owner refuses user-level analytics: see :attr:`UserDocument.refuses`. An owner who was
        never asked does not refuse.
    zone
        The name of the owner's time zone.
    citation_style
        How the owner wants to see citations.
    subscription
        ``free``, ``premium`` or ``enterprise``.
    """

    refused: bool = False
    zone: str | None = None
    citation_style: str | None = None
    subscription: str | None = None

    STORED_KEYS: ClassVar[Mapping[str, str]] = {
        "at": "t",
        "refused": "no",
        "zone": "z",
        "citation_style": "cs",
        "subscription": "st",
    }


def consent_fact(document: UserDocument) -> ConsentFact:
    """Reduce a checked document to its fact."""
    return ConsentFact(
        user_id=document.user_id,
        at=to_millis(document.created_at) if document.created_at is not None else Millis(0),
        refused=document.refuses,
        zone=document.timezone,
        citation_style=(document.content_preferences or Preferences()).citation_style,
        subscription=document.subscription_tier,
    )
