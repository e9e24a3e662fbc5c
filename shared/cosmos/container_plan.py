"""What has to be done so that the containers of a database are as the catalogue says. Pure.

An index, a TTL and a throughput are changed in place. A partition key never is, and manual throughput only
through Azure Resource Manager: such differences are reported with what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.containers import Container

PARTITION_KEY = "partition key"
DEFAULT_TTL = "default TTL"
AUTOSCALE = "autoscale maximum (RU/s)"

_NEW_KEY = (
    "a partition key cannot be changed. Copy the documents elsewhere, delete the container, run apply, and "
    "copy them back. What the fleet writes need not be copied: delete it, and start a new generation"
)
_BY_ARM = "the key cannot change manual throughput to autoscale. Give --account, which uses Resource Manager"


@dataclass(frozen=True, slots=True)
class Found:
    """A container as it is.

    Attributes
    ----------
    properties
        The service's document: ``partitionKey``, ``indexingPolicy``, ``defaultTtl``, and whatever else.
    autoscale_max, manual
        The throughput in RU/s. Both are None if the container has none of its own: in a serverless account,
        and if it shares the database's.
    """

    properties: Mapping[str, Any]
    autoscale_max: int | None = None
    manual: int | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """One property of a container that differs from the catalogue.

    Attributes
    ----------
    expires
        Whether documents expire that would not have expired yet.
    remedy
        What to do instead, if the property cannot be changed in place.
    """

    container: str
    prop: str
    expected: Any
    found: Any
    expires: bool = False
    remedy: str | None = None

    def __str__(self) -> str:
        return f"{self.container}: {self.prop} is {self.found!r}, the catalogue says {self.expected!r}"


@dataclass(slots=True)
class Plan:
    """The steps from a database to the catalogue."""

    database_exists: bool = True
    create: list[str] = field(default_factory=list)
    change: list[Drift] = field(default_factory=list)
    expire: list[Drift] = field(default_factory=list)
    """Changes that make documents expire at once. They need the operator's consent."""
    impossible: list[Drift] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether the database is as the catalogue says."""
        return not (self.create or self.change or self.expire or self.impossible) and self.database_exists


def plan_of(
    containers: Iterable[Container],
    found: Mapping[str, Found | None],
    *,
    database_exists: bool = True,
    can_migrate: bool = False,
) -> Plan:
    """Return the plan for containers as they were found, None for one that is missing.

    Parameters
    ----------
    can_migrate
        Whether manual throughput can be changed to autoscale.
    """
    plan = Plan(database_exists)
    for wanted in containers:
        known = found.get(wanted.name)
        if known is None:
            plan.create.append(wanted.name)
            continue
        drifts = container_drift(wanted, known.properties) + _throughput_drift(wanted, known, can_migrate)
        for drift in drifts:
            steps = plan.impossible if drift.remedy else plan.expire if drift.expires else plan.change
            steps.append(drift)
        if not drifts:
            plan.unchanged.append(wanted.name)
    return plan


def container_drift(wanted: Container, found: Mapping[str, Any]) -> list[Drift]:
    """Compare a container's properties, in the form that the service returns, with the catalogue."""
    drifts: list[Drift] = []
    paths = found.get("partitionKey", {}).get("paths")
    if paths != [wanted.partition_key]:
        drifts.append(Drift(wanted.name, PARTITION_KEY, [wanted.partition_key], paths, remedy=_NEW_KEY))
    ttl = found.get("defaultTtl")
    if ttl != wanted.default_ttl:
        expires = _is_sooner(wanted.default_ttl, ttl)
        drifts.append(Drift(wanted.name, DEFAULT_TTL, wanted.default_ttl, ttl, expires))
    policy, expected = found.get("indexingPolicy", {}), wanted.indexing.policy()
    pairs: list[tuple[str, Any, Any]] = [
        ("indexingMode", expected["indexingMode"], str(policy.get("indexingMode", "consistent")).lower()),
        *(
            (prop, _paths(expected[prop]), _paths(policy.get(prop, [])))
            for prop in ("includedPaths", "excludedPaths")
        ),
        (
            "compositeIndexes",
            _composites(expected.get("compositeIndexes", [])),
            _composites(policy.get("compositeIndexes", [])),
        ),
    ]
    return drifts + [Drift(wanted.name, prop, want, got) for prop, want, got in pairs if want != got]


def changed_properties(wanted: Container, found: Mapping[str, Any], *, with_ttl: bool) -> dict[str, Any]:
    """Return a container's document with the catalogue's index, and its TTL if asked to.

    All else stays: keys of uniqueness, vector policies and the like would be lost if they were left out.
    """
    kept = {name: value for name, value in found.items() if not name.startswith("_")}
    policy = dict(kept.get("indexingPolicy", {}))
    if "compositeIndexes" in policy:
        policy["compositeIndexes"] = []
    changed = kept | {"indexingPolicy": policy | wanted.indexing.policy()}
    if with_ttl:
        changed.pop("defaultTtl", None)
        if wanted.default_ttl is not None:
            changed["defaultTtl"] = wanted.default_ttl
    return changed


def _is_sooner(wanted: int | None, found: int | None) -> bool:
    """Whether a TTL makes documents expire that do not expire under another one.

    Without a TTL nothing expires; with -1 documents that have a ``ttl`` of their own.
    """
    if wanted is None or wanted == found:
        return False
    if found is None:
        return True
    return wanted > 0 and (found < 0 or wanted < found)


def _throughput_drift(wanted: Container, found: Found, can_migrate: bool) -> list[Drift]:
    if found.autoscale_max is not None and found.autoscale_max != wanted.autoscale_max:
        return [Drift(wanted.name, AUTOSCALE, wanted.autoscale_max, found.autoscale_max)]
    if found.autoscale_max is None and found.manual is not None:
        remedy = None if can_migrate else _BY_ARM
        manual = f"{found.manual} (manual)"
        return [Drift(wanted.name, AUTOSCALE, wanted.autoscale_max, manual, remedy=remedy)]
    return []


def _paths(entries: list[dict[str, Any]]) -> list[str]:
    return sorted(str(entry["path"]) for entry in entries)


def _composites(indexes: list[list[dict[str, Any]]]) -> list[list[tuple[str, str]]]:
    return sorted([(part["path"], part.get("order", "ascending")) for part in index] for index in indexes)
