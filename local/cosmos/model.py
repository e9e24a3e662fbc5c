"""What is stored: databases, containers, items."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field
from typing import Any

import orjson

from local.cosmos.indexing import Index
from local.cosmos.partitioning import Counter, PhysicalPartition, Range
from local.cosmos.unique import UniqueKeys

_RID = b'"_rid":"'


@dataclass(frozen=True, slots=True)
class Item:
    """A stored item.

    Attributes
    ----------
    number
        Its row; it stays the same through updates.
    epk
        Effective partition key.
    lsn
        Sequence number of its last write, within its physical partition; the writes of a transaction share
        one.
    ts
        When that was, in seconds; never less than that of an earlier write to the physical partition.
    expires
        The second from which on it is gone; None for never.
    body
        The JSON that a client gets, system properties included.
    """

    number: int
    epk: str
    id: str
    lsn: int
    ts: int
    expires: int | None
    etag: str
    body: bytes

    def document(self) -> dict[str, Any]:
        """Return the body, parsed."""
        parsed: dict[str, Any] = orjson.loads(self.body)
        return parsed

    @property
    def rid(self) -> str:
        """The resource id. System properties come last in a body, and a quote inside a string is escaped."""
        start = self.body.rindex(_RID) + len(_RID)
        return self.body[start : self.body.index(b'"', start)].decode()


@dataclass(slots=True)
class Database:
    """A database."""

    number: int
    id: str
    body: dict[str, Any]
    offer: dict[str, Any]
    """Its throughput; empty if it has none, which its containers share."""


@dataclass(slots=True)
class Container:
    """A container with what every request to it needs at hand.

    Attributes
    ----------
    partitions
        Its physical partitions, in the order of their ranges.
    rids
        The numbers of items, for their resource ids.
    """

    number: int
    database: str
    id: str
    body: dict[str, Any]
    offer: dict[str, Any]
    partitions: list[PhysicalPartition]
    rids: Counter
    index: Index = field(init=False)
    unique: UniqueKeys = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Derive what follows from the properties."""
        self.index = Index.of(self.body["indexingPolicy"])
        self.unique = UniqueKeys.of(self.body.get("uniqueKeyPolicy") or {})

    @property
    def rid(self) -> str:
        """The resource id."""
        return str(self.body["_rid"])

    @property
    def default_ttl(self) -> int | None:
        """Seconds that items live unless they say otherwise; -1 for ever; None if expiry is off."""
        found: int | None = self.body.get("defaultTtl")
        return found

    @property
    def key_paths(self) -> list[str]:
        """The partition key's paths."""
        paths: list[str] = self.body["partitionKey"]["paths"]
        return paths

    @property
    def hierarchical(self) -> bool:
        """Whether the partition key has several levels."""
        return str(self.body["partitionKey"]["kind"]) == "MultiHash"

    def partition_of(self, epk: str) -> PhysicalPartition:
        """Return the physical partition that holds a key."""
        return next(partition for partition in self.partitions if partition.range.holds(epk))

    def overlapping(self, keys: Range) -> list[PhysicalPartition]:
        """Return the physical partitions that hold a part of a range."""
        return [partition for partition in self.partitions if partition.range.overlap(keys)]

    @property
    def next_partition_id(self) -> int:
        """The id that the next physical partition gets: none is given twice."""
        return 1 + max(int(name) for p in self.partitions for name in (p.id, *p.parents))


def resource_id(*numbers: int) -> str:
    """Return a resource id in the service's form: 4 bytes a level, 8 for an item, base64."""
    sizes = "II" + "Q" * max(0, len(numbers) - 2)
    packed = b"".join(struct.pack(f">{size}", number) for size, number in zip(sizes, numbers, strict=False))
    return base64.b64encode(packed).decode().replace("/", "-")
