"""Change feed triggers of what the fleet itself writes: changed views are published, health refreshed."""

from __future__ import annotations

import azure.functions as func

from functions.change_feed import follows
from functions.runtime import fleet

blueprint = func.Blueprint()


# The feed holds only the latest version of a partial: the longer the pause, the fewer publications.
@follows(blueprint, "publish_views", "view_state", prefix="publish", poll_delay_ms=2000)
async def publish_views(documents: func.DocumentList) -> None:
    """Bring the documents of all changed views up to date."""
    await (await fleet()).publisher.publish([dict(document) for document in documents])


@follows(blueprint, "refresh_health_with_days", "daily_metrics", prefix="health", poll_delay_ms=2000)
async def refresh_health_with_days(documents: func.DocumentList) -> None:
    """Bring the health of the last minutes up to date. What it writes is in no feed that anything follows."""
    # Days change all the time, and a window's health is read by people: twice a minute will do.
    await (await fleet()).health.publish_windows(at_most_every=30)
