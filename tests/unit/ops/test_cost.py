"""The estimate of costs: sums by hand, and what holds for any traffic."""

from __future__ import annotations

import json
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench.measured import measured as figures_of
from ops.__main__ import cli
from ops.cost import measured, prices
from ops.cost_model import (
    Estimate,
    Measured,
    Prices,
    Throughput,
    Traffic,
    estimate,
    interpolated,
)
from ops.cost_page import cost_page
from shared.containers import CATALOGUE
from shared.errors import RefusedError

PAGE = Path(__file__).parents[3] / "docs" / "cost.md"

ESTIMATE = ["cost", "estimate", "--users"]
SERVERLESS = ["--throughput", "serverless"]

FIGURES = Measured(
    at="2026-01-01",
    machine="two cores",
    units_by_batch=((1, 50.0), (100, 30.0)),
    scheduled_units=10.0,
    idle_units=36_000.0,
    changes_per_interaction=2.0,
    writer_units=30.0,
    unit_shares={"view_state": 1.0},
    bytes_per_interaction={"user_interactions": 2_000.0},
    bytes_per_person=1_000.0,
    fixed_bytes=0.0,
    seconds_by_batch=((1, 0.02), (100, 0.002)),
    timer_runs=1_000.0,
)

LISTED = Prices(
    at="2026-01-01",
    region="nowhere",
    usd={
        "autoscale_100_units_hour": 0.01,
        "serverless_million_units": 1.0,
        "database_gb_month": 1.0,
        "backup_gb_month": 1.0,
        "transfer_gb": 1.0,
        "execution_gb_second": 1.0,
        "execution_million": 1.0,
        "cold_gb_month": 1.0,
        "cold_10000_writes": 1.0,
        "log_gb": 1.0,
    },
    free={"execution_gb_seconds": 0.0, "executions": 0.0, "log_gb": 0.0},
)

MOST = 10**9

traffics = st.builds(
    Traffic,
    st.integers(1, MOST),
    st.integers(0, MOST),
    st.integers(1, 5),
    st.sampled_from([Throughput.PER_CONTAINER, Throughput.SHARED]),
)


def usd(found: Estimate) -> dict[str, float]:
    return {item.name: item.usd for item in found.items}


def test_a_thousand_a_day_without_servers_by_hand() -> None:
    found = usd(estimate(Traffic(1_000_000, 1_000, 1, Throughput.SERVERLESS), FIGURES, LISTED))
    # 2,000 changes of 50 + 10 units (hardly two in one batch), an idle day's 864,000, 30,000 by the writer,
    # in 730 hours. 1,000 interactions of 2 KB on 365 days are 0.73 GB, a million people 1 GB.
    assert found["request units"] == pytest.approx(
        730 / 24 * (2_000 * 60 + 864_000 + 30_000) / 1e6, rel=0.001
    )
    assert found["database storage"] == pytest.approx(1.73)
    assert found["continuous backup"] == pytest.approx(1.73)
    assert found["transfer between regions"] == 0
    assert found["archive after a year"] == pytest.approx(0.73)
    assert found["writes to the archive"] == pytest.approx(1_000 * 730 / 24 / 10_000)
    batches = 4 * 86_400 * (1 - exp(-2_000 / (4 * 86_400)))
    publishes = 43_200 * (1 - exp(-batches / 43_200))
    executions = (batches + publishes + 1_000) * 730 / 24
    assert found["function executions"] == pytest.approx(executions * 2 + executions / 1e6)
    assert found["logs"] == pytest.approx(executions * 2_000 / 1e9)


def test_autoscale_bills_a_tenth_of_each_maximum_or_what_the_hour_needs() -> None:
    maxima = sum(each.autoscale_max for each in CATALOGUE)
    assert maxima == 28_000
    idle = usd(estimate(Traffic(1, 0, 2, Throughput.PER_CONTAINER), FIGURES, LISTED))
    assert idle["least throughput that is billed"] == pytest.approx(28_000 / 10 / 100 * 0.01 * 730 * 2)
    assert idle["throughput above it"] == 0  # 10 RU/s of an idle fleet, twice as much in bursts

    busy = estimate(Traffic(1, 10_000_000, 1, Throughput.PER_CONTAINER), FIGURES, LISTED)
    mean = (20_000_000 * (interpolated(FIGURES.units_by_batch, 57.9) + 10) + 864_000) / 86_400
    above = usd(busy)["throughput above it"] / 0.01 / 730 * 100
    written = 300_000_000 / 4 / 86_400  # the writer's units, in four containers alike
    # Maxima of 59,000 and 6,000 carry the busiest hours; a tenth of each is billed anyway.
    assert above == pytest.approx(mean * 2 - 5_900 + 4 * (written * 2 - 600), rel=0.001)
    assert (busy.needed["view_state"], busy.needed["users"]) == (59_000, 6_000)


