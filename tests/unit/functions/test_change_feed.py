"""All change feed triggers keep their leases in one container, and a failed batch is never skipped."""

from __future__ import annotations

import asyncio
from typing import Any

import azure.functions as func
import pytest
from azure.functions.decorators.function_app import Function

from functions import change_feed
from functions.change_feed import change_feed_trigger
from functions.runtime import in_time
from shared.cosmos.retries import INVOCATION_SECONDS, RetryPolicy
from shared.errors import DeadlineError
from tests.unit.functions.registered import functions_of, handler_of, trigger_of
from tests.virtual_time import run


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


def test_the_function_has_the_name_and_is_the_handler_within_its_deadline() -> None:
    function = registered()
    assert function.get_function_name() == "some_name"
    assert handler_of(function).__wrapped__ is handler  # type: ignore[attr-defined]


def test_an_invocation_that_never_ends_fails_at_its_deadline() -> None:
    async def never_ends(documents: func.DocumentList) -> None:
        await asyncio.sleep(100_000)

    async def work() -> float:
        with pytest.raises(DeadlineError):
            await in_time(never_ends)(func.DocumentList())
        return asyncio.get_running_loop().time()

    assert run(work()) == INVOCATION_SECONDS


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
