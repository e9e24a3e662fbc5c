"""Change feed triggers of the fleet's own containers. They publish changed views and refresh health."""

from __future__ import annotations

import azure.functions as func

from functions.change_feed import change_feed_trigger
from functions.runtime import fleet
from shared.containers import VIEW_STATE

blueprint = func.Blueprint()


PUBLISH_PAGE = 400
"""Changed states that one invocation asks for. Each stands for several documents: 1,000 of them took minutes
on a busy machine. Smaller pages cost a little more: a document that two pages change is published twice."""


# The feed has only the latest version of a partial, so a longer pause means fewer publications.
@change_feed_trigger(
    blueprint, "publish_views", VIEW_STATE, prefix="publish", poll_delay_ms=2000, max_items=PUBLISH_PAGE
)
async def publish_views(documents: func.DocumentList) -> None:
    """Publish the documents of all changed views."""
    await (await fleet()).publisher.publish([dict(document) for document in documents])


@change_feed_trigger(
    blueprint, "refresh_health_with_days", "daily_metrics", prefix="health", poll_delay_ms=2000
)
async def refresh_health_with_days(documents: func.DocumentList) -> None:
    """Bring the health of the last minutes up to date. What it writes is in no feed that anything follows."""
    # Days change all the time, and a window's health is read by people: twice a minute will do.
    await (await fleet()).health.publish_windows(at_most_every=30)
