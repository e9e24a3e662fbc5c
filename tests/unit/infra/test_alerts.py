"""Every threshold of the specification that Azure measures is an alert, and alerts name what is logged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from shared.log_events import LOG_EVENTS
from tests.unit.infra.templates import ROOT, templates

ALERTS = templates()["app/alerts.bicep"]

GB = 1_000_000_000

OF_THE_SPECIFICATION = {
    "cosmos_db_availability": ("cosmos-availability", "ServiceAvailability", "LessThan", 99),
    "ru_consumption": ("cosmos-ru-consumption", "NormalizedRUConsumption", "GreaterThan", 80),
    "partition_hot_spotting": ("cosmos-hot-partition", "NormalizedRUConsumption", "GreaterThan", 80),
    "query_latency_ms": ("cosmos-latency", "ServerSideLatencyGateway", "GreaterThan", 500),
}
"""Threshold of the specification: the rule, its metric, and when it fires. 80 % of the throughput is also
``ru_consumption_per_second``: 800 of 1,000."""

OF_LOGS = {
    "error_rate": ("function-error-rate", "GreaterThan", 5),
    "avg_response_time": ("http-response-time", "GreaterThan", 3000),
}

OF_STORAGE = {
    "storage_usage_gb": ("cosmos-storage-usage", 80),
    "storage_utilization": ("cosmos-storage-utilization", 85),
}
"""Percent of the planned storage."""


def rules(variable: str) -> dict[str, Mapping[str, Any]]:
    return {rule["name"]: rule for rule in ALERTS.section("variables")[variable]["value"]}


METRICS, LOGS = rules("metricAlertRules"), rules("logAlertRules")


@pytest.mark.parametrize("threshold", OF_THE_SPECIFICATION)
def test_a_threshold_of_the_specification_is_an_alert(threshold: str) -> None:
    name, metric, operator, value = OF_THE_SPECIFICATION[threshold]
    rule = METRICS[name]
    assert (rule["metric"], rule["operator"], rule["threshold"]) == (metric, operator, value)


@pytest.mark.parametrize("threshold", OF_LOGS)
def test_a_threshold_of_invocations_is_an_alert(threshold: str) -> None:
    name, operator, value = OF_LOGS[threshold]
    assert (LOGS[name]["operator"], LOGS[name]["threshold"]) == (operator, value)


@pytest.mark.parametrize("threshold", OF_STORAGE)
def test_a_threshold_of_storage_is_an_alert(threshold: str) -> None:
    name, percent = OF_STORAGE[threshold]
    factor = re.search(rf"name: '{name}'.*?threshold: storageLimitGB \* (\d+)", ALERTS.text, re.DOTALL)
    assert factor is not None
    assert int(factor[1]) == percent * GB // 100
    rule = METRICS[name]
    assert rule["metric"] == "DataUsage"
    # Each region reports every five minutes; a longer window or both regions would be a multiple of the size.
    assert (rule["aggregation"], rule["window"], rule["dimensions"]) == ("Total", "PT5M", ["Region"])


def test_failed_requests_are_counted_by_the_minute() -> None:
    bodies = {name: body for name, _, _, body in ALERTS.resources()}
    properties = bodies["failedRequests"]["properties"]
    [criterion] = properties["criteria"]["allOf"]
    assert (criterion["metricName"], criterion["threshold"]) == ("TotalRequests", 10)
    assert (properties["windowSize"], properties["evaluationFrequency"]) == ("PT1M", "PT1M")
    codes = set(ALERTS.section("variables")["failedStatusCodes"]["value"])
    assert {"429", "500", "503"} <= codes
    assert not codes & {"304", "404", "409", "412"}, "answers that the fleet works with"


def test_a_hot_partition_is_watched_by_partition() -> None:
    assert METRICS["cosmos-hot-partition"]["dimensions"] == ["CollectionName", "PartitionKeyRangeId"]
    assert METRICS["cosmos-hot-partition"]["aggregation"] == "Maximum"


@pytest.mark.parametrize("name", LOGS)
def test_a_query_names_events_that_are_logged(name: str) -> None:
    query = LOGS[name]["query"]
    assert query.count("value =") == 1, "the measured column"
    if query.startswith("${events}"):
        named = re.findall(r'"(\w+)"', query)
        assert named
        assert set(named) <= set(LOG_EVENTS)
    else:
        assert query.startswith("requests |")


def test_a_window_is_not_shorter_than_its_frequency() -> None:
    minutes = {
        "PT1M": 1, "PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "P1D": 1_440, "P2D": 2_880,
    }  # fmt: skip
    for rule in (*METRICS.values(), *LOGS.values()):
        assert minutes[rule["window"]] >= minutes[rule["frequency"]]
    # The auditor runs every five minutes; a run may take most of that.
    assert minutes[LOGS["audit-silent"]["window"]] >= 4 * 5
    # The archive runs once a day, and may take hours.
    assert minutes[LOGS["archive-silent"]["window"]] >= 2 * 1_440


def test_every_alert_is_in_the_table_of_the_page() -> None:
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    table = page[page.index("## Alerts") : page.index("## What only Azure can refuse")]
    listed = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`|^\| `(poisoned)`", table, re.MULTILINE))
    assert {one or other for one, other in listed} == {
        *METRICS,
        *LOGS,
        "cosmos-failed-requests",
        "resource-health",
    }


def test_every_alert_says_what_it_means_and_critical_ones_are_those_of_the_specification() -> None:
    assert all(len(rule["description"]) > 20 for rule in (*METRICS.values(), *LOGS.values()))
    for name in ("cosmos-availability", "function-error-rate", "http-response-time", "fleet-refuses-work"):
        assert {**METRICS, **LOGS}[name]["severity"] <= 1
