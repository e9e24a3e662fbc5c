"""``fleet containers`` through Azure Resource Manager, and what it says."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ops import containers
from ops.__main__ import cli
from shared.containers import CATALOGUE
from shared.cosmos import resource_manager
from shared.cosmos.container_plan import DEFAULT_TTL
from shared.cosmos.provisioning import ControlPlane, apply_plan, plan_containers
from shared.cosmos.resource_manager import ResourceManagerPlane
from tests.resource_manager import ACCOUNT, Identity, ResourceManager
from tests.virtual_time import run

DATABASE = "db-1"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> ResourceManager:
    """The service with all containers, which the commands ask."""
    made = ResourceManager(questions=0)

    async def create(plane: ControlPlane) -> None:
        await apply_plan(plane, await plan_containers(plane))

    async def connected() -> None:
        async with ResourceManagerPlane(ACCOUNT, DATABASE, Identity(), user_agent="t", inner=made) as plane:
            await create(plane)

    run(connected())
    made.requests.clear()
    monkeypatch.setattr(resource_manager, "transport", lambda _: made)
    monkeypatch.setattr(containers, "environment_identity", Identity)
    for name in ("CosmosDb", "CosmosDb__accountEndpoint"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COSMOS_DATABASE", DATABASE)
    monkeypatch.setenv("COSMOS_ACCOUNT_ID", ACCOUNT)
    return made


def test_a_plan_with_nothing_to_do_ends_with_0(service: ResourceManager) -> None:
    ended = CliRunner().invoke(cli, ["containers", "plan"])
    assert (ended.exit_code, service.writes) == (0, {})
    assert f"{len(CATALOGUE)} containers are as the catalogue says." in ended.stdout


def test_a_plan_with_something_to_do_ends_with_1_and_names_it(service: ResourceManager) -> None:
    service.databases[DATABASE]["user_sessions"].resource["defaultTtl"] = 7
    ended = CliRunner().invoke(cli, ["containers", "plan"])
    assert (ended.exit_code, service.writes) == (1, {})
    assert ["user_sessions", "default", "TTL", "7", "7776000"] in [
        line.split() for line in ended.stdout.splitlines()
    ]
    listed = json.loads(CliRunner().invoke(cli, ["containers", "plan", "--json"]).stdout)
    assert [drift["prop"] for drift in listed["change"]] == [DEFAULT_TTL]


def test_apply_prints_the_plan_does_it_and_has_then_nothing_to_do(service: ResourceManager) -> None:
    service.databases[DATABASE]["user_sessions"].resource["defaultTtl"] = 7
    ended = CliRunner().invoke(cli, ["containers", "apply"])
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.index("default TTL") < ended.stdout.index("1 properties changed, 0 differences left.")
    assert CliRunner().invoke(cli, ["containers", "apply", "--json"]).exit_code == 0
    assert service.writes == {"PUT": 1}


@pytest.mark.parametrize(("status", "code"), [(401, 2), (403, 2), (404, 1)])
def test_a_refusal_of_the_operator_is_one_sentence(service: ResourceManager, status: int, code: int) -> None:
    service.failures = [status]
    ended = CliRunner().invoke(cli, ["containers", "plan"])
    assert ended.exit_code == code
    assert "Traceback" not in ended.output


def test_an_account_that_is_no_resource_id_is_wrong_usage(service: ResourceManager) -> None:
    ended = CliRunner().invoke(cli, ["containers", "plan", "--account", "account-1"])
    assert (ended.exit_code, service.requests) == (2, [])
    assert "must be a resource id" in ended.stderr


def test_an_identity_for_data_is_told_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CosmosDb", "COSMOS_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CosmosDb__accountEndpoint", "https://account-1.documents.azure.com")
    ended = CliRunner().invoke(cli, ["containers", "apply"])
    assert ended.exit_code == 2
    assert "Give --account" in " ".join(ended.stderr.split())
