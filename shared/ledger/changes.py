"""A change to fold, and what may become of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shared.facts import Fact, Uncounted
from shared.ledger.document_version import Version


class Verdict(Enum):
    """What became of one delivered change."""

    ADDED = "added"
    REPLACED = "replaced"
    UNCOUNTED = "withdrawn"
    """Its newest version cannot be read: what was counted of the document is taken back."""
    SAME = "same"
    """This version has been counted."""
    OLDER = "older"
    """A newer version has been counted."""
    UNKNOWN = "unknown"
    """Only the live document can tell which version is newer."""


@dataclass(frozen=True, slots=True)
class Change:
    """A version of one source document, as its fact."""

    user_id: str
    document_id: str
    version: Version
    fact: Fact | Uncounted
    live: bool = False
    """Read from the source just now, rather than delivered: newer than anything of the same second."""
    reprices: bool = False
    """The same version counted differently, under new prices say: replaces its fact and nothing else."""
