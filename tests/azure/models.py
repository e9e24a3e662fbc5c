"""The resources in the templates against the models of Microsoft's management packages.

The models are made from the descriptions of the services' interfaces. Reported are a property that a model
does not have or says is read only, and a value that is none of its known ones. The packages describe other
versions of the interfaces than the templates pin: a difference between versions shows here too.
"""

from __future__ import annotations

import importlib
import re
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any

from tests.unit.infra.templates import Template, body_of

TYPES: dict[str, tuple[str, str]] = {
    "Microsoft.Authorization/roleAssignments": (
        "authorization.v2022_04_01",
        "RoleAssignmentCreateParameters",
    ),
    "Microsoft.Consumption/budgets": ("consumption", "Budget"),
    "Microsoft.DocumentDB/databaseAccounts": ("cosmosdb", "DatabaseAccountCreateUpdateParameters"),
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases": ("cosmosdb", "SqlDatabaseCreateUpdateParameters"),
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers": (
        "cosmosdb",
        "SqlContainerCreateUpdateParameters",
    ),
    "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments": (
        "cosmosdb",
        "SqlRoleAssignmentCreateUpdateParameters",
    ),
    "Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions": (
        "cosmosdb",
        "SqlRoleDefinitionCreateUpdateParameters",
    ),
    "Microsoft.Insights/actionGroups": ("monitor.v2023_01_01", "ActionGroupResource"),
    "Microsoft.Insights/activityLogAlerts": ("monitor.v2020_10_01", "ActivityLogAlertResource"),
    "Microsoft.Insights/components": ("applicationinsights.v2020_02_02", "ApplicationInsightsComponent"),
    "Microsoft.Insights/diagnosticSettings": ("monitor.v2021_05_01_preview", "DiagnosticSettingsResource"),
    "Microsoft.Insights/metricAlerts": ("monitor.v2018_03_01", "MetricAlertResource"),
    "Microsoft.Insights/scheduledQueryRules": ("monitor.v2022_08_01_preview", "ScheduledQueryRuleResource"),
    "Microsoft.KeyVault/vaults": ("keyvault", "VaultCreateOrUpdateParameters"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi.v2024_11_30", "Identity"),
    "Microsoft.Network/networkSecurityGroups": ("network", "NetworkSecurityGroup"),
    "Microsoft.Network/privateDnsZones": ("privatedns", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("privatedns", "VirtualNetworkLink"),
    "Microsoft.Network/privateEndpoints": ("network", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("network", "PrivateDnsZoneGroup"),
    "Microsoft.Network/virtualNetworks": ("network", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics", "Workspace"),
    "Microsoft.Resources/resourceGroups": ("resource.resources", "ResourceGroup"),
    "Microsoft.Storage/storageAccounts": ("storage", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices": ("storage", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("storage", "BlobContainer"),
    "Microsoft.Storage/storageAccounts/managementPolicies": ("storage", "ManagementPolicy"),
    "Microsoft.Web/serverfarms": ("web", "AppServicePlan"),
    "Microsoft.Web/sites": ("web", "Site"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": (
        "web",
        "CsmPublishingCredentialsPoliciesEntity",
    ),
    "Microsoft.Web/sites/config": ("web", "StringDictionary"),
}
"""By type of resource: the package in ``azure.mgmt``, and the model of what is sent to create one."""

OF_BICEP = {"parent", "scope", "name", "dependsOn"}
"""Keys of a resource that Bicep reads."""


def check(template: Template) -> Iterator[str]:
    """Return what the models do not have."""
    names = {*template.parameters, *template.section("variables"), *template.local_names()}
    for name, kind, _, body in template.resources():
        if kind not in TYPES:
            yield f"{template.name}: {name} is a {kind}, of which no package has a description"
            continue
        given = {key: value for key, value in body.items() if key not in OF_BICEP}
        for problem in _differences(given, _model(*TYPES[kind]), names, ""):
            yield f"{template.name}: {name} {problem}"


def check_container(container: Mapping[str, Any]) -> Iterator[str]:
    """Check a container of `containers.json` as the template passes it on."""
    model = _model("cosmosdb", "SqlContainerResource")
    for problem in _differences(container["resource"], model, set(), ""):
        yield f"containers.json: {container['name']} {problem}"


def _model(package: str, name: str) -> type:
    return typing.cast(type, getattr(importlib.import_module(f"azure.mgmt.{package}.models"), name))


@cache
def _fields(model: type) -> dict[str, tuple[Any, bool]]:
    """Return the type of each property by its name in JSON, and whether it is read only."""
    if hasattr(model, "_attribute_map"):
        return _fields_of_map(model)
    package = importlib.import_module(model.__module__.rpartition(".")[0])
    found: dict[str, tuple[Any, bool]] = {}
    for kind in (*_subclasses(model), model):
        hints = typing.get_type_hints(kind, None, {"_models": package})
        for each in reversed(kind.__mro__):
            for attribute, value in vars(each).items():
                if type(value).__name__ == "_RestField":
                    read_only = value._visibility == ["read"]
                    found[value._rest_name_input or attribute] = (hints.get(attribute, Any), read_only)
    return found


def _subclasses(model: type) -> Iterator[type]:
    """Yield the models that a property of this type may have, if one of its properties says which."""
    if "__mapping__" in vars(model):
        for each in model.__subclasses__():
            yield each
            yield from _subclasses(each)


def _fields_of_map(model: Any) -> dict[str, tuple[Any, bool]]:
    """Return the same of a model whose nested properties are flattened: ``properties.severity``."""
    found: dict[str, tuple[Any, bool]] = {}
    for each in (model, *_subtypes(model)):
        for attribute, of in each._attribute_map.items():
            read_only = bool(each._validation.get(attribute, {}).get("readonly"))
            place, parts = found, re.split(r"(?<!\\)\.", of["key"])
            for part in parts[:-1]:
                inner, _ = place.setdefault(part, ({}, False))
                place = inner if isinstance(inner, dict) else {}
            place[parts[-1].replace("\\.", ".")] = ((each, of["type"]), read_only)
    return found


def _subtypes(model: Any) -> Iterator[Any]:
    """Yield the models that a property of this type may have, as its discriminator says."""
    module = importlib.import_module(model.__module__.rpartition(".")[0])
    for names in vars(model).get("_subtype_map", {}).values():
        for name in names.values():
            yield getattr(module, name)
            yield from _subtypes(getattr(module, name))


def _differences(value: Any, kind: Any, names: set[str], path: str) -> Iterator[str]:
    if isinstance(value, Mapping) and set(value) == {"operator"}:
        yield from _of_expression(value["operator"], kind, names, path)
        return
    if isinstance(value, Mapping) and "loop_type" in value:
        yield from _differences([body_of(value)], kind, names, path)
        return
    if isinstance(value, Mapping) and set(value) == {"function"}:
        return
    fields, items, known = _shape(kind)
    if isinstance(value, list):
        for each in value:
            yield from _differences(each, items, names, path)
    elif isinstance(value, Mapping) and fields is not None:
        for key, inner in value.items():
            key = key.strip("'")
            here = f"{path}.{key}" if path else key
            if key not in fields:
                yield f"has no property {here}"
            elif fields[key][1]:
                yield f"cannot be given {here}: it is read only"
            else:
                yield from _differences(inner, fields[key][0], names, here)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _differences(inner, items, names, f"{path}.{key}")
    elif isinstance(value, str) and known and value not in names and "${" not in value and value not in known:
        yield f"has no value {value!r} of {path}, only {', '.join(sorted(known))}"


def _of_expression(operator: Mapping[str, Any], kind: Any, names: set[str], path: str) -> Iterator[str]:
    """Check both branches of a condition; what other operators yield is not known here."""
    operands = operator["operands"]
    if operator["type"] == "conditional":
        yield from _differences(operands["true_value"], kind, names, path)
        yield from _differences(operands["false_value"], kind, names, path)
        return
    # pycep binds a comparison less tightly than a condition: the condition is its last operand.
    last = [*operands.values()][-1]
    if isinstance(last, Mapping) and dict(last.get("operator", {})).get("type") == "conditional":
        yield from _of_expression(last["operator"], kind, names, path)


def _shape(kind: Any) -> tuple[dict[str, tuple[Any, bool]] | None, Any, set[str]]:
    """Return what a type is: properties; the type of its items, of a list or dictionary; its known values."""
    if isinstance(kind, dict):
        return kind, Any, set()
    if isinstance(kind, tuple):
        return _shape_of_text(*kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        shapes = [_shape(each) for each in arguments if each is not type(None)]
        fields = next((shape[0] for shape in shapes if shape[0] is not None), None)
        items = next((shape[1] for shape in shapes if shape[1] is not Any), Any)
        return fields, items, {value for shape in shapes for value in shape[2]}
    if origin in (list, dict):
        return None, arguments[-1], set()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return None, Any, {str(each.value) for each in kind}
    if isinstance(kind, type) and _is_model(kind):
        return _fields(kind), Any, set()
    return None, Any, set()


def _is_model(kind: type) -> bool:
    return hasattr(kind, "_attribute_map") or any(
        base.__name__ == "Model" and base.__module__.endswith("model_base") for base in kind.__mro__
    )


def _shape_of_text(owner: type, text: str) -> tuple[dict[str, tuple[Any, bool]] | None, Any, set[str]]:
    if text.startswith(("[", "{")):
        return None, (owner, text[1:-1]), set()
    module = importlib.import_module(owner.__module__.rpartition(".")[0])
    named = getattr(module, text, None)
    return _shape(named) if named is not None else (None, Any, set())
