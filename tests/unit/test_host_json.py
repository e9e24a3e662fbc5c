"""``host.json`` hides nothing that is needed to see the app, and has the time limit that the code expects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.host.settings import load_host_json
from shared.cosmos.retries import INVOCATION_SECONDS

ROOT = Path(__file__).parents[2]
LOGGING = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["logging"]
FLEX_CONSUMPTION_DEFAULT_SECONDS = 1_800


def test_the_platform_lets_an_invocation_end_by_itself() -> None:
    limit = load_host_json(ROOT).function_timeout
    assert limit == FLEX_CONSUMPTION_DEFAULT_SECONDS
    assert limit - 60 >= INVOCATION_SECONDS


@pytest.mark.parametrize("category", ["Function", "Host.Results", "Host.Aggregator"])
def test_what_application_insights_makes_requests_and_metrics_of_is_logged(category: str) -> None:
    assert LOGGING["logLevel"][category] in ("Information", "Debug", "Trace")


@pytest.mark.parametrize("kind", ["Exception", "Request", "Trace"])
def test_no_invocation_and_no_event_is_sampled_away(kind: str) -> None:
    assert kind in LOGGING["applicationInsights"]["samplingSettings"]["excludedTypes"].split(";")


def test_every_choice_is_explained_where_an_operator_looks_for_it() -> None:
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8").partition("`host.json` decides")[2]
    for category in (*LOGGING["logLevel"], "functionTimeout", "samplingSettings.excludedTypes"):
        assert f"`{category}`" in page or f"`logging.logLevel.{category}`" in page, category
