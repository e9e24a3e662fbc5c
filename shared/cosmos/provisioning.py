"""Apply the catalogue to a database: create missing containers, report differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError

from shared.containers import CATALOGUE, Container


@dataclass(frozen=True, slots=True)
class Drift:
    """One property of a container that differs from the catalogue."""

    container: str
    prop: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.container}: {self.prop} is {self.found!r}, the catalogue says {self.expected!r}"


@dataclass(slots=True)
class ProvisioningReport:
    """The result of one call of :func:`apply_catalogue`."""

    created: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    drifted: list[Drift] = field(default_factory=list)


async def apply_catalogue(client: CosmosClient, database: str) -> ProvisioningReport:
    """Create the database and every missing container. Existing containers are not changed.

    Differences of existing containers are reported, not repaired: a partition key cannot be changed, and an
    operator may have tuned a policy by hand. The call can be repeated safely.
    """
    return await apply_containers(await client.create_database_if_not_exists(database), CATALOGUE)


async def apply_containers(database: DatabaseProxy, containers: Iterable[Container]) -> ProvisioningReport:
    """Do the same for the given containers of an existing database."""
    report = ProvisioningReport()
    for wanted in containers:
        try:
            found = await database.get_container_client(wanted.name).read()
        except CosmosResourceNotFoundError:
            await _create(database, wanted)
            report.created.append(wanted.name)
            continue
        drift = container_drift(wanted, found) + await _throughput_drift(database, wanted)
        if drift:
            report.drifted.extend(drift)
        else:
            report.unchanged.append(wanted.name)
    return report


async def _create(database: DatabaseProxy, wanted: Container) -> None:
    await database.create_container_if_not_exists(
        id=wanted.name,
        partition_key=PartitionKey(path=wanted.partition_key),
        indexing_policy=wanted.indexing.policy(),
        default_ttl=wanted.default_ttl,
        offer_throughput=ThroughputProperties(auto_scale_max_throughput=wanted.autoscale_max),
    )


def container_drift(wanted: Container, found: Mapping[str, Any]) -> list[Drift]:
    """Compare a container's properties, in the form that the service returns, with the catalogue."""
    pairs: list[tuple[str, Any, Any]] = [
        ("partition key", [wanted.partition_key], found.get("partitionKey", {}).get("paths")),
        ("default TTL", wanted.default_ttl, found.get("defaultTtl")),
    ]
    policy = found.get("indexingPolicy", {})
    expected = wanted.indexing.policy()
    pairs.extend(
        (prop, _paths(expected[prop]), _paths(policy.get(prop, [])))
        for prop in ("includedPaths", "excludedPaths")
    )
    pairs.append(
        (
            "compositeIndexes",
            _composites(expected.get("compositeIndexes", [])),
            _composites(policy.get("compositeIndexes", [])),
        )
    )
    return [Drift(wanted.name, prop, want, got) for prop, want, got in pairs if want != got]


def _paths(entries: list[dict[str, Any]]) -> list[str]:
    return sorted(str(entry["path"]) for entry in entries)


def _composites(indexes: list[list[dict[str, Any]]]) -> list[list[tuple[str, str]]]:
    return sorted([(part["path"], part.get("order", "ascending")) for part in index] for index in indexes)


async def _throughput_drift(database: DatabaseProxy, wanted: Container) -> list[Drift]:
    try:
        offer = await database.get_container_client(wanted.name).get_throughput()
    except CosmosHttpResponseError as error:
        if error.status_code in (400, 404):  # serverless, or throughput shared at the database
            return []
        raise
    if offer.auto_scale_max_throughput == wanted.autoscale_max:
        return []
    found = offer.auto_scale_max_throughput or offer.offer_throughput
    return [Drift(wanted.name, "autoscale maximum (RU/s)", wanted.autoscale_max, found)]
