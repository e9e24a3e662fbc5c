"""Containers through a stand-in of Azure Resource Manager: planned, changed once, refused with its reason."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from shared.containers import CATALOGUE
from shared.cosmos.container_plan import AUTOSCALE, DEFAULT_TTL, PARTITION_KEY
from shared.cosmos.provisioning import ControlPlane, ProvisioningReport, apply_plan, plan_containers
from shared.cosmos.resource_manager import ResourceManagerPlane
from shared.cosmos.retries import MANAGEMENT_SECONDS, UnavailableError
from shared.errors import SettingsError
from tests.resource_manager import ACCOUNT, Identity, ResourceManager
from tests.virtual_time import run

SESSIONS = next(container for container in CATALOGUE if container.name == "user_sessions")


def on(service: ResourceManager, work: Callable[[ControlPlane], Awaitable[Any]]) -> Any:
    """Do something with the plane, in no time."""
    identity = Identity()

    async def connected() -> Any:
        plane = ResourceManagerPlane(ACCOUNT, "db 1", identity, user_agent="tests", inner=service)
        async with plane:
            return await work(plane)

    try:
        return run(connected())
    finally:
        assert identity.closed


def applied(service: ResourceManager, *, allow_expiry: bool = False) -> ProvisioningReport:
    async def work(plane: ControlPlane) -> ProvisioningReport:
        return await apply_plan(plane, await plan_containers(plane), allow_expiry=allow_expiry)

    report: ProvisioningReport = on(service, work)
    return report


@pytest.fixture
def service() -> ResourceManager:
    """The service with all containers."""
    made = ResourceManager()
    report = applied(made)
    assert report.created == [container.name for container in CATALOGUE]
    made.requests.clear()
    return made


@pytest.mark.parametrize("by_location", [False, True])
def test_everything_is_created_once(by_location: bool) -> None:
    service = ResourceManager(by_location=by_location)
    assert len(applied(service).created) == len(CATALOGUE)
    assert service.writes == {"PUT": len(CATALOGUE) + 1}
    service.requests.clear()
    again = applied(service)
    assert (again.created, again.changed, again.drifted, again.refused) == ([], [], [], [])
    assert service.writes == {}


def test_a_serverless_account_has_containers_without_throughput() -> None:
    service = ResourceManager(serverless=True)
    assert len(applied(service).created) == len(CATALOGUE)
    assert {stored.throughput for stored in service.databases["db 1"].values()} == {None}
    assert on(service, plan_containers).is_done


def test_a_plan_changes_nothing(service: ResourceManager) -> None:
    service.databases["db 1"][SESSIONS.name].resource["defaultTtl"] = 7
    plan = on(service, plan_containers)
    assert [drift.prop for drift in plan.change] == [DEFAULT_TTL]
    assert service.writes == {}


def test_ttl_index_and_throughput_are_changed_and_the_rest_of_the_container_stays(
    service: ResourceManager,
) -> None:
    stored = service.databases["db 1"][SESSIONS.name]
    before = copy.deepcopy(stored)
    stored.resource |= {"defaultTtl": 7, "uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/session_id"]}]}}
    stored.resource["indexingPolicy"] = {"indexingMode": "consistent", "includedPaths": [{"path": "/*"}]}
    assert stored.throughput is not None
    stored.throughput["autoscaleSettings"] = {"maxThroughput": 9_000}
    report = applied(service)
    assert {drift.prop for drift in report.changed} >= {DEFAULT_TTL, "includedPaths", AUTOSCALE}
    assert report.drifted == []
    assert service.writes == {"PUT": 2}  # one for the policies, one for the throughput
    assert stored.resource.pop("uniqueKeyPolicy")
    assert (stored.resource, stored.throughput) == (before.resource, before.throughput)
    assert on(service, plan_containers).is_done


def test_manual_throughput_becomes_autoscale(service: ResourceManager) -> None:
    stored = service.databases["db 1"][SESSIONS.name]
    stored.throughput = {"throughput": 400}
    report = applied(service)
    assert [drift.prop for drift in report.changed] == [AUTOSCALE]
    assert stored.throughput["autoscaleSettings"] == {"maxThroughput": SESSIONS.autoscale_max}
    assert service.writes == {"POST": 1, "PUT": 1}


@pytest.mark.parametrize("serverless", [False, True])
def test_a_container_without_throughput_of_its_own_is_left_so(
    service: ResourceManager, serverless: bool
) -> None:
    service.serverless = serverless
    for stored in service.databases["db 1"].values():
        stored.throughput = None
    assert on(service, plan_containers).is_done


def test_documents_do_not_expire_without_consent(service: ResourceManager) -> None:
    del service.databases["db 1"][SESSIONS.name].resource["defaultTtl"]
    report = applied(service)
    assert (report.changed, [drift.prop for drift in report.drifted]) == ([], [DEFAULT_TTL])
    assert service.writes == {}
    report = applied(service, allow_expiry=True)
    assert [drift.prop for drift in report.changed] == [DEFAULT_TTL]
    assert on(service, plan_containers).is_done


def test_another_partition_key_stays_and_has_a_remedy(service: ResourceManager) -> None:
    stored = service.databases["db 1"][SESSIONS.name]
    stored.resource["partitionKey"]["paths"] = ["/session_id"]
    stored.resource["defaultTtl"] = 7
    report = applied(service)
    assert [drift.prop for drift in report.changed] == [DEFAULT_TTL]
    (left,) = report.drifted
    assert (left.prop, left.found) == (PARTITION_KEY, ["/session_id"])
    assert "cannot be changed" in (left.remedy or "")


def test_what_the_service_refuses_is_reported_and_the_rest_is_done(service: ResourceManager) -> None:
    refused, changed = (service.databases["db 1"][name] for name in ("user_sessions", "users"))
    for stored in (refused, changed):
        assert stored.throughput is not None
        stored.throughput["autoscaleSettings"] = {"maxThroughput": 9_000}
    refused.least = 8_000
    report = applied(service)
    assert report.refused == ["user_sessions: BadRequest: The least maximum is 8000."]
    assert [drift.container for drift in report.changed] == ["users"]
    assert [drift.container for drift in report.drifted] == ["user_sessions"]


def test_an_answer_that_refuses_the_operator_ends_the_work(service: ResourceManager) -> None:
    service.failures = [403]
    with pytest.raises(HttpResponseError, match="Planned: planned by the test") as caught:
        on(service, plan_containers)
    assert caught.value.status_code == 403


def test_a_service_that_cannot_answer_now_is_asked_again(service: ResourceManager) -> None:
    service.failures = [429, 503]
    assert on(service, plan_containers).is_done


def test_an_operation_that_does_not_end_is_given_up() -> None:
    service = ResourceManager(questions=10**9)
    with pytest.raises(UnavailableError, match=f"within {MANAGEMENT_SECONDS:g} s"):
        applied(service)


@pytest.mark.parametrize(
    "place",
    [
        "https://management.azure.com.example.org",
        "https://example.org/management.azure.com",
        "http://management.azure.com",
        "https://user@example.org",
    ],
)
def test_the_operator_s_token_goes_to_no_other_host(place: str) -> None:
    service = ResourceManager(states=place)
    with pytest.raises(HttpResponseError, match="unknown host"):
        applied(service)
    assert not [path for _, path in service.requests if "operationsStatus" in path]


@pytest.mark.parametrize(
    "account",
    [
        "",
        "account-1",
        ACCOUNT + "/",
        ACCOUNT + "/../x",
        ACCOUNT.replace("DocumentDB", "Storage"),
        ACCOUNT + "?a=b",
    ],
)
def test_what_is_no_resource_id_is_refused(account: str) -> None:
    with pytest.raises(SettingsError, match="must be a resource id"):
        ResourceManagerPlane(account, "db", Identity(), user_agent="tests", inner=ResourceManager())
