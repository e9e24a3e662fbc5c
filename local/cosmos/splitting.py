"""Split a physical partition on demand, as the service does on its own when one grows too large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cosmos.errors import bad_request
from local.cosmos.model import Container
from local.cosmos.partitioning import PhysicalPartition
from local.cosmos.resources import Resources
from local.cosmos.storage import Storage

MOST_PARTITIONS = 200
_FIELDS = {"database", "container", "partition"}


def split(storage: Storage, resources: Resources, body: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out ``{"database": …, "container": …, "partition": …}``; the fullest, if no partition is named.

    Requests to the old partition are answered with 410 from now on; those to a range of keys go on, and so do
    positions in the change feed: both halves continue the sequence numbers of the whole.

    Raises
    ------
    ServiceError
        400: a field is unknown or missing, or the partition cannot be split; 404: there is no such container.
    """
    for name in body:
        if name not in _FIELDS:
            raise bad_request(f"split: {name!r} is not one of {', '.join(sorted(_FIELDS))}")
    container = resources.container(str(body.get("database")), str(body.get("container")))
    if len(container.partitions) >= MOST_PARTITIONS:
        raise bad_request(f"split: the container has {MOST_PARTITIONS} physical partitions already")
    parent = _chosen(storage, container, body.get("partition"))
    halves = storage.split(container, parent)
    return {"partition": parent.id, "children": [half.id for half in halves]}


def _chosen(storage: Storage, container: Container, name: object) -> PhysicalPartition:
    if name is None:
        counts = storage.read.count_by_partition(container)
        return max(container.partitions, key=lambda partition: counts.get(partition.id, 0))
    for partition in container.partitions:
        if partition.id == name:
            return partition
    raise bad_request(f"split: the container has no physical partition {name!r}")
