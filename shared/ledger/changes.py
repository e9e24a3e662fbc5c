"""A change to fold, and its possible verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shared.facts import Fact, Uncounted
from shared.ledger.document_version import Version


class Verdict(Enum):
    """The outcome for one delivered change."""

    ADDED = "added"
    REPLACED = "replaced"
    UNCOUNTED = "withdrawn"
    """The newest version cannot be read. The counts of the earlier version were subtracted."""
    SAME = "same"
    """This version was counted before."""
    OLDER = "older"
    """A newer version was counted before."""
    UNKNOWN = "unknown"
    """Only the live document can decide which version is newer."""


@dataclass(frozen=True, slots=True)
class Change:
    """A version of one source document, with its fact."""

    user_id: str
    document_id: str
    version: Version
    fact: Fact | Uncounted
    live: bool = False
    """The version was just read from the source, not delivered. It is newer than every counted version."""
    reprices: bool = False
    """The change counts the same version differently, for example at new prices. Replaces only the fact."""
