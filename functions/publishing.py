"""Change feed trigger of ``view_state``: every changed view is published."""

from __future__ import annotations

import azure.functions as func

from functions.runtime import fleet

blueprint = func.Blueprint()


@blueprint.function_name("publish_views")
@blueprint.cosmos_db_trigger(
    arg_name="documents",
    connection="CosmosDb",
    database_name="%COSMOS_DATABASE%",
    container_name="view_state",
    lease_container_name="change_feed_leases",
    # A generation must not pass over what another one, still running, has to publish.
    lease_container_prefix="publish-%FLEET_GENERATION%-",
    create_lease_container_if_not_exists=False,
    max_items_per_invocation=1000,
    # The feed holds only the latest version of a partial: the longer the pause, the fewer publications.
    feed_poll_delay=2000,
    start_from_beginning=True,  # type: ignore[arg-type]  # a flag, whatever the package says
)
@blueprint.retry(
    strategy="exponential_backoff",
    max_retry_count="-1",
    minimum_interval="00:00:01",
    maximum_interval="00:01:00",
)
async def publish_views(documents: func.DocumentList) -> None:
    """Bring the documents of all changed views up to date."""
    await (await fleet()).publisher.publish([dict(document) for document in documents])
