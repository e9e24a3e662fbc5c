"""What a run is to do, and the limits that it is judged by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from local.seed.traffic import TrafficPlan
from shared.clock import SYSTEM_CLOCK

MEGABYTE = 1_000_000
KIBIBYTE = 1024

MOST_HOST_BYTES = 350 * MEGABYTE
"""An instance of Flex Consumption has 512 MB at least; its host process and its logs need the rest."""

MOST_INVOCATION_SECONDS = 60.0
"""A thirtieth of ``functionTimeout``: an invocation that is cut off repeats little."""

MOST_DOCUMENT_BYTES = 512 * KIBIBYTE
"""A quarter of what the service stores: reading and replacing a document costs by its size."""


@dataclass(frozen=True, slots=True)
class ScalePlan:
    """How much traffic, with how many hosts."""

    people: int
    interactions: int
    """Of each day."""
    days: int
    instances: int
    shards: int
    seed: int
    sample: int
    """People whose documents are compared; everything else is compared completely."""
    timeout: float
    """Seconds from the first write until everything is published."""

    def traffic(self, today: date | None = None) -> TrafficPlan:
        """Return the traffic of the days up to yesterday, without malformed documents.

        It is recent, because state of a period that the sources no longer keep is not counted.
        """
        last = (today or SYSTEM_CLOCK.now().date()) - timedelta(days=1)
        total = self.interactions * self.days
        return TrafficPlan(self.people, total, self.days, self.seed, last, malformed_share=0.0)

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return asdict(self)
