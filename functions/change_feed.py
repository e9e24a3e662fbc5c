"""What all change feed triggers of the fleet have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import azure.functions as func

Handler = Callable[[func.DocumentList], Awaitable[None]]


def follows(
    blueprint: func.Blueprint, name: str, container: str, *, prefix: str, poll_delay_ms: int
) -> Callable[[Handler], object]:
    """Return the decorator of a function that is called with every change of a container.

    Parameters
    ----------
    prefix
        Tells the leases of several triggers on one container apart.
    poll_delay_ms
        Pause between two looks at a feed that had nothing new.
    """
    trigger = blueprint.cosmos_db_trigger(
        arg_name="documents",
        connection="CosmosDb",
        database_name="%COSMOS_DATABASE%",
        container_name=container,
        lease_container_name="change_feed_leases",
        # Each generation reads the feeds from the beginning, with leases of its own.
        lease_container_prefix=f"{prefix}-%FLEET_GENERATION%-",
        create_lease_container_if_not_exists=False,
        max_items_per_invocation=1000,
        feed_poll_delay=poll_delay_ms,
        start_from_beginning=True,  # type: ignore[arg-type]  # a flag, whatever the package says
    )
    # Without a policy the trigger moves on after a failure and the batch is lost. Unlimited retries hold the
    # lease where it is until the service answers; a document that is itself at fault never raises.
    retry = blueprint.retry(
        strategy="exponential_backoff",
        max_retry_count="-1",
        minimum_interval="00:00:01",
        maximum_interval="00:01:00",
    )

    def decorate(handler: Handler) -> object:
        return blueprint.function_name(name)(trigger(retry(handler)))

    return decorate
