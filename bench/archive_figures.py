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

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {name: round(value, 3) for name, value in asdict(self).items()} | {
            "ratio": round(self.ratio, 2)
        }
