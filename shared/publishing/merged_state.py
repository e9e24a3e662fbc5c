"""The state of a key, merged over all shards, and the partials it comes from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally, merged
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.ledger.sizes import memory_of


def owner_of(target: PartialKey) -> str | None:
    """Return the user id of the person that a state belongs to; None if all shards have a share of it."""
    return AGGREGATES[target.aggregate].owner_of(target.key)


@dataclass(frozen=True, slots=True)
class StoredPartial:
    """A partial as read from ``view_state``, with the time of its write in seconds since the epoch."""

    partial: Partial
    written: int

    @classmethod
    def decode(cls, item: Mapping[str, Any]) -> StoredPartial:
        return cls(Partial.decode(item), item["_ts"])


@dataclass(slots=True)
class MergedState:
    """The partials of one key, by shard. Of each shard, the newest that was read or delivered."""

    partials: dict[ShardId, StoredPartial] = field(default_factory=dict)
    complete: bool = False
    """Whether all shards were read once."""
    read_at: int = 0
    """Time of the newest write that was known at the last read, in seconds since the epoch."""

    def add(self, stored: StoredPartial) -> None:
        """Add a partial, unless a newer one of its shard is known."""
        known = self.partials.get(stored.partial.shard)
        if known is None or known.partial.revision < stored.partial.revision:
            self.partials[stored.partial.shard] = stored

    @property
    def weight(self) -> int:
        """Estimated memory, in bytes."""
        return sum(memory_of(stored.partial.weight) for stored in self.partials.values())

    @property
    def newest_at(self) -> datetime:
        """When the newest partial was written."""
        newest = max((stored.written for stored in self.partials.values()), default=0)
        return datetime.fromtimestamp(newest, UTC)

    @property
    def revision(self) -> int:
        """Sum of the partials' revisions: every write to any of them increases it."""
        return sum(stored.partial.revision for stored in self.partials.values())

    def revision_until(self, moment: int) -> int:
        """Return the sum of the revisions of the partials written up to a moment, in seconds."""
        return sum(s.partial.revision for s in self.partials.values() if s.written <= moment)

    def revisions(self) -> list[tuple[ShardId, int]]:
        """Return the revision of each shard, sorted: equal only for equal states."""
        return sorted((shard, stored.partial.revision) for shard, stored in self.partials.items())

    def record(self) -> PersonRecord | None:
        """Return the record of the person that the state belongs to, None if it has none."""
        return next((s.partial.record for s in self.partials.values() if s.partial.record is not None), None)

    def state(self) -> Tally:
        """Return the sum over all shards."""
        return merged(stored.partial.state for stored in self.partials.values())
