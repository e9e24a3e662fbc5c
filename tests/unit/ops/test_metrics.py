"""What ``fleet metrics day`` says of costs."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from ops import metrics
from ops.__main__ import cli


def day(**models: dict[str, Any]) -> dict[str, Any]:
    performance = {"model_performance": models, "total_cost_usd": 0.5}
    return {"id": "d", "calculated_at": "2025-08-06T00:00:00Z", "ai_performance": performance}


@pytest.mark.parametrize(
    ("figures", "row"),
    [
        (
            {"requests": 9, "cost_usd": 0.5, "unpriced_requests": 1, "inexact_requests": 2},
            ["m", "9", "1", "2", "0.500000"],
        ),
        ({"requests": 9, "cost_usd": 0.5, "unpriced_requests": 0}, ["m", "9", "0", "–", "0.500000"]),
    ],
)
def test_a_cost_that_is_not_exact_is_marked(
    monkeypatch: pytest.MonkeyPatch, figures: dict[str, Any], row: list[str]
) -> None:
    monkeypatch.setattr(metrics, "run", lambda _: day(m=figures))
    ended = CliRunner().invoke(cli, ["metrics", "day", "2025-08-05"])
    assert ended.exit_code == 0
    assert row in [line.split() for line in ended.stdout.splitlines()]
