"""What more traffic needs: proportions by hand, and what holds for any traffic."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.capacity import (
    FEWEST_SHARDS,
    PARTITION_UNITS,
    SHARD_LOAD,
    Measured,
    main,
    need_of,
    need_table,
    partitions,
)

REPORT: dict[str, Any] = {
    "plan": {"interactions": 10_000, "days": 3, "instances": 2},
    "changes": 90_000,
    "changes_per_second": 400.0,
    "request_units": {"total": 2_700_000.0, "by_container": {"view_state": 1_800_000.0}},
    "containers": {"user_interactions": {"bytes": 60_000_000}, "view_state": {"bytes": 30_000_000}},
}

MEASURED = Measured(3.0, 30.0, 20.0, 200.0, 2_000.0, 1_000.0)


def test_proportions_are_read_from_the_report() -> None:
    assert Measured.of(REPORT) == MEASURED


def test_a_hundred_million_a_day_by_hand() -> None:
    need = need_of(100_000_000, MEASURED)
    # 300 million changes in 86,400 s, three times as many in the busiest hour.
    assert need.peak_changes == pytest.approx(10_416.67, abs=0.01)
    assert need.peak_units == pytest.approx(312_500)
    assert need.shards == 64  # 208,333 request units a second by 5,000 are 42
    assert need.state_partitions == 730  # 36.5 TB by 50 GB; by throughput 21
    assert need.source_partitions == 1_460
    assert need.hosts == 53


def test_little_traffic_needs_one_of_each() -> None:
    need = need_of(1_000, MEASURED)
    assert (need.state_partitions, need.source_partitions, need.hosts) == (1, 1, 1)
    assert need.shards == FEWEST_SHARDS


@given(st.integers(1, 10**11), st.integers(1, 10**11))
def test_more_traffic_never_needs_less_and_no_shard_is_overloaded(one: int, other: int) -> None:
    few, many = need_of(min(one, other), MEASURED), need_of(max(one, other), MEASURED)
    assert few.shards <= many.shards
    assert few.hosts <= many.hosts
    assert few.state_partitions <= many.state_partitions
    per_shard = many.peak_changes * MEASURED.state_units_per_change / many.shards
    assert per_shard <= PARTITION_UNITS * SHARD_LOAD


def test_a_partition_is_full_by_throughput_or_by_size() -> None:
    assert partitions(20_001.0, 0) == 3
    assert partitions(0.0, 100_000_000_001) == 3
    assert partitions(0.0, 0.0) == 1


def test_the_table_has_a_column_for_each_volume() -> None:
    console = Console(record=True, width=120, file=StringIO())
    console.print(need_table(MEASURED))
    text = console.export_text()
    assert all(volume in text for volume in ("1,000", "100,000", "100,000,000"))


@pytest.mark.parametrize("content", ["nothing", "{}", "[]", json.dumps(REPORT | {"changes": 0})])
def test_another_file_is_refused(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(typer.Exit) as exit_:
        main(path)
    assert exit_.value.exit_code == 2
    assert "is not the report of a run at scale" in capsys.readouterr().err
