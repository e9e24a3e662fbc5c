"""What a plan has for each difference between a container and the catalogue, and that it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.containers import CATALOGUE, Container, Indexing
from shared.cosmos.container_plan import (
    AUTOSCALE,
    DEFAULT_TTL,
    PARTITION_KEY,
    Found,
    changed_properties,
    container_drift,
    plan_of,
)

TTLS = st.sampled_from([None, -1, 1, 86_400, 31_536_000])
PATHS = st.lists(st.sampled_from(["/a/?", "/b/*", "/c/[]/?"]), max_size=3, unique=True).map(tuple)
COMPOSITES = st.lists(
    st.sampled_from(
        [(("/a", "ascending"), ("/b", "descending")), (("/b", "ascending"), ("/a", "ascending"))]
    ),
    max_size=2,
    unique=True,
).map(tuple)
INDEXES = st.builds(
    Indexing,
    included=st.just(("/*",)) | PATHS.filter(bool),
    excluded=PATHS,
    composite=COMPOSITES,
)
CONTAINERS = st.builds(
    Container,
    name=st.just("c"),
    partition_key=st.sampled_from(["/a", "/b"]),
    purpose=st.just("tests"),
    written_by=st.just("tests"),
    indexing=INDEXES,
    autoscale_max=st.sampled_from([1_000, 4_000]),
    default_ttl=TTLS,
)
OTHERS: dict[str, Any] = {
    "uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/email"]}]},
    "analyticalStorageTtl": -1,
    "vectorEmbeddingPolicy": {"vectorEmbeddings": [{"path": "/vector"}]},
}


def stored(container: Container) -> dict[str, Any]:
    """Return a container as the service returns it."""
    properties = {
        "id": container.name,
        "partitionKey": {"paths": [container.partition_key], "kind": "Hash", "version": 2},
        "indexingPolicy": container.indexing.policy() | {"vectorIndexes": [{"path": "/vector"}]},
        "_etag": '"e"',
        **OTHERS,
    }
    return properties if container.default_ttl is None else properties | {"defaultTtl": container.default_ttl}


def found(container: Container) -> Found:
    return Found(stored(container), autoscale_max=container.autoscale_max)


@given(CONTAINERS, CONTAINERS)
def test_what_is_changed_is_as_the_catalogue_says_and_nothing_else_changes(
    wanted: Container, other: Container
) -> None:
    before = stored(other)
    after = changed_properties(wanted, before, with_ttl=True)
    left = {drift.prop for drift in container_drift(wanted, after)}
    assert left == ({PARTITION_KEY} if wanted.partition_key != other.partition_key else set())
    assert {name: after[name] for name in OTHERS} == OTHERS
    assert after["indexingPolicy"]["vectorIndexes"] == [{"path": "/vector"}]
    assert after["partitionKey"] == before["partitionKey"]
    assert not any(name.startswith("_") for name in after)
    kept = changed_properties(wanted, before, with_ttl=False)
    assert kept.get("defaultTtl") == other.default_ttl


@given(CONTAINERS, CONTAINERS)
def test_every_difference_is_one_step_of_one_kind(wanted: Container, other: Container) -> None:
    plan = plan_of([wanted], {"c": found(other)})
    steps = [*plan.change, *plan.expire, *plan.impossible]
    assert len({drift.prop for drift in steps}) == len(steps)
    assert (plan.unchanged == ["c"]) is (not steps) is plan.is_done
    assert [drift.prop for drift in plan.impossible] == (
        [] if wanted.partition_key == other.partition_key else [PARTITION_KEY]
    )
    assert plan_of([wanted], {"c": found(wanted)}).is_done


def lifetime(ttl: int | None, own: int | None) -> float:
    """Return for how long a document lives, by its container's TTL and its own."""
    if ttl is None:
        return float("inf")
    chosen = ttl if own is None else own
    return float("inf") if chosen == -1 else chosen


@given(TTLS, TTLS)
def test_a_step_needs_consent_exactly_if_some_document_lives_less_long(
    before: int | None, after: int | None
) -> None:
    wanted = replace(CATALOGUE[0], name="c", default_ttl=after)
    plan = plan_of([wanted], {"c": found(replace(wanted, default_ttl=before))})
    owns = [None, -1, 1, 1_000]
    shorter = any(lifetime(after, own) < lifetime(before, own) for own in owns)
    assert [drift.prop for drift in plan.expire] == ([DEFAULT_TTL] if shorter else [])
    longer = before != after and not shorter
    assert [drift.prop for drift in plan.change] == ([DEFAULT_TTL] if longer else [])


@pytest.mark.parametrize(
    ("throughput", "can_migrate", "change", "impossible"),
    [
        ({"autoscale_max": 4_000}, False, [], []),
        ({"autoscale_max": 1_000}, False, [AUTOSCALE], []),
        ({"manual": 400}, False, [], [AUTOSCALE]),
        ({"manual": 400}, True, [AUTOSCALE], []),
        ({}, False, [], []),
    ],
)
def test_throughput_that_a_container_has(
    throughput: dict[str, int], can_migrate: bool, change: list[str], impossible: list[str]
) -> None:
    wanted = replace(CATALOGUE[0], autoscale_max=4_000)
    known = {wanted.name: Found(stored(wanted), **throughput)}
    plan = plan_of([wanted], known, can_migrate=can_migrate)
    assert [drift.prop for drift in plan.change] == change
    assert [drift.prop for drift in plan.impossible] == impossible
    assert all(drift.remedy for drift in plan.impossible)


def test_a_missing_container_is_created_and_a_missing_database_is_no_end() -> None:
    plan = plan_of(CATALOGUE, {}, database_exists=False)
    assert plan.create == [container.name for container in CATALOGUE]
    assert not plan.is_done
    assert not plan_of([], {}, database_exists=False).is_done


def test_the_order_of_paths_and_of_composite_indexes_is_no_difference() -> None:
    wanted = next(container for container in CATALOGUE if len(container.indexing.composite) > 1)
    known = stored(wanted)
    policy = known["indexingPolicy"]
    for name in ("includedPaths", "excludedPaths", "compositeIndexes"):
        policy[name] = list(reversed(policy[name]))
    policy["indexingMode"] = "Consistent"
    assert container_drift(wanted, known) == []
