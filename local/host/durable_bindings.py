"""The durable bindings of a function app: orchestration and activity triggers, and the client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.host.errors import HostStartError


@dataclass(frozen=True, slots=True)
class OrchestrationTrigger:
    """An ``orchestration_trigger``."""

    name: str
    """The name that orchestrations are started by: the function's, unless the decorator gives another."""


@dataclass(frozen=True, slots=True)
class ActivityTrigger:
    """An ``activity_trigger``."""

    name: str


@dataclass(frozen=True, slots=True)
class ClientInput:
    """A ``durable_client_input``."""

    argument: str
    task_hub: str | None


def parse_orchestration_trigger(
    function: str, binding: Mapping[str, Any], settings: Mapping[str, str]
) -> OrchestrationTrigger:
    """Read an ``orchestrationTrigger`` binding."""
    return OrchestrationTrigger(str(binding.get("orchestration") or function))


def parse_activity_trigger(
    function: str, binding: Mapping[str, Any], settings: Mapping[str, str]
) -> ActivityTrigger:
    """Read an ``activityTrigger`` binding."""
    return ActivityTrigger(str(binding.get("activity") or function))


def parse_client_input(function: str, binding: Mapping[str, Any]) -> ClientInput:
    """Read a ``durableClient`` binding; :class:`HostStartError` where it asks for another storage account."""
    if binding.get("connectionName"):
        raise HostStartError(
            f"Function {function} gives its durable client a connection_name, which this host does not have; "
            "remove it: all orchestrations are in the stack's data folder."
        )
    return ClientInput(str(binding["name"]), str(binding["taskHub"]) if binding.get("taskHub") else None)
