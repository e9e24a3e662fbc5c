"""Bring a database to the catalogue: create missing containers, change what differs, report the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from azure.core.exceptions import HttpResponseError
from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError

from shared.containers import CATALOGUE, Container
from shared.cosmos.container_plan import (
    AUTOSCALE,
    DEFAULT_TTL,
    Drift,
    Found,
    Plan,
    changed_properties,
    plan_of,
)

REFUSALS = frozenset({400, 409, 412, 413})
"""Answers to a change that this service will not make: a throughput that is too low, a policy that it does
not allow, a container that changed meanwhile."""

NO_THROUGHPUT = frozenset({400, 404})
"""Answers about the throughput of a container without its own: serverless, or shared by the database."""


SERVERLESS = "serverless"
"""In the service's answer to a request for throughput in a serverless account, whose status is 400."""


class ControlPlane(Protocol):
    """Creates and changes containers of one database, with a key or through Azure Resource Manager."""

    can_migrate: bool
    """Whether :meth:`set_autoscale` can change manual throughput."""

    async def database_exists(self) -> bool:
        """Return whether the database exists."""

    async def create_database(self) -> None:
        """Create the database, if it does not exist."""

    async def read(self, name: str) -> Found | None:
        """Return a container of an existing database, None if it does not exist."""

    async def create(self, wanted: Container, *, with_throughput: bool = True) -> None:
        """Create a container as the catalogue says, with its throughput or without."""

    async def replace(self, found: Found, properties: dict[str, Any]) -> None:
        """Replace the properties of a container, unless it is not as it was found any more."""

    async def set_autoscale(self, name: str, maximum: int, *, from_manual: bool) -> None:
        """Set the autoscale maximum of a container in RU/s."""


@dataclass(slots=True)
class ProvisioningReport:
    """The result of one call of :func:`apply_catalogue` or :func:`apply_plan`.

    Attributes
    ----------
    drifted
        Differences that remain.
    refused
        What the service said to changes that it did not make.
    """

    created: list[str] = field(default_factory=list)
    changed: list[Drift] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    drifted: list[Drift] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


async def plan_containers(plane: ControlPlane, containers: Sequence[Container] = CATALOGUE) -> Plan:
    """Return what has to be done. Nothing is changed."""
    exists = await plane.database_exists()
    found = {each.name: await plane.read(each.name) for each in containers} if exists else {}
    return plan_of(containers, found, database_exists=exists, can_migrate=plane.can_migrate)


async def apply_plan(
    plane: ControlPlane,
    plan: Plan,
    containers: Sequence[Container] = CATALOGUE,
    *,
    allow_expiry: bool = False,
) -> ProvisioningReport:
    """Do what a plan says. A change that the service refuses is reported, and the others are made.

    A container that is not as the plan found it any more is not changed: what was a harmless step when the
    plan was shown may now let documents expire.

    Parameters
    ----------
    allow_expiry
        Make changes too by which documents expire at once.

    Raises
    ------
    HttpResponseError, ServiceRequestError, UnavailableError
        The service does not answer, or refuses the caller. What was done stays; a new plan has the rest.
    """
    report = ProvisioningReport(unchanged=list(plan.unchanged), drifted=list(plan.impossible))
    await plane.create_database()
    wanted = {each.name: each for each in containers}
    for name in plan.create:
        await _create(plane, wanted[name])
        report.created.append(name)
    steps: dict[str, list[Drift]] = defaultdict(list)
    for drift in (*plan.change, *(plan.expire if allow_expiry else ())):
        steps[drift.container].append(drift)
    report.drifted += [] if allow_expiry else plan.expire
    for name, drifts in steps.items():
        await _change(plane, wanted[name], drifts, plan, report)
    return report


async def _create(plane: ControlPlane, wanted: Container) -> None:
    """Create a container; without throughput in a serverless account, which refuses any."""
    try:
        await plane.create(wanted)
    except HttpResponseError as error:
        if error.status_code != 400 or SERVERLESS not in str(error.message).lower():
            raise
        await plane.create(wanted, with_throughput=False)


