"""What a Cosmos DB trigger monitors, where its leases are, and where it begins."""

from __future__ import annotations

from datetime import datetime, timedelta

from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey

from local.host.bindings import CosmosTrigger, FunctionSpec
from local.host.connections import Connections
from local.host.errors import HostStartError
from local.host.feed import ChangeFeed, Start
from local.host.lease_store import LeaseStore
from local.host.leases import lease_prefix


class CosmosSource:
    """What a trigger monitors and where its leases are: opened and checked once, also for measuring lag."""

    def __init__(self, function: str, trigger: CosmosTrigger, feed: ChangeFeed, store: LeaseStore) -> None:
        self.function = function
        self.trigger = trigger
        self.feed = feed
        self.store = store

    @classmethod
    async def open(
        cls, spec: FunctionSpec, connections: Connections, *, owner: str, process: str, create: bool
    ) -> CosmosSource:
        """Find both containers.

        Raises
        ------
        HostStartError
            One of them is missing or cannot be used; with ``create`` a missing lease container is made if
            the trigger asks for it.
        """
        trigger = spec.trigger
        if not isinstance(trigger, CosmosTrigger):
            raise TypeError(f"{spec.name} has no Cosmos DB trigger")
        asked_by = f"database {trigger.database_attribute!r} of function {spec.name}"
        monitored, properties = await connections.container(
            trigger.connection, trigger.database, trigger.container, asked_by=asked_by
        )
        if create and trigger.create_lease_container:
            await _create_lease_container(spec.name, trigger, connections)
        leases, lease_properties = await connections.container(
            trigger.lease_connection,
            trigger.lease_database,
            trigger.lease_container,
            asked_by=f"lease container of function {spec.name}",
        )
        if lease_properties["partitionKey"]["paths"] != ["/id"]:
            raise HostStartError(
                f"The lease container '{trigger.lease_container}' of function {spec.name} is partitioned by "
                f"{lease_properties['partitionKey']['paths']}; it must be /id."
            )
        client = await connections.client(trigger.connection)
        database = await client.get_database_client(trigger.database).read()
        prefix = lease_prefix(
            trigger.lease_prefix, connections.host(trigger.connection), database["_rid"], properties["_rid"]
        )
        feed = ChangeFeed(monitored, str(properties["_rid"]))
        store = LeaseStore(leases, prefix=prefix, owner=owner, process=process, range_by_id=feed.range_by_id)
        return cls(spec.name, trigger, feed, store)


async def _create_lease_container(function: str, trigger: CosmosTrigger, connections: Connections) -> None:
    client = await connections.client(trigger.lease_connection)
    try:
        await client.get_database_client(trigger.lease_database).create_container_if_not_exists(
            trigger.lease_container, PartitionKey("/id")
        )
    except AzureError as error:
        raise HostStartError(
            f"The lease container '{trigger.lease_container}' of function {function} cannot be created in "
            f"the database '{trigger.lease_database}': {type(error).__name__}: {str(error)[:200]}"
        ) from error


def start_of(trigger: CosmosTrigger, now: datetime) -> Start:
    """Return where a lease without a position begins.

    "From now" is a second ago, as in the .NET processor: the header has whole seconds and is exclusive.
    """
    if trigger.start_from_beginning:
        return "Beginning"
    if trigger.start_from_time is not None:
        return trigger.start_from_time
    return now - timedelta(seconds=1)
