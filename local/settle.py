"""``python -m local settle``: drain every feed, publish what is due by a timer, and drain again.

The first wait counts everything that was written. Views that wait for a timer are then published as
``fleet views refresh`` publishes them. The second wait covers the feeds that this writes into.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from time import monotonic

from azure.core.exceptions import AzureError

from local.connection import Connection
from local.drain import DrainResult, drain_feeds
from shared.errors import FleetError
from shared.fleet.wiring import connected_fleet
from shared.logs import configure_logging
from shared.settings import load_settings
from terminal.logs import as_line

USER_AGENT = "settle"
"""What the server books the publications under."""

PAUSE = 1.0
"""Seconds until contents are built again that changed while they were."""

SHORTEST_DRAIN = 1.0
"""Seconds that the second wait has at least, however little of the time is left."""


async def settle(connection: Connection, *, timeout: float) -> DrainResult:
    """Settle within ``timeout`` seconds, about.

    Returns
    -------
    DrainResult
        ``drained`` if every feed was drained and every view published; otherwise the lag, or in ``error`` why
        the views could not be published.

    Raises
    ------
    local.host.errors.HostStartError
        The function app or its settings are not usable.
    """
    started = monotonic()
    try:
        await check_settings(connection)
    except (AzureError, FleetError) as error:
        return DrainResult(False, (), monotonic() - started, str(error))
    drained = await drain_feeds(connection, timeout=timeout)
    if not drained.drained:
        return drained
    try:
        async with asyncio.timeout(timeout - (monotonic() - started)):
            await publish_due(connection)
    except (AzureError, FleetError) as error:
        return _unpublished(drained, f"{type(error).__name__}: {error}", started)
    except TimeoutError:
        return _unpublished(drained, "the views that wait for a timer were not published in time", started)
    left = max(SHORTEST_DRAIN, timeout - (monotonic() - started))
    return replace(await drain_feeds(connection, timeout=left), seconds=monotonic() - started)


async def check_settings(connection: Connection) -> None:
    """See that the hosts do not refuse all work: nothing would be drained.

    Raises
    ------
    FleetError
        The settings contradict the stored state, or the state was deleted or restored.
    azure.core.exceptions.AzureError
        The database did not answer.
    """
    os.environ.update(connection.settings)  # where the fleet's settings are read from
    async with connected_fleet(load_settings(), user_agent=USER_AGENT, start_generation=False):
        return


async def publish_due(connection: Connection) -> None:
    """Publish everything that a timer would publish within a day, and the health of the last minutes.

    Raises
    ------
    FleetError
        The settings contradict the generation, it has not counted everything yet, or other instances kept
        publishing the same documents.
    azure.core.exceptions.AzureError
        The database did not answer.
    """
    configure_logging("WARNING", as_line)
    os.environ.update(connection.settings)  # where the fleet's settings are read from
    async with connected_fleet(load_settings(), user_agent=USER_AGENT, start_generation=False) as fleet:
        await fleet.readiness.require_complete()
        while (await fleet.scheduled.publish_everything()).waiting:  # noqa: ASYNC110  asks again
            await asyncio.sleep(PAUSE)
        await fleet.health.publish_windows()


def _unpublished(drained: DrainResult, error: str, started: float) -> DrainResult:
    return replace(drained, drained=False, seconds=monotonic() - started, error=error)