def test_one_throughput_for_the_database_has_one_floor() -> None:
    found = estimate(Traffic(1, 0, 1, Throughput.SHARED), FIGURES, LISTED)
    assert usd(found)["least throughput that is billed"] == pytest.approx(100 / 100 * 0.01 * 730)
    assert found.needed == {"database": 1_000}


def test_serverless_with_two_regions_is_refused() -> None:
    with pytest.raises(RefusedError, match="one region only"):
        estimate(Traffic(1, 1, 2, Throughput.SERVERLESS), FIGURES, LISTED)
    ended = CliRunner().invoke(cli, [*ESTIMATE, "1", "--interactions-per-day", "1", *SERVERLESS])
    assert ended.exit_code == 2
    assert "--regions 1" in ended.stderr


@given(traffics, st.integers(0, MOST))
def test_no_item_is_negative_and_more_traffic_costs_no_less(traffic: Traffic, more: int) -> None:
    found = estimate(traffic, measured(), prices())
    assert all(item.usd >= 0 and item.quantity >= 0 for item in found.items)
    busier = estimate(replace(traffic, interactions=traffic.interactions + more), measured(), prices())
    assert busier.usd >= found.usd * 0.98  # larger batches cost less per change
    assert estimate(replace(traffic, regions=traffic.regions + 1), measured(), prices()).usd >= found.usd


@given(st.floats(1, 1e6))
def test_a_figure_between_two_batches_lies_between_theirs(batch: float) -> None:
    assert 30 <= interpolated(FIGURES.units_by_batch, batch) <= 50
    assert interpolated(FIGURES.units_by_batch, 10) == pytest.approx(40)


def test_the_figures_are_read_from_the_reports() -> None:
    cell: dict[str, Any] = {
        "request_units_per_change": {"median": 40.0},
        "changes_per_second": {"median": 200.0},
    }
    bench: dict[str, Any] = {
        "at": "2026-01-01",
        "machine": "m",
        "history": [
            {
                "batches": [{"batch": 1, "fleet": cell}],
                "hourly": {"request_units_per_change": 2.0},
                "half_day": {"request_units_per_change": 1.5},
            }
        ],
        "idle": {
            "request_units_per_hour": 7.0,
            "timers": {"a": {"runs_per_day": 24}, "b": {"runs_per_day": 2}},
        },
    }
    scale: dict[str, Any] = {
        "plan": {"people": 10, "interactions": 20, "days": 5},
        "changes": 300,
        "request_units": {"total": 50.0, "by_container": {"users": 25.0}, "of_the_writer": 1_000.0},
        "containers": {
            "users": {"bytes": 50},
            "user_interactions": {"bytes": 400},
            "personalities": {"bytes": 9},
        },
    }
    found = Measured.decode(json.loads(json.dumps(figures_of(bench, scale))))
    assert found.units_by_batch == ((1, 40.0),)
    assert found.seconds_by_batch == ((1, 0.005),)
    assert (found.scheduled_units, found.idle_units, found.timer_runs) == (3.5, 7.0, 26.0)
    assert (found.changes_per_interaction, found.writer_units) == (3.0, 10.0)
    assert found.bytes_per_interaction == {"user_interactions": 4.0}
    assert (found.bytes_per_person, found.fixed_bytes, found.unit_shares) == (5.0, 9, {"users": 0.5})


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == cost_page()


def test_the_page_and_the_command_have_the_same_sum() -> None:
    ended = CliRunner().invoke(cli, [*ESTIMATE, "10000", "--interactions-per-day", "10000", "--json"])
    found = json.loads(ended.stdout)
    assert f"| all | | | {found['usd']:,.2f} |" in cost_page()
