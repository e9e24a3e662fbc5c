"""Lease documents in the .NET change feed processor's format, of both versions; nothing that acts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.cosmos.sdk_feed import together_contain

RANGE_BASED = 1
"""``version`` of a lease for a range of effective partition keys: what this host creates."""

PARTITION_BASED = 0
"""``version`` of a lease for a partition key range id, also of one without a version."""

LATEST_VERSION = "Incremental Feed"
"""``Mode`` of a lease of the change feed's latest versions."""

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""``timestamp`` of a lease that no owner has written yet; null in its document."""

PROCESS_PROPERTY = "process"
"""Key in ``properties`` that tells two processes of one instance name apart: a restart from its ghost."""

_FRACTION = re.compile(r"\.(\d{6})\d+")
_KNOWN = (
    "id",
    "version",
    "LeaseToken",
    "FeedRange",
    "Owner",
    "ContinuationToken",
    "properties",
    "timestamp",
    "Mode",
)


@dataclass(frozen=True, slots=True, order=True)
class FeedRange:
    """A range of effective partition keys: ``min`` is part of it, ``max`` is not. Hexadecimal text."""

    min: str
    max: str

    @property
    def token(self) -> str:
        """The lease token of this range."""
        return f"{self.min}-{self.max}"

    def intersection(self, other: FeedRange) -> FeedRange | None:
        """Return the part that both ranges have, or None. Effective partition keys compare as text."""
        low, high = max(self.min, other.min), min(self.max, other.max)
        return FeedRange(low, high) if low < high else None

    def to_sdk(self) -> dict[str, Any]:
        """Return the range as the SDK's ``feed_range`` argument."""
        return {"Range": {"min": self.min, "max": self.max, "isMinInclusive": True, "isMaxInclusive": False}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FeedRange:
        """Read a range from a lease document or from the SDK; ``ValueError`` if it is neither."""
        inner = value.get("Range")
        if not isinstance(inner, Mapping) or "min" not in inner or "max" not in inner:
            raise ValueError(f"{value!r} is not a feed range with 'Range', 'min' and 'max'")
        return cls(str(inner["min"]).upper(), str(inner["max"]).upper())


def covers(ranges: list[FeedRange], wanted: FeedRange) -> bool:
    """Say whether ``ranges`` together contain all of ``wanted``."""
    return together_contain(((each.min, each.max) for each in ranges), wanted.min, wanted.max)


def lease_prefix(configured: str, endpoint_host: str, database_rid: str, container_rid: str) -> str:
    """Return what all ids of one processor begin with, as the .NET processor builds it."""
    return f"{configured}{endpoint_host}_{database_rid}_{container_rid}"


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease as it was read or written last."""

    id: str
    token: str
    feed_range: FeedRange
    owner: str | None = None
    continuation: str | None = None
    """The feed's etag (quoted log sequence number) up to which everything has been handled."""
    timestamp: datetime = NEVER
    """When the owner last wrote; a lease expires counting from here."""
    etag: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    version: int = RANGE_BASED
    mode: str | None = LATEST_VERSION
    rest: Mapping[str, Any] = field(default_factory=dict)
    """Every other property of the document, written back untouched."""

    @property
    def process(self) -> str | None:
        """The process that holds it, where the owner is a host of this package."""
        return self.properties.get(PROCESS_PROPERTY)

    def is_free(self, now: datetime, expiration: float) -> bool:
        """Say whether nobody holds it: without owner, or not written for ``expiration`` seconds."""
        return not self.owner or self.timestamp + timedelta(seconds=expiration) < now

    def held_by(self, owner: str, process: str) -> bool:
        """Say whether exactly this process holds it."""
        return self.owner == owner and self.process == process

    def taken_by(self, owner: str, process: str, now: datetime) -> Lease:
        """Return the lease as its new owner writes it."""
        properties = {**self.properties, PROCESS_PROPERTY: process}
        return replace(self, owner=owner, properties=properties, timestamp=now)

    def to_document(self) -> dict[str, Any]:
        """Return the lease as a document, properties in the .NET processor's order."""
        document = {
            "id": self.id,
            "version": self.version,
            **self.rest,
            "LeaseToken": self.token,
            "FeedRange": {"Range": {"min": self.feed_range.min, "max": self.feed_range.max}},
            "Owner": self.owner,
            "ContinuationToken": self.continuation,
            "properties": dict(self.properties),
            "timestamp": None if self.timestamp == NEVER else _write_timestamp(self.timestamp),
        }
        return document if self.mode is None else {**document, "Mode": self.mode}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], missing_range: FeedRange | None = None) -> Lease:
        """Read a lease document.

        Parameters
        ----------
        missing_range
            The range of a lease that has no ``FeedRange``; see :func:`range_id`.

        Raises
        ------
        ValueError
            It has no ``FeedRange``, and none is given.
        """
        found = document.get("FeedRange")
        feed_range = FeedRange.from_json(found) if isinstance(found, Mapping) else missing_range
        if feed_range is None:
            raise ValueError(f"the lease {document.get('id')!r} has no FeedRange")
        rest = {
            name: value for name, value in document.items() if name not in _KNOWN and not name.startswith("_")
        }
        return cls(
            id=str(document["id"]),
            token=_token(document),
            feed_range=feed_range,
            owner=document.get("Owner"),
            continuation=document.get("ContinuationToken"),
            timestamp=_read_timestamp(document),
            etag=document.get("_etag"),
            properties=dict(document.get("properties") or {}),
            version=int(document.get("version", PARTITION_BASED)),
            mode=document.get("Mode"),
            rest=rest,
        )


def range_id(document: Mapping[str, Any]) -> str | None:
    """Return the partition key range id that tells the range of a lease without ``FeedRange``, else None."""
    return None if isinstance(document.get("FeedRange"), Mapping) else _token(document)


def _token(document: Mapping[str, Any]) -> str:
    """Return the lease token; before version 3 of the processor it was called ``PartitionId``."""
    return str(document.get("LeaseToken") or document["PartitionId"])


def _write_timestamp(moment: datetime) -> str:
    """Write a time as .NET does: a fraction without trailing zeros, none if it is zero."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def _read_timestamp(document: Mapping[str, Any]) -> datetime:
    """Read ``timestamp`` (.NET writes seven decimals); without one the service's ``_ts`` counts."""
    text = document.get("timestamp")
    if not text:
        return datetime.fromtimestamp(int(document.get("_ts", 0)), UTC)
    moment = datetime.fromisoformat(_FRACTION.sub(r".\1", str(text)))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
