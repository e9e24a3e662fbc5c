"""Where an item lives: effective partition keys, as the service hashes them, and physical partitions."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import mmh3
import orjson

from local.cosmos.errors import PARTITION_KEY_MISMATCH, bad_request

MAX_EPK = "FF"

MAX_KEY_BYTES = 2_048
"""Bytes of UTF-8 in a component of a partition key, as in the service."""


class Undefined:
    """A partition key component that the item does not have."""


UNDEFINED = Undefined()

_STEP = re.compile(r"""/("(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|[^/"']+)""")

_HASH_SPACE = 0x40 << 120
"""The two highest bits of a hash are cleared: effective partition keys lie below 40 00 …."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range of effective partition keys, its end excluded."""

    low: str
    high: str

    def holds(self, epk: str) -> bool:
        """Say whether a key lies in the range."""
        return self.low <= epk < self.high

    @property
    def is_point(self) -> bool:
        """Whether the range is a single key."""
        return self.high == f"{self.low}\0"

    def overlap(self, other: Range) -> Range | None:
        """Return what both ranges have in common."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Range(low, high) if low < high else None


def point(epk: str) -> Range:
    """Return the range of a single key."""
    return Range(epk, f"{epk}\0")


WHOLE = Range("", MAX_EPK)


@dataclass(slots=True)
class Counter:
    """Numbers that are given once, across restarts.

    Attributes
    ----------
    value
        The last number given.
    limit
        Numbers up to here are set aside on disk.
    """

    value: int = 0
    limit: int = 0


@dataclass(slots=True)
class PhysicalPartition:
    """A physical partition.

    Attributes
    ----------
    id
        What clients call its partition key range id.
    parents
        Ids of the partitions whose splits led to it, the oldest first.
    lsn
        The sequence number of its last write; a partition goes on counting where its parent stopped.
    ts
        The second of its last write.
    """

    id: str
    range: Range
    parents: tuple[str, ...] = ()
    lsn: Counter = field(default_factory=Counter)
    ts: int = 0

    def split(self, first_id: int) -> list[PhysicalPartition]:
        """Return its two halves, with the ids ``first_id`` and the next one.

        Raises
        ------
        ServiceError
            400: it holds one key only.
        """
        low = int(self.range.low or "0", 16)
        high = _HASH_SPACE if self.range.high == MAX_EPK else int(self.range.high, 16)
        middle = f"{(low + high) // 2:032X}"
        if not self.range.low < middle < self.range.high:
            raise bad_request(f"The partition {self.id!r} is too small to be split.")
        halves = (Range(self.range.low, middle), Range(middle, self.range.high))
        parents = (*self.parents, self.id)
        return [
            PhysicalPartition(str(number), half, parents, Counter(self.lsn.value, self.lsn.value), self.ts)
            for number, half in enumerate(halves, first_id)
        ]


def even_partitions(count: int) -> list[PhysicalPartition]:
    """Return ``count`` physical partitions of equal share of the hash space."""
    bounds = ["", *(f"{_HASH_SPACE * n // count:032X}" for n in range(1, count)), MAX_EPK]
    return [PhysicalPartition(str(n), Range(bounds[n], bounds[n + 1])) for n in range(count)]


def _encode(component: object) -> bytes:
    match component:
        case Undefined():
            return b"\x00"
        case None:
            return b"\x01"
        case False:
            return b"\x02"
        case True:
            return b"\x03"
        case int() | float():
            return b"\x05" + struct.pack("<d", float(component))
        case str():
            encoded = component.encode()
            if len(encoded) > MAX_KEY_BYTES:
                raise bad_request(
                    f"The partition key {component[:40]!r}… has {len(encoded)} bytes; "
                    f"at most {MAX_KEY_BYTES} are allowed."
                )
            return b"\x08" + encoded + b"\xff"
        case _:
            raise bad_request("Partition key components must be null, booleans, numbers or strings.")


def _hash(data: bytes) -> str:
    digest = bytearray(mmh3.hash_bytes(data)[::-1])
    digest[0] &= 0x3F
    return digest.hex().upper()


def effective_key(components: Sequence[object], *, hierarchical: bool) -> str:
    """Return the effective partition key: hash version 2, one hash per level if hierarchical."""
    if hierarchical:
        return "".join(_hash(_encode(component)) for component in components)
    return _hash(b"".join(map(_encode, components)))


@lru_cache(maxsize=65_536)
def parse_header(text: str) -> tuple[object, ...]:
    """Read the header ``x-ms-documentdb-partitionkey``: a JSON array, ``{}`` for an undefined component.

    Raises
    ------
    ServiceError
        400: it is not such an array.
    """
    try:
        components = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise bad_request(f"Partition key {text!r} is invalid.") from None
    if not isinstance(components, list):
        raise bad_request(f"Partition key {text!r} is invalid.")
    return tuple(UNDEFINED if component == {} else component for component in components)


def extract(document: Mapping[str, Any], paths: Sequence[str]) -> tuple[object, ...]:
    """Return the partition key components of a document."""
    return tuple(_at(document, path) for path in paths)


@lru_cache(maxsize=1024)
def steps(path: str) -> tuple[str, ...]:
    """Return the names that a path goes through, none if it is no path.

    A name is bare, or between quotes of either kind if it holds slashes; quotes in it are escaped.
    """
    names = [_unquoted(step) for step in _STEP.findall(path)]
    return tuple(names) if "".join(f"/{step}" for step in _STEP.findall(path)) == path else ()


def _unquoted(step: str) -> str:
    if step[0] not in "\"'":
        return step
    return step[1:-1].replace(f"\\{step[0]}", step[0])


def value_at(document: Any, path: str) -> Any:
    """Return what a document has at a path, :data:`UNDEFINED` if it has nothing there."""
    value = document
    for name in steps(path):
        if not isinstance(value, Mapping) or name not in value:
            return UNDEFINED
        value = value[name]
    return value


def _at(document: Mapping[str, Any], path: str) -> object:
    value = value_at(document, path)
    return UNDEFINED if isinstance(value, dict | list) else value


def require_same(given: tuple[object, ...], found: tuple[object, ...]) -> None:
    """Refuse a document whose partition key is not the one in the header.

    Raises
    ------
    ServiceError
        400 with sub-status 1001.
    """
    # To Python true is 1; to the service it is not.
    if given != found or [type(one) is bool for one in given] != [type(one) is bool for one in found]:
        raise bad_request(
            "PartitionKey extracted from document doesn't match the one specified in the header.",
            PARTITION_KEY_MISMATCH,
        )
