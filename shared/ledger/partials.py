"""Partials: a shard's share of one key of an aggregate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any, Self

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.ledger.shards import ShardId
from shared.ledger.sizes import ENVELOPE_BYTES
from shared.units import json_bytes

PARTIAL = "partial"
"""``kind`` of a stored partial."""

LISTED_PAGE_BYTES = 50
"""Bytes of one page in the list of a day's pages: its id, its revision and quotes."""

_SAFE_KEY = re.compile(r"[A-Za-z0-9._:|@ \-]{0,199}[A-Za-z0-9._:|@\-]")
"""The client refuses an id that ends with a space."""


@lru_cache(maxsize=65_536)  # a fold needs the id of each of its partials several times
def partial_id(target: PartialKey) -> str:
    """Return the id of a partial. What an id may not contain is hashed, after the key's first separator."""
    return f"{PARTIAL}|{target.aggregate}|{_safe(target.key)}"


def _safe(key: str) -> str:
    if _SAFE_KEY.fullmatch(key):
        return key
    head, separator, tail = key.partition("|")
    if separator and _SAFE_KEY.fullmatch(head):
        return f"{head}|~{sha256(tail.encode()).hexdigest()}"
    return f"~{sha256(key.encode()).hexdigest()}"


@dataclass(slots=True)
class Partial:
    """One shard's share of one key of one aggregate."""

    shard: ShardId
    target: PartialKey
    revision: int = 0
    state: Tally = field(default_factory=Tally)
    ttl: int = 1
    """Seconds from its write to its end: :class:`~shared.ledger.retention.Retention` sets it."""
    record: PersonRecord | None = None
    """What is known of the person. Only partials of ``person`` have it."""
    pages: dict[str, int] = field(default_factory=dict)
    """Revisions of the ledger pages of its day, by page id. Only partials of ``day`` list them: what is built
    from a day's pages is up to date as long as none of these revisions differs."""

    @property
    def id(self) -> str:
        """The id of the stored document."""
        return partial_id(self.target)

    _weight: int | None = field(default=None, compare=False, repr=False)

    @property
    def weight(self) -> int:
        """Estimated bytes of the stored document, from the moment when they are asked for first."""
        if self._weight is None:
            self._weight = self._measure()
        return self._weight

    def _measure(self) -> int:
        listed = LISTED_PAGE_BYTES * len(self.pages)
        record = 0 if self.record is None else self.record.weight
        return ENVELOPE_BYTES + json_bytes(self.target.key) + self.state.weight + listed + record

    def next(self, state: Tally) -> Partial:
        """Return the next revision of the partial, with another state. It shares the record."""
        revision = self.revision + 1
        return replace(self, state=state, revision=revision, pages=dict(self.pages), _weight=None)

    def copy(self) -> Partial:
        """Return an independent copy of the partial."""
        record = None if self.record is None else self.record.copy()
        return replace(self, state=self.state.copy(), record=record, pages=dict(self.pages), _weight=None)

    def encode(self) -> dict[str, Any]:
        """Return the stored document."""
        stored = {
            "id": self.id,
            "shard": self.shard,
            "kind": PARTIAL,
            "aggregate": self.target.aggregate,
            "key": self.target.key,
            "revision": self.revision,
            "state": self.state.encode(),
            "ttl": self.ttl,
        }
        if self.record is not None:
            stored["record"] = self.record.encode()
        if self.pages:
            stored["pages"] = self.pages
        return stored

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read a stored document."""
        return cls(
            ShardId(stored["shard"]),
            PartialKey(stored["aggregate"], stored["key"]),
            stored["revision"],
            Tally.decode(stored["state"]),
            stored["ttl"],
            PersonRecord.decode(stored["record"]) if "record" in stored else None,
            stored.get("pages", {}),
        )
