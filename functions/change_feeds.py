"""Change feed triggers of the source containers: every change is folded into ``view_state``."""

from __future__ import annotations

import azure.functions as func

from functions.runtime import fleet
from shared.facts import USER_INTERACTIONS

blueprint = func.Blueprint()


@blueprint.function_name("fold_user_interactions")
@blueprint.cosmos_db_trigger(
    arg_name="documents",
    connection="CosmosDb",
    database_name="%COSMOS_DATABASE%",
    container_name=USER_INTERACTIONS,
    lease_container_name="change_feed_leases",
    # Each generation reads the feed from the beginning, with leases of its own.
    lease_container_prefix="fold-%FLEET_GENERATION%-",
    create_lease_container_if_not_exists=False,
    max_items_per_invocation=1000,
    feed_poll_delay=1000,
    start_from_beginning=True,  # type: ignore[arg-type]  # a flag, whatever the package says
)
# Without a policy the trigger moves on after a failure and the batch is lost. Unlimited retries hold the
# lease where it is until the service answers; a document that is itself at fault never raises.
@blueprint.retry(
    strategy="exponential_backoff",
    max_retry_count="-1",
    minimum_interval="00:00:01",
    maximum_interval="00:01:00",
)
async def fold_user_interactions(documents: func.DocumentList) -> None:
    """Count new and changed interactions."""
    await (await fleet()).ingest.take(USER_INTERACTIONS, [dict(document) for document in documents])
