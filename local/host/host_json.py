"""What ``host.json`` may hold on version 4 of the platform. It ignores a misspelt key; this host does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.host.errors import HostStartError

TOP_LEVEL = frozenset(
    {
        "$schema",
        "aggregator",
        "concurrency",
        "customHandler",
        "extensionBundle",
        "extensions",
        "functionTimeout",
        "functions",
        "healthMonitor",
        "logging",
        "managedDependency",
        "singleton",
        "telemetryMode",
        "version",
        "watchDirectories",
        "watchFiles",
    }
)
"""Keys of the documentation's "host.json reference for Azure Functions 2.x and later"."""
SECTIONS: Mapping[tuple[str, ...], frozenset[str]] = {
    ("extensionBundle",): frozenset({"id", "version"}),
    ("extensions", "cosmosDB"): frozenset({"connectionMode", "userAgentSuffix"}),
    ("extensions", "durableTask"): frozenset(
        {
            "appLeaseOptions",
            "defaultVersion",
            "entityMessageReorderWindowInMinutes",
            "extendedSessionIdleTimeoutInSeconds",
            "extendedSessionsEnabled",
            "grpcEnabled",
            "httpSettings",
            "hubName",
            "localRpcEndpointEnabled",
            "maxConcurrentActivityFunctions",
            "maxConcurrentEntityFunctions",
            "maxConcurrentOrchestratorFunctions",
            "maxEntityOperationBatchSize",
            "maxOrchestrationActions",
            "notifications",
            "overridableExistingInstanceStates",
            "rollbackEntityOperationsOnExceptions",
            "storageProvider",
            "storeInputsInOrchestrationHistory",
            "throwStatusExceptionsOnRaiseEvent",
            "tracing",
            "useAppLease",
            "useGracefulShutdown",
            "versionFailureStrategy",
            "versionMatchStrategy",
        }
    ),
    ("extensions", "http"): frozenset(
        {
            "customHeaders",
            "dynamicThrottlesEnabled",
            "hsts",
            "maxConcurrentRequests",
            "maxOutstandingRequests",
            "routePrefix",
        }
    ),
    ("logging",): frozenset(
        {"applicationInsights", "console", "fileLoggingMode", "logLevel", "isDefaultHostConfig"}
    ),
}
BUNDLE = "Microsoft.Azure.Functions.ExtensionBundle"
OLDEST_BUNDLE = 4
"""The first extension bundle whose Cosmos DB trigger has ``connection`` and ``containerName``."""
RANGE = re.compile(r"^[\[(]\s*(\d+)(?:\.(?:\d+|\*))*\s*,\s*(?:\d+(?:\.\d+)*)?\s*[\])]$")


def check_host_json(document: Mapping[str, Any], path: Path) -> None:
    """Refuse keys that the platform does not know, and an extension bundle without the app's triggers.

    Raises
    ------
    HostStartError
        The sentence names the key.
    """
    _check_keys(document, TOP_LEVEL, path, "")
    for names, known in SECTIONS.items():
        _check_keys(_section(document, names, path), known, path, ".".join(names) + ".")
    mode = _section(document, ("extensions", "cosmosDB"), path).get("connectionMode", "Gateway")
    if mode not in ("Gateway", "Direct"):
        raise HostStartError(
            f"'extensions.cosmosDB.connectionMode' in {path} is {mode!r}; it must be Gateway or Direct."
        )
    bundle = document.get("extensionBundle")
    if bundle:
        _check_bundle(bundle, path)


def _section(document: Mapping[str, Any], names: tuple[str, ...], path: Path) -> Mapping[str, Any]:
    found: Any = document
    for depth, name in enumerate(names, 1):
        found = found.get(name, {})
        if not isinstance(found, dict):
            raise HostStartError(f"'{'.'.join(names[:depth])}' in {path} must be an object.")
    section: Mapping[str, Any] = found
    return section


def _check_keys(section: Mapping[str, Any], known: frozenset[str], path: Path, prefix: str) -> None:
    for key in section:
        if key not in known:
            raise HostStartError(
                f"'{prefix}{key}' in {path} is not a setting of host.json, so the platform would ignore it; "
                f"known are {', '.join(sorted(known))}."
            )


def _check_bundle(bundle: Mapping[str, Any], path: Path) -> None:
    if bundle.get("id") not in (BUNDLE, f"{BUNDLE}.Preview", f"{BUNDLE}.Experimental"):
        raise HostStartError(
            f"'extensionBundle.id' in {path} is {bundle.get('id')!r}; it must be {BUNDLE!r}."
        )
    match = RANGE.match(str(bundle.get("version", "")))
    if match is None or int(match.group(1)) < OLDEST_BUNDLE:
        raise HostStartError(
            f"'extensionBundle.version' in {path} is {bundle.get('version')!r}; it must be a range from "
            f"{OLDEST_BUNDLE} on, like '[4.0.0, 5.0.0)'."
        )
