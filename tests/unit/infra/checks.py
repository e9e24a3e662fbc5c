"""What must hold of the templates. Each check returns what is wrong, in words; nothing if all is well."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tests.unit.infra.templates import DECORATORS, FUNCTIONS, INFRA, Template, body_of, walk

Templates = Mapping[str, Template]

PREVIEWS = {"Microsoft.Insights/diagnosticSettings"}
"""Types of which the service has no API version but a preview."""

WITHOUT_TAGS = re.compile(
    r"Microsoft\.(Authorization|Consumption)/.*|.*/diagnosticSettings|.*/sqlRole(Definitions|Assignments)"
    r"|Microsoft\.Storage/storageAccounts/.+|Microsoft\.Web/sites/.+|.*/privateDnsZoneGroups"
)
"""Types that take no tags."""

NAMED_BY = {
    "Microsoft.DocumentDB/databaseAccounts": "documentDBDatabaseAccounts",
    "Microsoft.Insights/actionGroups": "insightsActionGroups",
    "Microsoft.Insights/components": "insightsComponents",
    "Microsoft.KeyVault/vaults": "keyVaultVaults",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "managedIdentityUserAssignedIdentities",
    "Microsoft.Network/virtualNetworks": "networkVirtualNetworks",
    "Microsoft.OperationalInsights/workspaces": "operationalInsightsWorkspaces",
    "Microsoft.Resources/resourceGroups": "resourcesResourceGroups",
    "Microsoft.Storage/storageAccounts": "storageStorageAccounts",
    "Microsoft.Web/serverfarms": "webServerFarms",
    "Microsoft.Web/sites": "webSitesFunctions",
}

PRIVILEGED = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "00000000-0000-0000-0000-000000000002": "Cosmos DB Built-in Data Contributor",
}

SECRETS = {
    r"list(Keys|ConnectionStrings|AccountSas|ServiceSas|Secrets)\(": "reads a key",
    r"(?i)AccountKey=|SharedAccessKey|sig=|password\s*[:=]\s*'": "holds a secret",
    r"@secure": "takes a secret: it would be in the history of deployments",
    r"(?i)Microsoft\.KeyVault/vaults/secrets": "writes a secret: it would be in the history of deployments",
}


def unparsable(templates: Templates) -> Iterator[str]:
    for template in templates.values():
        try:
            assert template.tree
        except Exception as error:  # noqa: BLE001  whatever the parser raises is the finding
            yield f"{template.name}: {error}"


def wrong_modules(templates: Templates) -> Iterator[str]:
    """Modules that do not exist, parameters that are missing or too many, outputs that are not there."""
    for template in templates.values():
        folder, called = PurePosixPath(template.name).parent, {}
        for name, module in template.modules.items():
            path = str(folder / module["detail"]["path"])
            if path not in templates:
                yield f"{template.name}: module {name} is {path}, which does not exist"
                continue
            called[name] = templates[path]
            given = set(body_of(module).get("params", {}))
            for missing in called[name].required - given:
                yield f"{template.name}: module {name} lacks the parameter {missing}"
            for unknown in given - set(called[name].parameters):
                yield f"{template.name}: module {name} has no parameter {unknown}"
        for name, output in template.outputs_used():
            if name in called and output not in called[name].section("outputs"):
                yield f"{template.name}: module {name} has no output {output}"
    called_files = {
        str(PurePosixPath(template.name).parent / module["detail"]["path"])
        for template in templates.values()
        for module in template.modules.values()
    }
    for name in set(templates) - called_files - {"main.bicep"}:
        yield f"{name}: no template calls it"


def wrong_names(templates: Templates) -> Iterator[str]:
    """Words that nothing declares, and what is declared but not used."""
    for template in templates.values():
        sections = ("parameters", "variables", "resources", "modules")
        declared = {name for section in sections for name in template.section(section)}
        words = template.words()
        known = declared | template.local_names() | FUNCTIONS | DECORATORS
        for word in words - known:
            yield f"{template.name}: nothing declares {word}"
        for name in (set(template.parameters) | set(template.section("variables"))) - words:
            yield f"{template.name}: nothing uses {name}"
        for used in re.findall(r"loadJsonContent\('([^']+)'\)", template.text):
            path = (INFRA / template.name).parent / used
            if not path.is_file():
                yield f"{template.name}: {used} does not exist"


def unused_outputs(templates: Templates) -> Iterator[str]:
    used = {
        (str(PurePosixPath(template.name).parent / template.modules[name]["detail"]["path"]), output)
        for template in templates.values()
        for name, output in template.outputs_used()
        if name in template.modules
    }
    for template in templates.values():
        for output in template.section("outputs"):
            if template.name != "main.bicep" and (template.name, output) not in used:
                yield f"{template.name}: nothing uses the output {output}"


def unpinned(templates: Templates) -> Iterator[str]:
    for template in templates.values():
        for existing in (False, True):
            for name, kind, version, _ in template.resources(existing=existing):
                if not re.fullmatch(r"20\d\d-\d\d-\d\d", version) and kind not in PREVIEWS:
                    yield f"{template.name}: {name} has the API version {version}"
        for name, module in template.modules.items():
            if module["type"] != "local":
                yield f"{template.name}: module {name} comes from a registry"


def untidy(templates: Templates) -> Iterator[str]:
    """What breaks the rules of naming, tagging and describing."""
    abbreviations = json.loads((INFRA / "abbreviations.json").read_text(encoding="utf-8"))
    for template in templates.values():
        if "description" not in template.tree.get("metadata", {}):
            yield f"{template.name}: has no description"
        for name, of in template.parameters.items():
            if not re.fullmatch(r"[a-z][A-Za-z0-9]*", name):
                yield f"{template.name}: the parameter {name} is not in camel case"
            described = any(each["type"] == "description" for each in of["decorators"])
            if template.name == "main.bicep" and not described:
                yield f"{template.name}: the parameter {name} has no description"
        for name, kind, _, body in template.resources():
            if not WITHOUT_TAGS.fullmatch(kind) and body.get("tags") != "tags":
                yield f"{template.name}: {name} has no tags"
    for kind, abbreviation in NAMED_BY.items():
        if abbreviation not in abbreviations:
            yield f"abbreviations.json: has no {abbreviation}, for {kind}"
        elif f"abbrs.{abbreviation}" not in templates["main.bicep"].text:
            yield f"main.bicep: does not name {kind} with {abbreviation}"


def secrets(templates: Templates) -> Iterator[str]:
    for template in templates.values():
        for pattern, what in SECRETS.items():
            if re.search(pattern, template.text):
                yield f"{template.name}: {what}"


def wide_rights(templates: Templates) -> Iterator[str]:
    for template in templates.values():
        for role, name in PRIVILEGED.items():
            if role in template.text:
                yield f"{template.name}: gives the role {name}"
        for name, _, _, body in template.resources():
            for path, value in walk(body):
                if path.rpartition(".")[2] in ("actions", "dataActions", "notActions") and "*" in str(value):
                    yield f"{template.name}: {name} gives a right with a wildcard"


LOCKED_DOWN: Mapping[str, Mapping[str, Any]] = {
    "Microsoft.DocumentDB/databaseAccounts": {
        "properties.disableLocalAuth": True,
        "properties.disableKeyBasedMetadataWriteAccess": True,
        "properties.minimalTlsVersion": "Tls12",
        "properties.enableMultipleWriteLocations": False,
        "properties.consistencyPolicy.defaultConsistencyLevel": "Session",
        "properties.backupPolicy.type": "Continuous",
        "properties.backupPolicy.continuousModeProperties.tier": "Continuous30Days",
    },
    "Microsoft.Storage/storageAccounts": {
        "properties.allowSharedKeyAccess": False,
        "properties.allowBlobPublicAccess": False,
        "properties.supportsHttpsTrafficOnly": True,
        "properties.minimumTlsVersion": "TLS1_2",
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
    "Microsoft.KeyVault/vaults": {
        "properties.enableRbacAuthorization": True,
        "properties.enablePurgeProtection": True,
    },
    "Microsoft.Web/sites": {
        "properties.httpsOnly": True,
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.siteConfig.ftpsState": "Disabled",
        "identity.type": "UserAssigned",
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"properties.allow": False},
    "Microsoft.Insights/components": {
        "properties.DisableLocalAuth": True,
        "properties.DisableIpMasking": False,
    },
    "Microsoft.OperationalInsights/workspaces": {"properties.features.disableLocalAuth": True},
}
"""Properties that have one value in every resource of a type: identity everywhere, and the specification's
consistency and backup."""


def not_locked_down(templates: Templates) -> Iterator[str]:
    seen = set()
    for template in templates.values():
        for name, kind, _, body in template.resources():
            seen.add(kind)
            values = dict(walk(body))
            for path, expected in LOCKED_DOWN.get(kind, {}).items():
                if values.get(path) != expected:
                    yield f"{template.name}: {name} must have {path} {expected}"
    for kind in set(LOCKED_DOWN) - seen:
        yield f"no template has a resource of the type {kind}"


def outlives_erasure(templates: Templates) -> Iterator[str]:
    """Settings by which a blob stays after it was deleted. There may be none in the archive."""
    expected = {
        "properties.deleteRetentionPolicy.enabled": False,
        "properties.containerDeleteRetentionPolicy.enabled": False,
        "properties.isVersioningEnabled": False,
        "properties.changeFeed.enabled": False,
        "properties.restorePolicy.enabled": False,
    }
    storage = templates["app/storage.bicep"]
    bodies = {name: body for name, _, _, body in storage.resources()}
    values = dict(walk(bodies.get("archiveBlobs", {})))
    for path, value in expected.items():
        if values.get(path) is not value:
            yield f"{storage.name}: archiveBlobs must have {path} false"


LOGS_WITH_PEOPLE = {
    "DataPlaneRequests", "QueryRuntimeStatistics", "PartitionKeyStatistics", "PartitionKeyRUConsumption",
    "StorageRead", "StorageWrite", "StorageDelete", "allLogs", "audit",
}  # fmt: skip
"""Categories of logs whose rows name documents, partition keys or blobs, and groups of categories."""


def logs_with_people(templates: Templates) -> Iterator[str]:
    for template in templates.values():
        for name, kind, _, body in template.resources():
            if kind != "Microsoft.Insights/diagnosticSettings":
                continue
            for path, value in walk(body):
                if path.rpartition(".")[2] in ("category", "categoryGroup") and value in LOGS_WITH_PEOPLE:
                    yield f"{template.name}: {name} logs {value}, which names people"


CHECKS: tuple[Callable[[Templates], Iterator[str]], ...] = (
    wrong_modules, wrong_names, unused_outputs, unpinned, untidy, secrets, wide_rights, not_locked_down,
    outlives_erasure, logs_with_people,
)  # fmt: skip


def problems(templates: Templates) -> list[str]:
    """Return everything that is wrong. What cannot be parsed is checked no further."""
    return list(unparsable(templates)) or [found for check in CHECKS for found in check(templates)]
