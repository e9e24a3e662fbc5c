"""The common decorator of the fleet's change feed triggers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import azure.functions as func

from shared.cosmos.deadlines import deadline
from shared.cosmos.retries import INVOCATION, INVOCATION_SECONDS

Handler = Callable[[func.DocumentList], Awaitable[None]]


def change_feed_trigger(
    blueprint: func.Blueprint,
    name: str,
    container: str,
    *,
    prefix: str,
    poll_delay_ms: int,
    max_items: int = 1000,
) -> Callable[[Handler], object]:
    """Return a decorator for a function that is called with every change of a container.

    Parameters
    ----------
    prefix
        Distinguishes the leases of several triggers on one container.
    poll_delay_ms
        Pause between two reads of a feed without new changes, in milliseconds.
    max_items
        Changes that one read asks for. An invocation may get up to 99 more: the rest of a transaction.
    """
    trigger = blueprint.cosmos_db_trigger(
        arg_name="documents",
        connection="CosmosDb",
        database_name="%COSMOS_DATABASE%",
        container_name=container,
        lease_container_name="change_feed_leases",
        # Each generation reads the feeds from the beginning, with its own leases.
        lease_container_prefix=f"{prefix}-%FLEET_GENERATION%-",
        create_lease_container_if_not_exists=False,
        max_items_per_invocation=max_items,
        feed_poll_delay=poll_delay_ms,
        start_from_beginning=True,  # type: ignore[arg-type]  # a flag; the package's annotation is wrong
    )
    retry = blueprint.retry(
        strategy="exponential_backoff",
        max_retry_count="-1" if INVOCATION.attempts is None else str(INVOCATION.attempts - 1),
        minimum_interval=_interval(INVOCATION.first_pause),
        maximum_interval=_interval(INVOCATION.longest_pause),
    )

    def decorate(handler: Handler) -> object:
        return blueprint.function_name(name)(trigger(retry(deadline(INVOCATION_SECONDS)(handler))))

    return decorate


def _interval(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))
