"""Databases, containers and their throughput: created, read, changed and removed as the service does."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from local.cosmos.errors import OWNER_NOT_FOUND, ServiceError, bad_request, conflict, not_found, unsupported
from local.cosmos.indexing import checked_policy
from local.cosmos.model import Container, Database, resource_id
from local.cosmos.partitioning import even_partitions
from local.cosmos.storage import Storage

_NAME = re.compile(r"[^/\\?#]{1,255}")
_PATH = re.compile(r'(/("[^"]+"|[^/"]+))+')
MAX_TTL = 2**31 - 1
DEFAULT_THROUGHPUT = 400

_REFUSED = {
    "uniqueKeyPolicy": "Unique keys",
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

    def create_database(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a database."""
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
        return self._storage.add_database(name, document).body

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
        if (database, name) in self._storage.containers:
            raise conflict("Container with the specified id already exists.")
        number = self._storage.next_container_number()
        rid = resource_id(parent.number, number)
        document = {
            "id": name,
            "partitionKey": _checked_key(body.get("partitionKey")),
            **_checked_properties(body),
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
        offer = _offer(rid, document["_self"], _requested_throughput(headers))
        return self._storage.add_container(database, name, document, offer, even_partitions(self._partitions))

    def replace_container(self, database: str, name: str, body: Mapping[str, Any]) -> Container:
        """Change a container's policies; its id and partition key cannot change."""
        container = self.container(database, name)
        key = body.get("partitionKey")
        if body.get("id") != name or (key and _checked_key(key) != container.body["partitionKey"]):
            raise bad_request("The id and the partition key of a container cannot be changed.")
        kept = {k: v for k, v in container.body.items() if k.startswith("_") or k in ("id", "partitionKey")}
        return self._storage.replace_container(container, {**kept, **_checked_properties(body), **_stamp()})

    def delete_container(self, database: str, name: str) -> None:
        """Remove a container with its items."""
        self._storage.drop_container(self.container(database, name))

    def offers(self) -> list[dict[str, Any]]:
        """Return the throughput of every container."""
        return [container.offer for _, container in sorted(self._storage.containers.items())]

    def replace_offer(self, rid: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change a container's throughput."""
        for container in self._storage.containers.values():
            if container.offer["_rid"].lower() == rid.lower():
                content = body.get("content")
                if not isinstance(content, Mapping):
                    raise bad_request("The offer has no content.")
                maximum = (content.get("offerAutopilotSettings") or {}).get("maxThroughput")
                settings = _autoscale(maximum) if maximum else _manual(content.get("offerThroughput"))
                self._storage.save_offer(container, container.offer | {"content": settings} | _stamp())
                return container.offer
        raise not_found("The offer does not exist.")


def public(container: Container) -> dict[str, Any]:
    """Return a container's properties as clients see them."""
    return {key: value for key, value in container.body.items() if key != "_numbers"}


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
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise bad_request(f"The partition key path {path!r} is not valid.")
    if kind not in ("Hash", "MultiHash") or (kind == "Hash") != (len(paths) == 1 and kind == "Hash"):
        raise bad_request(f"A partition key of kind {kind!r} cannot have {len(paths)} paths.")
    if len(paths) > 3:
        raise bad_request("A hierarchical partition key has at most 3 paths.")
    if key.get("version", 2) != 2:
        raise unsupported("Partition key definition version 1")
    return {"paths": paths, "kind": kind, "version": 2}


def _checked_properties(body: Mapping[str, Any]) -> dict[str, Any]:
    for name, meaning in _REFUSED.items():
        value = body.get(name)
        if meaning and value and value != {"uniqueKeys": []}:
            raise unsupported(meaning)
    properties: dict[str, Any] = {"indexingPolicy": checked_policy(body.get("indexingPolicy"))}
    ttl = body.get("defaultTtl")
    if ttl is not None:
        if isinstance(ttl, bool) or not isinstance(ttl, int) or ttl == 0 or ttl < -1 or ttl > MAX_TTL:
            raise bad_request(f"The defaultTtl {ttl!r} must be -1 or a positive number of seconds.")
        properties["defaultTtl"] = ttl
    return properties


def _requested_throughput(headers: Mapping[str, str]) -> dict[str, Any]:
    autoscale = headers.get("x-ms-cosmos-offer-autopilot-settings")
    manual = headers.get("x-ms-offer-throughput")
    if autoscale and manual:
        raise bad_request("Give a throughput or a maximum of autoscale, not both.")
    try:
        if autoscale:
            return _autoscale(orjson.loads(autoscale)["maxThroughput"])
        return _manual(int(manual) if manual else DEFAULT_THROUGHPUT)
    except (ValueError, KeyError, TypeError):
        raise bad_request(f"The throughput {autoscale or manual!r} cannot be read.") from None


def _autoscale(maximum: object) -> dict[str, Any]:
    if not isinstance(maximum, int) or maximum < 1_000 or maximum % 1_000:
        raise bad_request(
            f"The maximum autoscale throughput {maximum!r} must be a multiple of 1000, at least 1000."
        )
    return {
        "offerThroughput": maximum // 10,
        "offerAutopilotSettings": {"tier": 0, "maximumTierThroughput": maximum, "autoUpgrade": False,
                                   "maxThroughput": maximum},
    }  # fmt: skip


def _manual(throughput: object) -> dict[str, Any]:
    if not isinstance(throughput, int) or throughput < DEFAULT_THROUGHPUT or throughput % 100:
        raise bad_request(
            f"The throughput {throughput!r} must be a multiple of 100, at least {DEFAULT_THROUGHPUT}."
        )
    return {"offerThroughput": throughput}


def _offer(container_rid: str, link: str, content: dict[str, Any]) -> dict[str, Any]:
    rid = f"{container_rid.rstrip('=')}o"
    return {
        "id": rid,
        "_rid": rid,
        "_self": f"offers/{rid}/",
        "resource": link,
        "offerType": "Invalid",
        "offerResourceId": container_rid,
        "offerVersion": "V2",
        "content": content,
        **_stamp(),
    }
