"""The order of two versions of a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class VersionOrder(Enum):
    """The order of a delivered version against the counted one."""

    SAME = "same"
    OLDER = "older"
    NEWER = "newer"
    UNKNOWN = "unknown"
    """A sequence number is missing, or contradicts the time. Only the live document can decide."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a document, from the service's system properties.

    - ``ts`` is in whole seconds. Its clock may be set back, for example in a failover to another replica.
    - ``lsn`` orders the writes of one physical partition and continues over its splits. It starts again in a
      restored container. Only documents from a change feed have it.
    - ``etag`` is different for every write.
    """

    ts: int
    lsn: int | None
    etag: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Version:
        """Return the version from a document's system properties.

        A document without them, for example a stored copy of a deleted document, has a version that is older
        than all others.
        """
        ts, lsn, etag = document.get("_ts"), document.get("_lsn"), document.get("_etag")
        return cls(
            ts=ts if isinstance(ts, int) else 0,
            lsn=lsn if isinstance(lsn, int) else None,
            etag=etag if isinstance(etag, str) else "",
        )

    def order_against(self, counted: Version) -> VersionOrder:
        """Return the order of this delivered version against the ``counted`` one."""
        if self.etag == counted.etag:
            return VersionOrder.SAME
        if not self.etag:
            return VersionOrder.OLDER
        if self.lsn is None or counted.lsn is None:
            return VersionOrder.UNKNOWN
        number, later = _compared(self.lsn, counted.lsn), _compared(self.ts, counted.ts)
        if number == 0 or later == -number:  # one transaction wrote both, or a clock was set back
            return VersionOrder.UNKNOWN
        return VersionOrder.NEWER if number > 0 else VersionOrder.OLDER

    def encode(self) -> list[int | str | None]:
        """Return the form in which a ledger page stores it."""
        return [self.ts, self.lsn, self.etag]

    @classmethod
    def decode(cls, stored: Sequence[Any]) -> Version:
        """Read what :meth:`encode` wrote."""
        ts, lsn, etag = stored
        return cls(ts=ts, lsn=lsn, etag=etag)


def _compared(one: int, other: int) -> int:
    return (one > other) - (one < other)
