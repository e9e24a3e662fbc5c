"""The figures of the archive."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ArchiveFigures:
    """What archiving costs."""

    documents: int
    per_second: float
    one_by_one_per_second: float
    storage_per_second: float
    """Blobs that the storage takes from plain requests: more than that, no archive can store."""
    requests_per_document: float
    """To database and storage."""
    units_per_document: float
    idle_requests: int
    """Of a run with nothing to do, over all containers."""
    idle_units: float

    @property
    def ratio(self) -> float:
        """Documents per second, over those of one after the other."""
        return self.per_second / self.one_by_one_per_second

    @property
    def share_of_storage(self) -> float:
        """Documents per second, as a share of the blobs that the storage takes at all."""
        return self.per_second / self.storage_per_second

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {name: round(value, 3) for name, value in asdict(self).items()} | {
            "ratio": round(self.ratio, 2),
            "share_of_storage": round(self.share_of_storage, 2),
        }
