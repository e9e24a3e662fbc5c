"""Alerts: figures beyond the specification's thresholds, and when they ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound of one figure."""

    figure: str
    kind: str
    severity: Literal["critical", "warning"]
    bound: float
    above: bool
    """True: values above the bound raise the alert. False: values below it do."""

    def is_crossed(self, value: float | None) -> bool:
        """Return whether a value raises the alert. One that is None does not."""
        return value is not None and value != self.bound and (value > self.bound) is self.above


THRESHOLDS = (
    Threshold("error_rate", "reliability", "critical", 0.05, above=True),
    Threshold("avg_response_time_ms", "performance", "critical", 3000, above=True),
    Threshold("user_satisfaction", "quality", "warning", 4.0, above=False),
)
"""The specification's thresholds ("Alert Thresholds"), for the figures that the fleet measures."""

Values = Mapping[str, float | None]
"""The figures of :data:`THRESHOLDS`, by name."""


class Course(NamedTuple):
    """An alert over consecutive windows. Minutes are those of the windows' starts."""

    kind: str
    began: int
    ended: int | None
    """When the next window with interactions began that no longer raised it, None if there was none yet."""


def alerts(figures: Values, courses: Iterable[Course] = ()) -> list[dict[str, Any]]:
    """Return an alert for each figure beyond its threshold.

    Parameters
    ----------
    courses
        The alerts of the period's windows. The last one of a kind says whether the period's alert is
        resolved, and after how many minutes. Without any, neither is known.
    """
    last = {course.kind: course for course in courses}
    return [
        {
            "alert_type": threshold.kind,
            "severity": threshold.severity,
            "message": f"{threshold.figure} {value} is {'above' if threshold.above else 'below'} "
            f"{threshold.bound}",
            **_resolution(last.get(threshold.kind)),
        }
        for threshold in THRESHOLDS
        if threshold.is_crossed(value := figures[threshold.figure])
    ]


def courses(windows: Iterable[tuple[int, Values]]) -> list[Course]:
    """Return the alerts of windows in the order in which they ended. Those that go on come last.

    Parameters
    ----------
    windows
        The windows with interactions, in order: the minute at which each starts, and its figures.
    """
    ended, active = list[Course](), dict[str, int]()
    for minute, figures in windows:
        raised = {each.kind for each in THRESHOLDS if each.is_crossed(figures[each.figure])}
        ended += [Course(kind, active.pop(kind), minute) for kind in sorted(active.keys() - raised)]
        active |= dict.fromkeys(raised - active.keys(), minute)
    return ended + [Course(kind, began, None) for kind, began in sorted(active.items())]


def _resolution(course: Course | None) -> dict[str, Any]:
    if course is None:
        return {"resolved": None, "resolution_time_min": None}
    minutes = None if course.ended is None else course.ended - course.began
    return {"resolved": course.ended is not None, "resolution_time_min": minutes}
