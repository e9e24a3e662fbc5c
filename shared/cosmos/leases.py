"""The leases of the change feed triggers, as the platform's host writes them. They are only read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.cosmos.charges import record_charge

_LEASES = """
SELECT c.id, c.Owner, c.timestamp FROM c
WHERE CONTAINS(c.id, @generation) AND IS_DEFINED(c.LeaseToken)
"""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """Who works on one part of a feed."""

    owner: str | None
    renewed_at: datetime | None
    """None if no owner has written it yet."""


async def read_leases(container: ContainerProxy, generation: int) -> list[LeaseState]:
    """Return the leases of a generation's triggers.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer, or refuses the caller.
    """
    found = container.query_items(
        _LEASES,
        # A trigger's prefix ends with its generation: functions/change_feed.py.
        parameters=[{"name": "@generation", "value": f"-{generation}-"}],
        response_hook=record_charge,
    )
    return [LeaseState(each.get("Owner") or None, _time(each.get("timestamp"))) async for each in found]


def _time(text: Any) -> datetime | None:
    """Read a lease's time, which .NET writes with seven digits of a second."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None
