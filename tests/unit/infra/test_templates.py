"""The templates hold together, and every check of them finds what it is for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.archive import store
from shared.archive.names import PREFIX
from shared.containers import CATALOGUE
from shared.people import exports, tombstones
from shared.settings import Settings
from tests.unit.infra.checks import problems
from tests.unit.infra.templates import INFRA, templates

PLATFORM_SETTINGS = {
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}
"""Settings that the platform reads, not the fleet."""

BROKEN = [
    ("app/db.bicep", "param tags object", "param tags object = {", "Unexpected"),
    ("main.bicep", "'app/db.bicep'", "'app/database.bicep'", "does not exist"),
    ("main.bicep", "    databaseName: databaseName\n", "", "lacks the parameter databaseName"),
    (
        "main.bicep",
        "    generation: generation\n",
        "    generation: generation\n    age: 1\n",
        "no parameter age",
    ),
    ("main.bicep", "outputs.workspaceId", "outputs.workspace", "has no output workspace"),
    ("app/budget.bicep", "amount: amount", "amount: amounts", "nothing declares amounts"),
    (
        "app/fleet.bicep",
        "ClientId=${fleetClientId}",
        "ClientId=${fleetClient}",
        "nothing declares fleetClient",
    ),
    ("app/db.bicep", "priority == 0 && zoneRedundant", "priority == 0", "nothing uses zoneRedundant"),
    ("app/db.bicep", "../containers.json", "../container.json", "does not exist"),
    (
        "app/db.bicep",
        "databaseAccounts@2024-11-15' = {",
        "databaseAccounts@2024-12-01-preview' = {",
        "API version",
    ),
    ("main.bicep", "'app/budget.bicep'", "'br/public:avm/res/consumption/budget:0.3.5'", "registry"),
    ("app/storage.bicep", "  tags: tags\n", "", "has no tags"),
    ("app/storage.bicep", "output hostId", "output spare string = host.id\noutput hostId", "output spare"),
    ("main.bicep", "@description('Generation of the state (FLEET_GENERATION).')\n", "", "no description"),
    ("main.bicep", "param shards int", "param Shards int", "camel case"),
    ("main.bicep", "${abbrs.keyVaultVaults}", "kv-", "does not name Microsoft.KeyVault/vaults"),
    (
        "app/storage.bicep",
        "host.properties.primaryEndpoints.blob",
        "host.listKeys().keys[0].value",
        "reads a key",
    ),
    ("app/fleet.bicep", "'UserAssigned'", "'SystemAssigned'", "identity.type UserAssigned"),
    (
        "app/rbac.bicep",
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
    ),
    (
        "app/db-roles.bicep",
        "dataActions: definition.dataActions",
        "dataActions: ['Microsoft.DocumentDB/*']",
        "wildcard",
    ),
    ("app/db.bicep", "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth"),
    ("app/db.bicep", "'Continuous30Days'", "'Continuous7Days'", "Continuous30Days"),
    (
        "app/storage.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "allowSharedKeyAccess",
    ),
    ("app/storage.bicep", "isVersioningEnabled: false", "isVersioningEnabled: true", "isVersioningEnabled"),
    ("app/db.bicep", "'ControlPlaneRequests'", "'DataPlaneRequests'", "names people"),
]


def test_nothing_is_wrong_with_the_templates() -> None:
    assert problems(templates()) == []


@pytest.mark.parametrize(("file", "old", "new", "found"), BROKEN, ids=[each[3] for each in BROKEN])
def test_a_broken_template_is_found(file: str, old: str, new: str, found: str) -> None:
    text = templates()[file].text
    assert old in text
    assert any(found in problem for problem in problems(templates({file: text.replace(old, new, 1)})))


def parameter_files() -> list[Path]:
    return [INFRA / "main.parameters.json", *sorted((INFRA / "parameters").glob("*.json"))]


@pytest.mark.parametrize("path", parameter_files(), ids=lambda path: path.name)
def test_a_parameter_file_gives_what_the_template_takes(path: Path) -> None:
    main = templates()["main.bicep"]
    given = {name: of["value"] for name, of in json.loads(path.read_text("utf-8"))["parameters"].items()}
    assert main.required <= set(given)
    for name, value in given.items():
        rules = {each["type"]: each["argument"] for each in main.parameters[name]["decorators"]}
        if isinstance(value, str) and value.startswith("${"):  # azd puts in the value
            value = re.fullmatch(r"\$\{\w+(?:=([^}]*))?\}", value)[1]  # type: ignore[index]
            if value is None:
                continue
        kind = {"string": str, "int": int, "bool": bool, "array": list}[main.parameters[name]["type"]]
        assert type(value) is kind, name
        assert value in rules.get("allowed", [value]), name
        if kind is int:
            assert rules.get("min_value", value) <= value <= rules.get("max_value", value), name
        if kind is str:
            assert rules.get("min_length", 0) <= len(value) <= rules.get("max_length", 1_000), name
    contradiction = given.get("throughput") == "serverless" and given.get("secondaryLocation", "westeurope")
    assert not contradiction
    if given.get("monthlyBudget", 200):
        assert given["budgetStartDate"]


def test_contradictions_are_refused_with_a_reason() -> None:
    text = templates()["main.bicep"].text
    refused = dict(re.findall(r"^var (\w+) = (.*fail\(.*)$", text, re.MULTILINE))
    assert set(refused) == {"secondRegion", "sharedMaximum", "budgetStart"}
    assert "throughput == 'serverless' && !empty(secondaryLocation) ? fail(" in refused["secondRegion"]
    # What is checked is what is used; the bare parameter is not.
    assert "sharedMaxThroughput: sharedMaximum" in text
    assert "startDate: budgetStart" in text
    assert "regions: regions" in text
    assert "empty(secondRegion) ? [location] : [location, secondRegion]" in text


def test_regions_and_failover_are_those_of_the_specification() -> None:
    parameters = templates()["main.bicep"].parameters
    prod = json.loads((INFRA / "parameters" / "prod.json").read_text("utf-8"))["parameters"]
    assert (prod["location"]["value"], prod["secondaryLocation"]["value"]) == ("eastus", "westeurope")
    assert parameters["secondaryLocation"]["default"] == "westeurope"
    text = templates()["app/db.bicep"].text
    assert "isZoneRedundant: priority == 0 && zoneRedundant" in text
    assert "enableAutomaticFailover: length(regions) > 1" in text


def test_shared_throughput_takes_as_many_containers_as_the_service_allows() -> None:
    assert len(CATALOGUE) <= 25


def app_settings() -> dict[str, Any]:
    bodies = {name: body for name, _, _, body in templates()["app/fleet.bicep"].resources()}
    return dict(bodies["settings"]["properties"])


def test_every_setting_of_the_app_is_one_that_somebody_reads() -> None:
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(app_settings()) - PLATFORM_SETTINGS <= known


def test_settings_that_the_fleet_cannot_do_without_are_there_and_none_is_a_key() -> None:
    settings = app_settings()
    assert {"COSMOS_DATABASE", "FLEET_GENERATION", "FLEET_SHARDS", "FLEET_HASH_KEYS"} <= set(settings)
    assert {f"CosmosDb__{name}" for name in ("accountEndpoint", "credential", "clientId")} <= set(settings)
    assert "CosmosDb" not in settings
    assert "AzureWebJobsStorage" not in settings
    assert str(settings["FLEET_HASH_KEYS"]).startswith("@Microsoft.KeyVault(VaultName=")


def test_the_archive_and_the_sources_for_erasure_are_reached_as_the_lifecycle() -> None:
    clients = {name: value for name, value in app_settings().items() if name.endswith("__clientId")}
    assert clients.pop("ArchiveStorage__clientId") == "lifecycleClientId"
    assert clients.pop("LifecycleCosmosDb__clientId") == "lifecycleClientId"
    assert set(clients.values()) == {"fleetClientId"}


def test_the_archive_has_the_containers_that_the_fleet_uses() -> None:
    listed = templates()["app/storage.bicep"].section("variables")["archiveContainers"]["value"]
    assert set(listed) == {store.CONTAINER, exports.CONTAINER, tombstones.CONTAINER}
    prefixes = re.findall(r"'(\w+/[\w/]*)'", templates()["app/storage.bicep"].text)
    assert set(prefixes) == {f"{store.CONTAINER}/{PREFIX}", f"{exports.CONTAINER}/"}


def test_the_rule_deletes_exports_later_than_the_timer() -> None:
    parameter = templates()["main.bicep"].parameters["exportRetentionDays"]
    assert parameter["default"] > exports.LIFETIME.days


def test_the_holders_of_roles_are_those_that_main_names() -> None:
    roles = json.loads((INFRA / "roles.json").read_text("utf-8"))
    holders = {each["holder"] for each in (*roles["identities"], *roles["people"])}
    module = templates()["main.bicep"].modules["databaseRoles"]
    assert set(module["config"]["params"]["principals"]) == holders


def test_the_host_has_the_roles_on_storage_that_durable_functions_need() -> None:
    text = templates()["app/rbac.bicep"].text
    listed = re.search(r"var hostRoles = \[([^\]]*)\]", text)
    assert listed is not None
    assert set(listed[1].split()) == {
        "storageBlobDataOwner",
        "storageQueueDataContributor",
        "storageTableDataContributor",
    }


def test_rights_on_documents_are_given_by_container() -> None:
    bodies = {name: body for name, _, _, body in templates()["app/db-roles.bicep"].resources()}
    assert "/colls/${assignment.container}" in bodies["itemAssignments"]["properties"]["scope"]
    [permission] = bodies["metadataRole"]["properties"]["permissions"]
    assert [each["operator"]["operands"]["operand_2"] for each in permission["dataActions"]] == [
        "metadataAction"
    ]
