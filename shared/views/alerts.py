"""Alerts: figures beyond the specification's thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound of one figure."""

    figure: str
    kind: str
    severity: Literal["critical", "warning"]
    bound: float
    above: bool
    """True: values above the bound raise the alert. False: values below it do."""


THRESHOLDS = (
    Threshold("error_rate", "reliability", "critical", 0.05, above=True),
    Threshold("avg_response_time_ms", "performance", "critical", 3000, above=True),
    Threshold("user_satisfaction", "quality", "warning", 4.0, above=False),
)
"""The specification's thresholds ("Alert Thresholds"), for the figures that the fleet measures."""


def alerts(**figures: float | None) -> list[dict[str, Any]]:
    """Return an alert for each figure beyond its threshold. A figure that is None raises no alert.

    Limit: no source records whether an alert was handled. ``resolved`` and its time are not measured.
    """
    raised = []
    for threshold in THRESHOLDS:
        value = figures[threshold.figure]
        if value is None or value == threshold.bound or (value > threshold.bound) is not threshold.above:
            continue
        raised.append(
            {
                "alert_type": threshold.kind,
                "severity": threshold.severity,
                "message": f"{threshold.figure} {value} is {'above' if threshold.above else 'below'} "
                f"{threshold.bound}",
                "resolved": None,
                "resolution_time_min": None,
            }
        )
    return raised
