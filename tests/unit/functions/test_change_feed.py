"""All change feed triggers keep their leases in one container, and a failed batch is never skipped."""

from __future__ import annotations

from typing import Any

import azure.functions as func
import pytest
from azure.functions.decorators.function_app import Function

from functions import change_feed
from functions.change_feed import change_feed_trigger
from shared.cosmos.retries import RetryPolicy
from tests.unit.functions.registered import functions_of, trigger_of


async def handler(documents: func.DocumentList) -> None:
    """Do nothing."""


def registered() -> Function:
    blueprint = func.Blueprint()
    change_feed_trigger(blueprint, "some_name", "some_container", prefix="some", poll_delay_ms=1500)(handler)
    (function,) = functions_of(blueprint).values()
    return function


def policy() -> dict[str, Any]:
    settings: dict[str, Any] = registered().get_settings_dict("retry_policy")
    settings.pop("setting_name")
    return settings


def test_the_trigger_follows_the_container_from_the_beginning_with_leases_of_the_generation() -> None:
    trigger = trigger_of(registered())
    direction = trigger.pop("direction")
    assert direction.name == "IN"
    assert trigger == {
        "type": "cosmosDBTrigger",
        "name": "documents",
        "connection": "CosmosDb",
        "databaseName": "%COSMOS_DATABASE%",
        "containerName": "some_container",
        "leaseContainerName": "change_feed_leases",
        "leaseContainerPrefix": "some-%FLEET_GENERATION%-",
        "createLeaseContainerIfNotExists": False,
        "maxItemsPerInvocation": 1000,
        "feedPollDelay": 1500,
        "startFromBeginning": True,
    }


def test_the_function_has_the_name() -> None:
    assert registered().get_function_name() == "some_name"


def test_a_failed_batch_is_run_again_without_limit() -> None:
    assert policy() == {
        "strategy": "exponential_backoff",
        "max_retry_count": "-1",
        "minimum_interval": "00:00:01",
        "maximum_interval": "00:01:00",
    }


@pytest.mark.parametrize(
    ("of_invocations", "retries", "pauses"),
    [
        (RetryPolicy(attempts=5, first_pause=2.0, longest_pause=90.0), "4", ("00:00:02", "00:01:30")),
        (RetryPolicy(attempts=1, first_pause=60.0, longest_pause=3600.0), "0", ("00:01:00", "01:00:00")),
        (RetryPolicy(attempts=None, first_pause=1.0, longest_pause=61.0), "-1", ("00:00:01", "00:01:01")),
    ],
)
def test_the_policy_is_the_one_for_invocations(
    monkeypatch: pytest.MonkeyPatch, of_invocations: RetryPolicy, retries: str, pauses: tuple[str, str]
) -> None:
    monkeypatch.setattr(change_feed, "INVOCATION", of_invocations)
    found = policy()
    assert found["max_retry_count"] == retries
    assert (found["minimum_interval"], found["maximum_interval"]) == pauses
