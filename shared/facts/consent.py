"""Facts of user accounts: whether a person agreed to user-level analytics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from shared.documents.users import Privacy, UserDocument
from shared.facts.base import Fact
from shared.units import Millis, to_millis

USERS = "users"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFact(Fact):
    """One account. ``at`` is its creation time, 1970 if the document has none.

    ``refused`` is True if the owner refuses user-level analytics. An owner who was never asked does not
    refuse.
    """

    refused: bool = False

    STORED_KEYS: ClassVar[Mapping[str, str]] = {"at": "t", "refused": "no"}


def consent_fact(document: UserDocument) -> ConsentFact:
    """Reduce a checked document to its fact."""
    consent = (document.privacy_settings or Privacy()).analytics_consent
    return ConsentFact(
        user_id=document.user_id,
        at=to_millis(document.created_at) if document.created_at is not None else Millis(0),
        refused=(document.analytics_consent if consent is None else consent) is False,
    )