async def _change(
    plane: ControlPlane, wanted: Container, drifts: list[Drift], plan: Plan, report: ProvisioningReport
) -> None:
    """Make the changes of one container: its throughput, and its policies in one step."""
    policies = [drift for drift in drifts if drift.prop != AUTOSCALE]
    for group in (policies, [drift for drift in drifts if drift.prop == AUTOSCALE]):
        if not group:
            continue
        try:
            found = await plane.read(wanted.name)
            if found is None:
                report.refused.append(f"{wanted.name}: it was deleted meanwhile")
                report.drifted += group
                continue
            if not _is_as_planned(plane, wanted, found, plan, throughput=group is not policies):
                report.refused.append(f"{wanted.name}: it was changed after the plan; see the new plan first")
                report.drifted += group
                continue
            if group is policies:
                with_ttl = any(drift.prop == DEFAULT_TTL for drift in group)
                await plane.replace(found, changed_properties(wanted, found.properties, with_ttl=with_ttl))
            else:
                from_manual = found.autoscale_max is None
                await plane.set_autoscale(wanted.name, wanted.autoscale_max, from_manual=from_manual)
        except HttpResponseError as error:
            if error.status_code not in REFUSALS:
                raise
            reason = str(error.message).partition("\n")[0]
            report.refused.append(f"{wanted.name}: {reason}")
            report.drifted += group
        else:
            report.changed += group


def _is_as_planned(
    plane: ControlPlane, wanted: Container, found: Found, plan: Plan, *, throughput: bool
) -> bool:
    """Return whether a container still differs from the catalogue as the plan says."""
    now = plan_of([wanted], {wanted.name: found}, can_migrate=plane.can_migrate)

    def differences(of: Plan) -> list[Drift]:
        return [
            drift
            for drift in (*of.change, *of.expire, *of.impossible)
            if drift.container == wanted.name and (drift.prop == AUTOSCALE) is throughput
        ]

    return differences(now) == differences(plan)


async def apply_catalogue(client: CosmosClient, database: str) -> ProvisioningReport:
    """Create the database and every missing container. Existing containers are not changed.

    The call can be repeated safely. Differences of existing containers are reported.
    """
    return await apply_containers(await client.create_database_if_not_exists(database), CATALOGUE)


async def apply_containers(database: DatabaseProxy, containers: Iterable[Container]) -> ProvisioningReport:
    """Do the same for the given containers of an existing database."""
    plane, report = KeyPlane(database), ProvisioningReport()
    for wanted in containers:
        found = await plane.read(wanted.name)
        plan = plan_of([wanted], {wanted.name: found})
        if found is None:
            await _create(plane, wanted)
            report.created.append(wanted.name)
        report.unchanged += plan.unchanged
        report.drifted += [*plan.impossible, *plan.expire, *plan.change]
    return report


class KeyPlane:
    """The control plane that an account's key opens. An identity's data plane roles do not."""

    can_migrate = False

    def __init__(self, database: DatabaseProxy, client: CosmosClient | None = None) -> None:
        self._database = database
        self._client = client

    async def database_exists(self) -> bool:
        try:
            await self._database.read()
        except CosmosResourceNotFoundError:
            return False
        return True

    async def create_database(self) -> None:
        if self._client is not None:
            await self._client.create_database_if_not_exists(self._database.id)

    async def read_properties(self, name: str) -> dict[str, Any] | None:
        """Return a container without its throughput, None if it does not exist. An identity may do that."""
        try:
            return await self._database.get_container_client(name).read()
        except CosmosResourceNotFoundError:
            return None

    async def read(self, name: str) -> Found | None:
        properties = await self.read_properties(name)
        if properties is None:
            return None
        container = self._database.get_container_client(name)
        try:
            offer = await container.get_throughput()
        except CosmosHttpResponseError as error:
            if error.status_code not in NO_THROUGHPUT:
                raise
            return Found(properties)
        if offer.auto_scale_max_throughput:
            return Found(properties, autoscale_max=offer.auto_scale_max_throughput)
        return Found(properties, manual=offer.offer_throughput)

    async def create(self, wanted: Container, *, with_throughput: bool = True) -> None:
        throughput = ThroughputProperties(auto_scale_max_throughput=wanted.autoscale_max)
        await self._database.create_container_if_not_exists(
            id=wanted.name,
            partition_key=PartitionKey(path=wanted.partition_key),
            indexing_policy=wanted.indexing.policy(),
            default_ttl=wanted.default_ttl,
            offer_throughput=throughput if with_throughput else None,
        )

    async def replace(self, found: Found, properties: dict[str, Any]) -> None:
        # DatabaseProxy.replace_container sends only the properties that it has parameters for: a container
        # would lose the others, such as its unique keys.
        link = self._database.get_container_client(properties["id"]).container_link
        options = {"accessCondition": {"type": "IfMatch", "condition": found.properties["_etag"]}}
        await self._database.client_connection.ReplaceContainer(link, properties, options)

    async def set_autoscale(self, name: str, maximum: int, *, from_manual: bool) -> None:
        throughput = ThroughputProperties(auto_scale_max_throughput=maximum)
        await self._database.get_container_client(name).replace_throughput(throughput)
