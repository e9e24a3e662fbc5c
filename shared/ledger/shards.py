"""The shard of a person's state."""

from __future__ import annotations

from typing import NewType

from xxhash import xxh3_64_intdigest

ShardId = NewType("ShardId", str)
"""``{generation}:{number}``, a logical partition of ``view_state``."""


def shard_of(user_id: str, *, shards: int, generation: int) -> ShardId:
    """Return the shard of a person. It is a stable hash of the user id, so all instances agree."""
    return ShardId(f"{generation}:{xxh3_64_intdigest(user_id.encode()) % shards:04d}")


def all_shards(*, shards: int, generation: int) -> list[ShardId]:
    """Return every shard of a generation."""
    return [ShardId(f"{generation}:{number:04d}") for number in range(shards)]
