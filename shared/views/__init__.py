"""The views, one module each: pure functions that turn state into the specification's documents."""

from __future__ import annotations

from shared.errors import UnknownViewError
from shared.views.base import Schedule, View
from shared.views.content_analytics import ContentAnalytics
from shared.views.content_popularity import ContentPopularity
from shared.views.daily_metrics import DailyMetrics
from shared.views.incidents_by_content import IncidentsByContent
from shared.views.user_analytics import UserAnalytics

_ALL: tuple[View, ...] = (
    DailyMetrics(),
    UserAnalytics("monthly", Schedule.LIVE),
    UserAnalytics("daily", Schedule.HOURLY),
    UserAnalytics("weekly", Schedule.TWICE_A_DAY),
    UserAnalytics("quarterly", Schedule.TWICE_A_DAY),
    ContentPopularity("daily"),
    ContentPopularity("weekly"),
    ContentAnalytics(),
    IncidentsByContent(),
)

VIEWS: dict[str, View] = {view.name: view for view in _ALL}
"""Every view, by name."""


def view_named(name: str) -> View:
    """Return the view that an operator names.

    Raises
    ------
    UnknownViewError
        There is no such view.
    """
    if name not in VIEWS:
        raise UnknownViewError(f"{name!r} is not a view: {', '.join(VIEWS)}")
    return VIEWS[name]
