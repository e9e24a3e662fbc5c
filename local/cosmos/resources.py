"""Databases, containers and their throughput: created, read, changed and removed as the service does."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from local.cosmos import offers
from local.cosmos.errors import (
    OWNER_NOT_FOUND,
    ServiceError,
    bad_request,
    conflict,
    not_found,
    precondition_failed,
    unsupported,
)
from local.cosmos.indexing import SYSTEM_PROPERTIES, checked_policy
from local.cosmos.model import Container, Database, resource_id
from local.cosmos.partitioning import even_partitions, steps
from local.cosmos.storage import Storage

_NAME = re.compile(r"[^/\\?#]{1,255}")
MAX_TTL = 2**31 - 1
MAX_KEY_PATHS = 3
MAX_UNIQUE_KEYS = 10
MAX_UNIQUE_PATHS = 16
_UNCHANGED = ("id", "partitionKey", "uniqueKeyPolicy")

_REFUSED = {
    "conflictResolutionPolicy": None,
    "vectorEmbeddingPolicy": "Vector search",
    "fullTextPolicy": "Full-text search",
    "computedProperties": "Computed properties",
    "analyticalStorageTtl": "Analytical storage",
    "changeFeedPolicy": "Full-fidelity change feed",
}
"""Properties of a container that this server does not honour; None is ignored, as it changes nothing here."""


class Resources:
    """What exists beside items."""

    def __init__(self, storage: Storage, *, partitions: int) -> None:
        self._storage = storage
        self._partitions = partitions

    def database(self, name: str) -> Database:
        """Return a database.

        Raises
        ------
        ServiceError
            404.
        """
        found = self._storage.databases.get(name)
        if found is None:
            raise not_found(f"The database {name!r} does not exist.")
        return found

    def database_name(self, rid: str) -> str:
        """Return the name of a database by its resource id.

        Raises
        ------
        ServiceError
            404.
        """
        for name, database in self._storage.databases.items():
            if rid in (name, database.body["_rid"]):
                return name
        raise not_found(f"There is no database {rid!r}.")

    def container_name(self, database: str, rid: str) -> str:
        """Return the name of a container by its resource id.

        Raises
        ------
        ServiceError
            404.
        """
        for (parent, name), container in self._storage.containers.items():
            if parent == database and rid in (name, container.rid):
                return name
        raise ServiceError(404, f"There is no container {rid!r}.", sub_status=OWNER_NOT_FOUND)

    def create_database(
        self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Create a database, with throughput of its own if the request names any."""
        name = _checked_name(body)
        if name in self._storage.databases:
            raise conflict("Database with the specified id already exists.")
        rid = resource_id(self._storage.next_database_number())
        document = {
            "id": name,
            "_rid": rid,
            "_self": f"dbs/{rid}/",
            "_colls": "colls/",
            "_users": "users/",
            **_stamp(),
        }
        offer = (
            offers.offer(rid, document["_self"], offers.requested(headers))
            if headers and offers.is_asked_for(headers)
            else {}
        )
        return self._storage.add_database(name, document, offer).body

    def list_databases(self) -> list[dict[str, Any]]:
        """Return all databases."""
        return [database.body for _, database in sorted(self._storage.databases.items())]

    def delete_database(self, name: str) -> None:
        """Remove a database with everything in it."""
        self.database(name)
        self._storage.drop_database(name)

    def container(self, database: str, name: str) -> Container:
        """Return a container.

        Raises
        ------
        ServiceError
            404.
        """
        found = self._storage.containers.get((database, name))
        if found is None:
            self.database(database)
            raise not_found(f"The container {name!r} does not exist in the database {database!r}.")
        return found

    def list_containers(self, database: str) -> list[dict[str, Any]]:
        """Return the containers of a database."""
        self.database(database)
        return [public(c) for key, c in sorted(self._storage.containers.items()) if key[0] == database]

    def create_container(
        self, database: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Container:
        """Create a container with its physical partitions and throughput."""
        parent = self.database(database)
        name = _checked_name(body)
        key = _checked_key(body.get("partitionKey"))
        if (database, name) in self._storage.containers:
            raise conflict("Container with the specified id already exists.")
        number = self._storage.next_container_number()
        rid = resource_id(parent.number, number)
        document = {
            "id": name,
            "partitionKey": key,
            **_checked_properties(body),
            **_checked_unique_keys(body.get("uniqueKeyPolicy")),
            "_rid": rid,
            "_self": f"dbs/{parent.body['_rid']}/colls/{rid}/",
            "_docs": "docs/",
            "_sprocs": "sprocs/",
            "_triggers": "triggers/",
            "_udfs": "udfs/",
            "_conflicts": "conflicts/",
            **_stamp(),
            "_numbers": [parent.number, number],
        }
        content = offers.requested(headers)
        partitions = even_partitions(max(self._partitions, offers.partitions_for(content)))
        offer = offers.offer(rid, document["_self"], content)
        if parent.offer and not offers.is_asked_for(headers):
            offer = {}  # it shares the database's
        return self._storage.add_container(database, name, document, offer, partitions)

    def replace_container(
        self, database: str, name: str, body: Mapping[str, Any], if_match: str | None = None
    ) -> Container:
        """Change a container's policies; its id and partition key cannot change."""
        container = self.container(database, name)
        if if_match not in (None, "*", container.body["_etag"]):
            raise precondition_failed()
        key = body.get("partitionKey")
        if body.get("id") != name or (key and _checked_key(key) != container.body["partitionKey"]):
            raise bad_request("The id and the partition key of a container cannot be changed.")
        # As in the service, a replacement that leaves the unique keys out would remove them.
        unique = _checked_unique_keys(body.get("uniqueKeyPolicy")).get("uniqueKeyPolicy")
        if unique != container.body.get("uniqueKeyPolicy"):
            raise ServiceError(
                403,
                "The unique index cannot be modified. To change the unique index, remove the collection and "
                "re-create a new one.",
            )
        kept = {k: v for k, v in container.body.items() if k.startswith("_") or k in _UNCHANGED}
        return self._storage.replace_container(container, {**kept, **_checked_properties(body), **_stamp()})

    def delete_container(self, database: str, name: str) -> None:
        """Remove a container with its items."""
        self._storage.drop_container(self.container(database, name))

    def offers(self) -> list[dict[str, Any]]:
        """Return the throughput of every database and container that has its own."""
        return [owner.offer for owner in self._owners() if owner.offer]

    def replace_offer(self, rid: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change the throughput of a database or container; more of it may take more physical partitions."""
        for owner in self._owners():
            if owner.offer and owner.offer["_rid"].lower() == rid.lower():
                content = offers.changed(body)
                self._storage.save_offer(owner, owner.offer | {"content": content} | _stamp())
                if isinstance(owner, Container):
                    self._lay_out(owner, offers.partitions_for(content))
                return owner.offer
        raise not_found("The offer does not exist.")

    def _owners(self) -> list[Database | Container]:
        return [*self._storage.databases.values(), *self._storage.containers.values()]

    def _lay_out(self, container: Container, partitions: int) -> None:
        while len(container.partitions) < partitions:
            counts = self._storage.read.count_by_partition(container)
            fullest = max(container.partitions, key=lambda partition: counts.get(partition.id, 0))
            self._storage.split(container, fullest)


def public(container: Container) -> dict[str, Any]:
    """Return a container's properties as clients see them."""
    return {key: value for key, value in container.body.items() if key != "_numbers"}


def usage_headers(documents: int) -> dict[str, str]:
    """Return what a request for a container's usage is told: its items, and that its index is complete."""
    return {
        "x-ms-resource-usage": f"documentsCount={documents};",
        "x-ms-documentdb-collection-index-transformation-progress": "100",
    }


def partition_key_ranges(container: Container) -> list[dict[str, Any]]:
    """Return the physical partitions as clients see them."""
    return [
        {
            "_rid": container.rid,
            "id": partition.id,
            "_etag": f'"{container.number}-{partition.id}"',
            "minInclusive": partition.range.low,
            "maxExclusive": partition.range.high,
            "ridPrefix": int(partition.id),
            "_self": f"{container.body['_self']}pkranges/{partition.id}/",
            "throughputFraction": 1 / len(container.partitions),
            "status": "online",
            "parents": list(partition.parents),
            "_ts": container.body["_ts"],
        }
        for partition in container.partitions
    ]


def _stamp() -> dict[str, Any]:
    return {"_etag": f'"{uuid.uuid4()}"', "_ts": int(time.time())}


def _checked_name(body: Mapping[str, Any]) -> str:
    name = body.get("id")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.endswith(" "):
        raise bad_request(f"The name {name!r} is not valid.")
    return name


def _checked_key(key: object) -> dict[str, Any]:
    if not isinstance(key, Mapping) or not key.get("paths"):
        raise bad_request("The partition key definition is missing.")
    paths, kind = list(key["paths"]), str(key.get("kind", "Hash"))
    for path in paths:
        if not _leads_to_a_property(path):
            raise bad_request(f"The partition key path {path!r} is not valid.")
        if paths.count(path) > 1:
            raise bad_request(f"The partition key path {path!r} is specified more than once.")
    if len(paths) > MAX_KEY_PATHS:
        raise bad_request(f"Too many partition key paths: {len(paths)}, of at most {MAX_KEY_PATHS}.")
    if kind not in ("Hash", "MultiHash") or (kind == "Hash") != (len(paths) == 1 and kind == "Hash"):
        raise bad_request(f"A partition key of kind {kind!r} cannot have {len(paths)} paths.")
    if key.get("version", 2) != 2:
        raise unsupported("Partition key definition version 1")
    return {"paths": paths, "kind": kind, "version": 2}


def _leads_to_a_property(path: object) -> bool:
    """Say whether a path of a partition key or unique key names properties only, and none of the system's."""
    names = steps(path) if isinstance(path, str) else ()
    return bool(names) and names[0] not in SYSTEM_PROPERTIES and not {"*", "?", "[]"} & set(names)


def _checked_unique_keys(policy: object) -> dict[str, Any]:
    """Return the unique keys as they are stored, nothing if there are none."""
    if policy is None:
        return {}
    keys = policy.get("uniqueKeys", []) if isinstance(policy, Mapping) else None
    if not isinstance(keys, list) or len(keys) > MAX_UNIQUE_KEYS:
        raise bad_request(f"The unique key policy takes a list of at most {MAX_UNIQUE_KEYS} unique keys.")
    checked = []
    for key in keys:
        paths = key.get("paths") if isinstance(key, Mapping) else None
        if not isinstance(paths, list) or not 1 <= len(paths) <= MAX_UNIQUE_PATHS:
            raise bad_request(f"A unique key takes 1 to {MAX_UNIQUE_PATHS} paths.")
        for path in paths:
            if not _leads_to_a_property(path):
                raise bad_request(f"The unique key path {path!r} is not valid.")
            if paths.count(path) > 1:
                raise bad_request(f"The unique key path {path!r} is specified more than once.")
        checked.append({"paths": paths})
    return {"uniqueKeyPolicy": {"uniqueKeys": checked}} if checked else {}


def _checked_properties(body: Mapping[str, Any]) -> dict[str, Any]:
    for name, meaning in _REFUSED.items():
        value = body.get(name)
        if meaning and value:
            raise unsupported(meaning)
    properties: dict[str, Any] = {"indexingPolicy": checked_policy(body.get("indexingPolicy"))}
    ttl = body.get("defaultTtl")
    if ttl is not None:
        if isinstance(ttl, bool) or not isinstance(ttl, int) or ttl == 0 or ttl < -1 or ttl > MAX_TTL:
            raise bad_request(f"The defaultTtl {ttl!r} must be -1 or a positive number of seconds.")
        if properties["indexingPolicy"]["indexingMode"] == "none":
            raise bad_request(
                "The defaultTtl needs an index: the indexing mode must be consistent, not none."
            )
        properties["defaultTtl"] = ttl
    return properties
