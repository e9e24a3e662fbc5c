"""What this host takes from ``extensions.durableTask`` of ``host.json``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from local.host.errors import HostStartError
from local.host.settings import resolve_placeholders
from local.host.start_checks import number_or

DEFAULT_HUB = "TestHubName"
"""The extension's own default where the app has no site name."""
HUB_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9]{2,44}$")
UNSUPPORTED = ("versionMatchStrategy", "versionFailureStrategy", "notifications")
"""Settings that change what becomes of orchestrations, and that this host does not follow."""
STORAGE = "AzureStorage"
RETENTION_SETTING = "HOST_DURABLE_RETENTION_HOURS"
DEFAULT_RETENTION_HOURS = 24 * 7


@dataclass(frozen=True, slots=True)
class DurableSettings:
    """How this host runs orchestrations."""

    hub: str = DEFAULT_HUB
    max_activities: int = 10
    """Activities that one host runs at the same time."""
    max_orchestrations: int = 10
    """Episodes that one host runs at the same time."""
    default_version: str = ""
    """Version of orchestrations that are started without one."""
    retention: timedelta = timedelta(hours=DEFAULT_RETENTION_HOURS)
    """How long what has ended can be asked for."""
    replace_running: bool = False
    """Whether an orchestration may be started under the id of one that runs, and replaces it then."""


def read_durable_settings(host_json: Mapping[str, Any], settings: Mapping[str, str]) -> DurableSettings:
    """Read the section.

    Raises
    ------
    HostStartError
        A value cannot be used; the sentence names it.
    """
    section = host_json.get("extensions", {}).get("durableTask", {})
    where = "'extensions.durableTask.hubName' of host.json"
    hub = resolve_placeholders(str(section.get("hubName", DEFAULT_HUB)), settings, where=where)
    if not HUB_NAME.match(hub):
        raise HostStartError(
            f"{where} is {hub!r}; it must be a letter followed by 2 to 44 letters and digits."
        )
    _refuse_unsupported(section)
    default = 10 * (os.cpu_count() or 1)  # the extension's default
    states = section.get("overridableExistingInstanceStates", "NonRunningStates")
    if states not in ("NonRunningStates", "AnyState"):
        raise HostStartError(
            "'extensions.durableTask.overridableExistingInstanceStates' of host.json is "
            f"{states!r}; it must be NonRunningStates or AnyState."
        )
    return DurableSettings(
        hub=hub,
        max_activities=_positive(section, "maxConcurrentActivityFunctions", default),
        max_orchestrations=_positive(section, "maxConcurrentOrchestratorFunctions", default),
        default_version=str(section.get("defaultVersion") or ""),
        retention=timedelta(hours=number_or(settings, RETENTION_SETTING, DEFAULT_RETENTION_HOURS)),
        replace_running=states == "AnyState",
    )


def _refuse_unsupported(section: Mapping[str, Any]) -> None:
    for name in UNSUPPORTED:
        if name in section:
            raise HostStartError(
                f"'extensions.durableTask.{name}' of host.json is set, and this host does not follow it."
            )
    provider = section.get("storageProvider", {})
    kind = provider.get("type", STORAGE) if isinstance(provider, dict) else None
    if str(kind).lower() != STORAGE.lower():
        raise HostStartError(
            f"'extensions.durableTask.storageProvider' of host.json is {provider!r}; this host stands for "
            f"{STORAGE}."
        )


def _positive(section: Mapping[str, Any], name: str, default: int) -> int:
    value = section.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise HostStartError(
            f"'extensions.durableTask.{name}' of host.json is {value!r}; it must be a positive number."
        )
    return value
