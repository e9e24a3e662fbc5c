"""The models that recent interactions name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from azure.cosmos.aio import DatabaseProxy

from shared.aggregates.tally import OTHER
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.cosmos.items import find_item
from shared.views.daily_metrics import NAME as DAILY_METRICS

RECENT_DAYS = 30
"""Days back from today whose interactions are recent."""

_CONCURRENT_READS = 8


async def recent_models(database: DatabaseProxy, *, clock: Clock = SYSTEM_CLOCK) -> set[str]:
    """Return the models of the last :data:`RECENT_DAYS` days, with names as in ``daily_metrics``.

    Of a day with more than 100 models only the most used ones have a name.
    """
    container = database.get_container_client(DAILY_METRICS)
    found: set[str] = set()

    async def read(day: str) -> None:
        document = await find_item(container, f"{DAILY_METRICS}_{day.replace('-', '')}", day)
        if document is not None:
            performance = document["ai_performance"]
            found.update(performance["model_performance"])

    today = datetime.fromtimestamp(clock.timestamp(), UTC)
    days = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(RECENT_DAYS)]
    await for_each(days, read, max_concurrency=_CONCURRENT_READS)
    return found - {OTHER}
