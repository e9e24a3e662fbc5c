"""How far a rebuild has come: stored after each piece, so that it can be resumed and shared. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Self

from shared.ledger.shards import ShardId


class Stage(Enum):
    """The stages of a rebuild, in their order."""

    COUNT = "count"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Walk:
    """A rebuild that is not complete."""

    number: int
    """Increases with each rebuild."""
    views: Sequence[str]
    stage: Stage
    left: Mapping[ShardId, str]
    """By shard that is not done, the position: the month to count next, or the lowest id to publish next."""

    def advanced(self, of: Walk, shard: ShardId, position: str | None) -> Walk:
        """Return the walk with a shard's position, None if the shard is done. A position never goes back.

        Parameters
        ----------
        of
            The walk that the piece was done for. If it is another one, or in another stage, nothing changes.
        """
        if (self.number, self.stage) != (of.number, of.stage) or shard not in self.left:
            return self
        left = {other: known for other, known in self.left.items() if other != shard}
        if position is not None:
            left[shard] = max(position, self.left[shard])
        return replace(self, left=left)

    def published_from(self, of: Walk, left: Mapping[ShardId, str]) -> Walk:
        """Return the walk in the stage after counting, unless it is there, or is another one."""
        if (self.number, self.stage) != (of.number, Stage.COUNT):
            return self
        return replace(self, stage=Stage.PUBLISH, left=left)

    def encode(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "number": self.number,
            "views": list(self.views),
            "stage": self.stage.value,
            "left": dict(self.left),
        }

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read the stored form."""
        return cls(stored["number"], tuple(stored["views"]), Stage(stored["stage"]), stored["left"])
