"""A change to fold, and its possible verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from shared.address import SourceAddress
from shared.facts import Fact, Uncounted
from shared.ledger.document_version import Version, VersionOrder
from shared.ledger.pages import Entry


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
    FULL = "full"
    """Not counted: the state of the person, or of their month, has no room."""
    CROWDED = "crowded"
    """Not counted: a state that people share, such as the shard's day, has no room."""
    CLOSED = "closed"
    """Not counted: the state of its month ends, or has ended."""
    ERASED = "erased"
    """Not counted: the person was erased."""


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
    deleted: bool = False
    """The document no longer exists. If nothing else decides the order, the times of the writes do."""
    address: SourceAddress | None = field(default=None, compare=False)
    """Where the service keeps the document, as it was delivered; None if it says no address."""

    def order_against(self, counted: Entry) -> VersionOrder:
        """Return the order against the counted entry: by version, unless another rule decides."""
        order = self.version.order_against(counted.version)
        if self.reprices:
            if order is not VersionOrder.SAME:
                return VersionOrder.OLDER
            return VersionOrder.SAME if self.fact == counted.fact else VersionOrder.NEWER
        if self.live and order is not VersionOrder.SAME:
            return VersionOrder.NEWER  # just read from the source, so clocks do not matter
        if order is VersionOrder.SAME and isinstance(counted.fact, Uncounted) and self.fact != counted.fact:
            return VersionOrder.NEWER  # this release reads a document that an earlier one could not
        if order is VersionOrder.UNKNOWN and self.deleted:
            return VersionOrder.NEWER if self.version.ts >= counted.version.ts else VersionOrder.OLDER
        return order
